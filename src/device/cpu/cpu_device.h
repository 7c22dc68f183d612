#pragma once

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
  const std::byte* data = nullptr;
  const TypeKernels* kernels = nullptr;
  uint32_t rows = 0, cols = 0, stack = 1;
  uint64_t row_bytes = 0;

  const std::byte* row(uint32_t r, uint32_t expert = 0) const {
    return data + (uint64_t{expert} * rows + r) * row_bytes;
  }
  // A vector (gain, bias) as floats; vectors are F32 in every GGUF, and the loader checks it.
  const float* values() const { return reinterpret_cast<const float*>(data); }
};

// Keys and values of one cache group: per layer a run of pages, in each page the keys [kv head][token][k
// row], then the values [kv head][token][v row].
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
    return k(layer, page, profile.kv_heads) + uint64_t{head} * page_tokens * v_row;
  }
};

// Scratch memory of a step: what the threads share, and a private part for each.
struct Workspace {
  uint64_t acts = 0;                        // packed activations of the prompt rows, shared
  uint64_t block = 0, panel = 0, norm = 0;  // per thread: a block of results, a panel, normalised rows
  uint64_t experts = 0;                     // hidden rows of the chosen experts, shared
  uint64_t rope = 0;                        // cosines and sines of the step's positions, shared
  std::vector<uint64_t> rope_offset;        // of each rope table within that part

  uint64_t shared() const { return acts + experts + rope; }
  uint64_t per_thread() const { return block + panel + norm; }
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const CpuOptions& options);

  const DeviceInfo& info() const noexcept override { return info_; }
  std::optional<Refusal> refuse(const Op& op, const Program& program, KvTypes kv) const override;
  uint64_t workspace(const Program& program, uint32_t rows) const override;
  void reserve(const Plan& plan, const Program& program) override;
  uint64_t reserved() const noexcept override;
  void load(Weight weight, const WeightView& view) override;
  std::unique_ptr<Executable> prepare(const Program& program, const Layout& layout) override;
  void copy_page(uint32_t group, PageId from, PageId to) override;

  // What stages use while a step runs.
  ThreadTeam& team() { return team_; }
  const ResolvedTable& table() const { return table_; }
  const MatmulKernels& matmul() const { return *matmul_; }
  const LoadedWeight& weight(Weight w) const { return weights_[w.id - 1]; }
  const LoadedWeight* maybe(Weight w) const { return w ? &weights_[w.id - 1] : nullptr; }
  const KvGroup& kv(uint32_t group) const { return kv_[group]; }
  std::byte* arena() { return arena_.data(); }
  std::byte* scratch() { return workspace_.data(); }
  std::span<float> results() {
    return {reinterpret_cast<float*>(results_.data()), results_.size() / sizeof(float)};
  }

 private:
  ResolvedTable table_;
  const MatmulKernels* matmul_;
  ThreadTeam team_;
  DeviceInfo info_;
  std::vector<LoadedWeight> weights_;
  std::vector<KvGroup> kv_;
  std::vector<Memory> kv_memory_;
  Memory arena_, workspace_, results_;
};

// Sizes of the scratch memory for a program; the same function serves the plan and the execution.
Workspace workspace_of(const Program& program, uint32_t rows);

// Weight rows of one unit of work when the result rows of a projection are dealt out.
inline constexpr uint32_t unit_rows = 64;
// Columns of a panel: 64 rows × 512 floats are 128 KiB, a share of the second-level cache.
inline constexpr uint32_t panel_cols = 512;

}  // namespace hearth::cpu
