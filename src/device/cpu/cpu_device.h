#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/threads.h"
#include "device/cpu/buffers.h"
#include "device/cpu/tables.h"
#include "device/device.h"

namespace hearth::cpu {

// A weight as the kernels want it.
struct LoadedWeight {
  const std::byte* data = nullptr;          // as the file has it
  const std::byte* product_data = nullptr;  // the same, or the device's copy of it
  const TypeKernels* kernels = nullptr;
  const std::byte* packed = nullptr;  // strips (packed.h) instead of rows, for products
  const PackedKernels* packed_kernels = nullptr;
  PackedProduct product = nullptr;  // of strips
  uint64_t strip_bytes = 0;
  uint32_t rows = 0, cols = 0, stack = 1;
  uint64_t row_bytes = 0;

  const std::byte* row(uint32_t r, uint32_t expert = 0) const {
    return product_data + (uint64_t{expert} * rows + r) * row_bytes;
  }
  // The strip that row r begins; r is a multiple of sixteen, and so are the rows of the matrices of a stack.
  const std::byte* strip(uint32_t r, uint32_t expert = 0) const {
    return packed + (uint64_t{expert} * rows + r) / panel_rows * strip_bytes;
  }
  // Columns of activations that must share a scale to be multiplied with strips; 0 for rows.
  uint32_t together() const { return packed != nullptr ? packed_kernels->together : 0; }
  // A vector (gain, bias) as floats; vectors are F32 in every GGUF, and the loader checks it.
  const float* values() const { return reinterpret_cast<const float*>(data); }
};

// Tokens that a convolution may see.
inline constexpr uint32_t most_taps = 16;
// Heads of a single channel that a thread scans together.
inline constexpr uint32_t scan_heads = 64;

// Keys and values of one cache group: per layer a run of pages, in each page the keys [kv head][token][k
// row], then the values [kv head][token][v row]. In a group without values of its own they are the first of
// each key: the same rows, in the same type.
struct KvGroup {
  std::byte* base = nullptr;
  CacheProfile profile;
  KvTypes types;
  uint32_t pages = 0;
  uint64_t k_row = 0, v_row = 0, layer_page = 0;

  std::byte* k(uint32_t layer, PageId page, uint32_t head) const {
    return base + (uint64_t{layer} * pages + page.value) * layer_page + uint64_t{head} * page_tokens * k_row;
  }
  std::byte* v(uint32_t layer, PageId page, uint32_t head) const {
    if (profile.v_size == 0) return k(layer, page, head);
    return k(layer, page, profile.kv_heads) + uint64_t{head} * page_tokens * v_row;
  }
  // Of a group of states: what the layer carries for the sequence that has this page.
  float* state(uint32_t layer, PageId page) const { return reinterpret_cast<float*>(k(layer, page, 0)); }
};

// Where a weight lives when the device has its own copy of the weights.
struct Residence {
  enum class Kind { mapped, copied, packed } kind = Kind::mapped;
  uint64_t offset = 0, bytes = 0;  // in the copy
};

// Scratch memory of a step: what the threads share, and a private part for each.
struct Workspace {
  uint64_t acts = 0;                        // packed activations of the prompt rows, shared
  uint64_t integers = 0;                    // the same as integers, for packed weights
  uint64_t exact_integers = 0;              // per thread: integers of the exact rows
  uint64_t block = 0, panel = 0, norm = 0;  // per thread: a block of results, a panel, normalised rows
  uint64_t experts = 0;                     // of the Experts stages (experts.h), shared
  uint64_t rope = 0;                        // cosines and sines of the step's positions, shared
  std::vector<uint64_t> rope_offset;        // of each rope table within that part

