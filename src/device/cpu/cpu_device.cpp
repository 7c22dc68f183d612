#include "device/cpu/cpu_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/cpu_features.h"
#include "base/error.h"
#include "device/cpu/packer.h"
#include "device/cpu/trial.h"

namespace hearth {
namespace cpu {
namespace {

uint32_t choose_threads(const CpuOptions& options, const ThreadBudget& budget) {
  return options.threads != 0 ? options.threads : budget.threads;
}

std::optional<Refusal> refuse_head(uint32_t size, KvType type, std::string_view side) {
  const bool quantized = type == KvType::q8_0 || type == KvType::q4_0;
  if (quantized && size % 32 != 0) {
    return Refusal{"head_size",
                   fmt::format("a {} cache needs a head size that is a multiple of 32, {} heads have {}",
                               to_string(type), side, size)};
  }
  if (size % 8 != 0) return Refusal{"head_size", fmt::format("head size {} is not a multiple of 8", size)};
  return std::nullopt;
}

// What the kernels need of a matrix: whole blocks and, for the prompt kernels, columns in thirty-twos.
std::optional<Refusal> refuse_weight(const Program& program, Weight weight) {
  if (!weight) return std::nullopt;
  const WeightInfo& w = program.weights[weight.id - 1];
  if (type_info(w.type).decode == nullptr) {
    return Refusal{"type", fmt::format("tensor '{}' has type {}, which is not a weight type", w.name,
                                       type_info(w.type).name)};
  }
  if (w.shape.cols % 32 != 0) {
    return Refusal{"columns",
                   fmt::format("tensor '{}' has {} columns, not a multiple of 32", w.name, w.shape.cols)};
  }
  return std::nullopt;
}

std::optional<Refusal> refuse_vector(const Program& program, Weight weight) {
  if (!weight) return std::nullopt;
  const WeightInfo& w = program.weights[weight.id - 1];
  if (w.type != DType::f32) {
    return Refusal{"type",
                   fmt::format("vector '{}' has type {}, expected F32", w.name, type_info(w.type).name)};
  }
  return std::nullopt;
}

struct Judge {
  const Program& program;
  KvTypes kv;

  template <class... W>
  std::optional<Refusal> matrices(W... weights) const {
    std::optional<Refusal> first;
    ((first || (first = refuse_weight(program, weights))), ...);
    return first;
  }
  template <class... W>
  std::optional<Refusal> vectors(W... weights) const {
    std::optional<Refusal> first;
    ((first || (first = refuse_vector(program, weights))), ...);
    return first;
  }