  uint64_t shared() const { return acts + integers + experts + rope; }
  uint64_t per_thread() const { return block + panel + norm + exact_integers; }
};

// Weight rows of one unit of work when the result rows of a projection are dealt out.
inline constexpr uint32_t unit_rows = 64;
// The same for prompts that tiles multiply: they are so fast that reading the activations anew for every 64
// rows, from the third level of the cache, would be the limit.
inline constexpr uint32_t tile_unit_rows = 256;
// Floats from one row of a unit's results to the next: not a power of two, so that the rows of a tile meet in
// no set of the cache.
constexpr uint32_t unit_stride(uint32_t unit) { return unit + panel_rows; }
// Rows of each of two matrices that share a unit.
constexpr uint32_t gated_unit(uint32_t unit) { return std::max(unit_rows, unit / 2); }
// Heads of `size` that share a unit.
inline constexpr uint32_t most_unit_heads = 4;
constexpr uint32_t heads_of_unit(uint32_t size, uint32_t unit) {
  return std::clamp(unit / size, 1U, most_unit_heads);
}

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const CpuOptions& options);

  const DeviceInfo& info() const noexcept override { return info_; }
  double product_rate() override;
  std::optional<Refusal> refuse(const Op& op, const Program& program, KvTypes kv) const override;
  uint64_t workspace(const Program& program, uint32_t rows) const override;
  uint64_t resident(const Program& program) const override;
  void reserve(const DeviceBuffers& plan, const Program& program) override;
  uint64_t reserved() const noexcept override;
  void load(Weight weight, const WeightView& view) override;
  std::unique_ptr<Executable> prepare(const Program& program, const Layout& layout) override;
  void copy_page(uint32_t group, PageId from, PageId to) override;
  bool make_present(uint32_t group, PageId page, std::chrono::steady_clock::time_point until) override;
  void share_out(uint32_t count, const std::function<void(uint32_t)>& work) override;

  // What stages use while a step runs.
  ThreadTeam& team() { return team_; }
  const ResolvedTable& table() const { return table_; }
  const MatmulKernels& matmul() const { return *matmul_; }
  const AttendKernels& attend() const { return *attend_; }
  // Whether prompts expand a packed weight into bfloat16 panels, instead of multiplying it with integers.
  bool expands(const LoadedWeight& w) const { return w.packed != nullptr && expand(w) != nullptr; }
  ExpandPanel expand(const LoadedWeight& w) const {
    return matmul_->expand != nullptr ? matmul_->expand[w.packed_kernels->type] : nullptr;
  }
  uint32_t most_unit_rows() const { return matmul_->act_rows > 1 ? tile_unit_rows : unit_rows; }
  const LoadedWeight& weight(Weight w) const { return weights_[w.id - 1]; }
  const LoadedWeight* maybe(Weight w) const { return w ? &weights_[w.id - 1] : nullptr; }
  const KvGroup& kv(uint32_t group) const { return kv_[group]; }
  std::byte* arena() { return arena_.data(); }
  std::byte* scratch() { return workspace_.data(); }
  std::span<float> results() {
    return {reinterpret_cast<float*>(results_.data()), results_.size() / sizeof(float)};
  }

 private:
  void take_copy(LoadedWeight& w, const Residence& home, uint32_t type);

  ResolvedTable table_;
  const MatmulKernels* matmul_;
  const AttendKernels* attend_;
  ThreadTeam team_;
  DeviceInfo info_;
  std::vector<LoadedWeight> weights_;
  std::vector<KvGroup> kv_;
  std::vector<Memory> kv_memory_;
  Memory arena_, workspace_, results_, copy_;
  std::vector<Residence> residence_;
  bool exact_;
};

// Sizes of the scratch memory for a program; the same function serves the plan and the execution.
Workspace workspace_of(const Program& program, uint32_t rows, const CpuDevice& device);

// What the copy holds of each weight [weights], and its size in all: matrices of products in packed form
// where the table has kernels for their type, as they are otherwise; nothing of the rest.
std::vector<Residence> residence_of(const Program& program, const ResolvedTable& table, uint64_t& bytes);

}  // namespace hearth::cpu