  std::optional<Refusal> operator()(const Embed& o) const { return matrices(o.table); }
  std::optional<Refusal> operator()(const Norm& o) const { return vectors(o.gain, o.bias); }
  std::optional<Refusal> operator()(const Combine&) const { return std::nullopt; }
  std::optional<Refusal> operator()(const Transfer&) const { return std::nullopt; }
  std::optional<Refusal> operator()(const Linear& o) const {
    auto r = matrices(o.weight);
    return r ? r : vectors(o.bias);
  }
  std::optional<Refusal> operator()(const Gated& o) const {
    auto r = matrices(o.gate, o.up);
    return r ? r : vectors(o.gate_bias, o.up_bias);
  }
  std::optional<Refusal> operator()(const Qkv& o) const {
    if (auto r = matrices(o.wq, o.wk, o.wv)) return r;
    if (auto r = vectors(o.bq, o.bk, o.bv, o.q_norm, o.k_norm)) return r;
    if (auto r = refuse_head(o.heads.k_size, kv.k, "key")) return r;
    return refuse_head(o.heads.v_size, kv.v, "value");
  }
  std::optional<Refusal> operator()(const QkvLatent& o) const {
    if (auto r = matrices(o.wq, o.wk)) return r;
    if (auto r = vectors(o.bq, o.gain)) return r;
    if (auto r = refuse_head(o.shape.key(), kv.k, "key")) return r;
    return refuse_head(o.shape.latent, kv.k, "value");
  }
  std::optional<Refusal> operator()(const Attend& o) const { return vectors(o.sinks); }
  std::optional<Refusal> operator()(const Route& o) const {
    auto r = matrices(o.router);
    return r ? r : vectors(o.bias);
  }
  std::optional<Refusal> operator()(const Experts& o) const { return matrices(o.gate, o.up, o.down); }
  // Its rows are multiplied by the generation kernels alone, which take any number of columns in whole
  // blocks.
  std::optional<Refusal> operator()(const Patch& o) const {
    for (const Weight weight : {o.weight, o.positions}) {
      if (!weight) continue;
      const WeightInfo& w = program.weights[weight.id - 1];
      if (type_info(w.type).decode == nullptr || !row_bytes(w.type, w.shape.cols))
        return Refusal{"type", fmt::format("tensor '{}' has rows of {} values of type {}", w.name,
                                           w.shape.cols, type_info(w.type).name)};
    }
    return vectors(o.bias);
  }
  std::optional<Refusal> operator()(const Resample&) const { return std::nullopt; }
  std::optional<Refusal> operator()(const ShortConv& o) const {
    const uint64_t taps = program.weights[o.kernel.id - 1].shape.cols;
    if (taps > most_taps)
      return Refusal{"taps", fmt::format("a convolution over {} tokens, {} at most", taps, most_taps)};
    return vectors(o.kernel, o.bias);
  }
  std::optional<Refusal> operator()(const Scan& o) const {
    // Read row by row, whatever its columns.
    if (o.project) {
      const WeightInfo& w = program.weights[o.project.id - 1];
      if (type_info(w.type).decode == nullptr) return refuse_weight(program, o.project);
    }
    return vectors(o.step_bias, o.a, o.skip);
  }
  std::optional<Refusal> operator()(const Delta& o) const { return vectors(o.alpha_bias, o.a, o.gain); }
  std::optional<Refusal> operator()(const Shift& o) const { return vectors(o.mix); }
  std::optional<Refusal> operator()(const Logits& o) const {
    auto r = matrices(o.weight);
    return r ? r : vectors(o.bias);
  }
  std::optional<Refusal> operator()(const Pool& o) const {
    auto r = matrices(o.classifier);
    return r ? r : vectors(o.bias);
  }
};

}  // namespace

CpuDevice::CpuDevice(const CpuOptions& options)
    : table_(resolve(options.set, tried_features())),
      matmul_(options.exact ? table_.matmul_f32 : table_.matmul),
      attend_(options.exact ? table_.attend_f32 : table_.attend),
      team_(choose_threads(options, thread_budget()), !thread_budget().quota),
      exact_(options.exact) {
  info_.name = "cpu";
  info_.description = cpu_features().brand;
  info_.variants = table_.describe();
  info_.notes = tried_features().notes;
  info_.threads = team_.size();
}

std::optional<Refusal> CpuDevice::refuse(const Op& op, const Program& program, KvTypes kv) const {
  return std::visit(Judge{program, kv}, op);
}

uint64_t CpuDevice::workspace(const Program& program, uint32_t rows) const {
  const Workspace w = workspace_of(program, rows, *this);
  return w.shared() + w.per_thread() * team_.size();
}

void CpuDevice::reserve(const DeviceBuffers& plan, const Program& program) {
  kv_.clear();
  kv_memory_.clear();
  for (size_t g = 0; g < program.caches.size(); ++g) {
    const CacheGroup& c = program.caches[g];
    KvGroup group;
    group.profile = profile_of(c);
    group.types = plan.kv;
    group.pages = plan.pages[g];
    group.k_row = kv_row_bytes(plan.kv.k, c.k_size);
    group.v_row = kv_row_bytes(plan.kv.v, c.v_size);
    if (c.v_size == 0) {
      group.types.v = group.types.k;
      group.v_row = group.k_row;
    }
    group.layer_page = page_bytes(group.profile, plan.kv) / std::max(1U, c.layers);
    kv_memory_.emplace_back(uint64_t{group.pages} * group.layer_page * c.layers,
                            "the cache of keys and values");
    group.base = kv_memory_.back().data();
    kv_.push_back(group);
  }
  arena_ = Memory(plan.of(BufferKind::arena), "activations");
  workspace_ = Memory(plan.of(BufferKind::workspace), "scratch memory");
  results_ = Memory(plan.of(BufferKind::results), "scores");
  residence_.clear();
  if (plan.copies_weights()) {
    uint64_t bytes = 0;
    residence_ = residence_of(program, table_, bytes);
    copy_ = Memory(bytes, "the weights");
  }
  weights_.assign(program.weights.size(), {});
}

uint64_t CpuDevice::reserved() const noexcept {
  uint64_t bytes = arena_.size() + workspace_.size() + results_.size() + copy_.size();
  for (const Memory& memory : kv_memory_) bytes += memory.size();
  return bytes;
}

uint64_t CpuDevice::resident(const Program& program) const {
  if (exact_ || table_.round_row == nullptr) return 0;
  uint64_t bytes = 0;
  residence_of(program, table_, bytes);
  return bytes;
}

void CpuDevice::load(Weight weight, const WeightView& view) {
  LoadedWeight& w = weights_[weight.id - 1];
  w = {};
  w.data = w.product_data = view.data.data();
  w.rows = static_cast<uint32_t>(view.shape.rows);
  w.cols = static_cast<uint32_t>(view.shape.cols);
  w.stack = static_cast<uint32_t>(view.shape.stack);
  w.row_bytes = row_bytes(view.type, view.shape.cols).value_or(0);
  w.kernels = table_.type(static_cast<uint32_t>(view.type));
  const Residence home = residence_.empty() ? Residence{} : residence_[weight.id - 1];
  if (home.kind != Residence::Kind::mapped) take_copy(w, home, static_cast<uint32_t>(view.type));
}

// All threads share the work: strip by strip, or in equal parts.
void CpuDevice::take_copy(LoadedWeight& w, const Residence& home, uint32_t type) {
  std::byte* to = copy_.data() + home.offset;
  const uint32_t threads = team_.size();
  if (home.kind == Residence::Kind::copied) {
    const std::byte* from = w.data;
    team_.run([&](uint32_t t) {
      const uint64_t begin = home.bytes * t / threads, end = home.bytes * (t + 1) / threads;
      std::memcpy(to + begin, from + begin, end - begin);
    });
    w.product_data = to;
    return;
  }
  const PackedForm& form = *packed_form(type);
  w.packed_kernels = table_.packed(type);
  w.product = w.packed_kernels->product;
  w.packed = to;
  w.strip_bytes = strip_bytes(form, w.cols);
  const uint64_t rows = uint64_t{w.rows} * w.stack, strips = (rows + strip_rows - 1) / strip_rows;
  team_.run([&](uint32_t t) {
    for (uint64_t s = strips * t / threads; s < strips * (t + 1) / threads; ++s) {
      const auto some = static_cast<uint32_t>(std::min<uint64_t>(strip_rows, rows - s * strip_rows));
      pack_strip(form, w.data + s * strip_rows * w.row_bytes, w.row_bytes, some, w.cols,
                 to + s * w.strip_bytes);
    }
  });
}

void CpuDevice::copy_page(uint32_t group, PageId from, PageId to) {
  const KvGroup& kv = kv_[group];
  for (uint32_t layer = 0; layer < kv.profile.layers; ++layer) {
    std::memcpy(kv.k(layer, to, 0), kv.k(layer, from, 0), kv.layer_page);
  }
}

bool CpuDevice::make_present(uint32_t group, PageId page, std::chrono::steady_clock::time_point until) {
  const KvGroup& kv = kv_[group];
  for (uint32_t layer = 0; layer < kv.profile.layers; ++layer) {
    if (std::chrono::steady_clock::now() >= until) return false;
    cpu::make_present(kv.k(layer, page, 0), kv.layer_page);
  }
  return true;
}

void CpuDevice::share_out(uint32_t count, const std::function<void(uint32_t)>& work) {
  const auto part = [&](uint32_t t) {
    for (uint32_t i = t; i < count; i += team_.size()) work(i);
  };
  team_.run(std::ref(part));  // the function itself would be copied to the heap
}

}  // namespace cpu

std::unique_ptr<Device> open_cpu_device(const CpuOptions& options) {
  return std::make_unique<cpu::CpuDevice>(options);
}

}  // namespace hearth
