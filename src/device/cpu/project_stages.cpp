// Stages that multiply with weights: Linear, Qkv, Gated, Logits, Pool.
#include <algorithm>
#include <cmath>

#include "device/cpu/project.h"

namespace hearth::cpu {
namespace {

uint32_t units_of(uint32_t rows, uint32_t unit) { return (rows + unit - 1) / unit; }

// Weight rows of a unit: at most `most`, and four units per thread where there are as many rows.
uint32_t unit_of(const Step& step, uint32_t rows, uint32_t most) {
  if (step.prompt_rows() == 0) return unit_rows;
  const uint32_t share = rows / (4 * step.device->team().size()) / unit_rows * unit_rows;
  return std::clamp(share, unit_rows, most);
}

class LinearStage final : public Stage {
 public:
  LinearStage(const Linear& o, Input in) : op_(o), in_(in) {}

  void run(Step& step, uint32_t thread) const override {
    const Projector projector(step, thread, in_, {op_.weight});
    const LoadedWeight& w = step.device->weight(op_.weight);
    const uint32_t unit = unit_of(step, w.rows, step.device->most_unit_rows());
    for_units(step, thread, units_of(w.rows, unit), [&](uint32_t u) {
      const uint32_t first = u * unit, count = std::min(unit, w.rows - first);
      projector.multiply({&w, first, count, step.block(thread)}, unit_stride(unit));
      finish(step, step.block(thread), unit_stride(unit), first, count);
    });
  }

 private:
  void finish(const Step& step, float* block, uint32_t stride, uint32_t first, uint32_t count) const {
    const RowKernels& k = *step.device->table().rows;
    const LoadedWeight* bias = step.device->maybe(op_.bias);
    float* out = step.act(op_.out) + first;
    const float* residual = op_.residual ? step.act(op_.residual) + first : nullptr;
    for (uint32_t r = 0; r < step.rows; ++r, block += stride, out += op_.out.cols) {
      finish_block(k, op_.scale, bias, first, count, block);
      if (op_.act != Act1::none) k.gated(static_cast<Activation>(op_.act), block, nullptr, count, block);
      if (residual != nullptr) {
        k.add(block, residual + uint64_t{r} * op_.out.cols, count, out);
      } else {
        std::copy_n(block, count, out);
      }
    }
  }

  Linear op_;
  Input in_;
};

class GatedStage final : public Stage {
 public:
  GatedStage(const Gated& o, Input in) : op_(o), in_(in) {}

  void run(Step& step, uint32_t thread) const override {
    const Projector projector(step, thread, in_, {op_.gate, op_.up});
    const CpuDevice& d = *step.device;
    const RowKernels& k = *d.table().rows;
    const LoadedWeight &gate = d.weight(op_.gate), &up = d.weight(op_.up);
    const uint32_t unit = unit_of(step, gate.rows, gated_unit(d.most_unit_rows()));
    const uint32_t stride = unit_stride(unit);
    for_units(step, thread, units_of(gate.rows, unit), [&](uint32_t u) {
      const uint32_t first = u * unit, count = std::min(unit, gate.rows - first);
      float* gates = step.block(thread);
      float* ups = gates + uint64_t{step.rows} * stride;
      const Product products[] = {{&gate, first, count, gates}, {&up, first, count, ups}};
      projector.multiply(products, stride);
      float* out = step.act(op_.out) + first;
      for (uint32_t r = 0; r < step.rows; ++r, gates += stride, ups += stride, out += op_.out.cols) {
        finish_block(k, op_.scale_gate, d.maybe(op_.gate_bias), first, count, gates);
        finish_block(k, op_.scale_up, d.maybe(op_.up_bias), first, count, ups);
        k.gated(static_cast<Activation>(op_.act), gates, ups, count, out);
      }
    });
  }

 private:
  Gated op_;
  Input in_;
};

// A unit is a head, or several: whoever computes it also norms, rotates and stores it.
class QkvStage final : public Stage {
 public:
  QkvStage(const Qkv& o, Input in) : op_(o), in_(in) {}

  void run(Step& step, uint32_t thread) const override {
    const Projector projector(step, thread, in_, {op_.wq, op_.wk, op_.wv});
    const uint32_t parts = queries() + 2 * op_.heads.kv_heads, some = parts_of_unit(step, parts);
    for_units(step, thread, (parts + some - 1) / some, [&](uint32_t u) {
      const uint32_t first = u * some;
      unit(step, thread, projector, first, std::min(some, parts - first));
    });
  }

 private:
  // A head's rows of a weight.
  struct Part {
    Weight w, bias, norm;
    float scale;
    uint32_t size, index;
    bool rotate;
  };

  // A query's gate lies behind it.
  uint32_t queries() const { return op_.heads.q_heads * (op_.gated ? 2 : 1); }

  Part part(uint32_t number) const {
    const HeadShape& h = op_.heads;
    if (number < queries()) {
      const bool gate = op_.gated && number % 2 == 1;
      return {op_.wq, op_.bq, gate ? Weight{} : op_.q_norm, op_.scale_q, h.k_size, number, !gate};
    }
    number -= queries();
    if (number < h.kv_heads) return {op_.wk, op_.bk, op_.k_norm, op_.scale_k, h.k_size, number, true};
    return {op_.wv, op_.bv, {}, op_.scale_v, h.v_size, number - h.kv_heads, false};
  }

  // Two units per thread at least, where there are as many heads.
  uint32_t parts_of_unit(const Step& step, uint32_t parts) const {
    const uint32_t size = std::max(op_.heads.k_size, op_.heads.v_size);
    const uint32_t most = heads_of_unit(size, step.device->most_unit_rows());
    return step.prompt_rows() == 0 ? 1 : std::clamp(parts / (2 * step.device->team().size()), 1U, most);
  }

  void unit(const Step& step, uint32_t thread, const Projector& projector, uint32_t first,
            uint32_t count) const {
    const uint32_t stride = unit_stride(std::max(op_.heads.k_size, op_.heads.v_size));
    const auto block = [&](uint32_t i) { return step.block(thread) + uint64_t{i} * step.rows * stride; };
    Product products[most_unit_heads];
    for (uint32_t i = 0; i < count; ++i) {
      const Part p = part(first + i);
      products[i] = {&step.device->weight(p.w), p.index * p.size, p.size, block(i)};
    }
    projector.multiply({products, count}, stride);
    for (uint32_t i = 0; i < count; ++i) {
      finish(step, part(first + i), block(i), stride);
      put(step, first + i, block(i), stride);
    }
  }

  void finish(const Step& step, const Part& p, float* x, uint32_t stride) const {
    const CpuDevice& d = *step.device;
    const RowKernels& k = *d.table().rows;
    const LoadedWeight* gain = d.maybe(p.norm);
    for (uint32_t r = 0; r < step.rows; ++r, x += stride) {
      finish_block(k, p.scale, d.maybe(p.bias), p.index * p.size, p.size, x);
      if (gain != nullptr) k.rms_norm(x, gain->values(), p.size, op_.eps, x);
      if (p.rotate) rotate(step, op_.rope, x, r);
    }
  }

  // A head's rows to where attention looks for them.
  void put(const Step& step, uint32_t number, const float* block, uint32_t stride) const {
    const Part p = part(number);
    if (number < queries()) {
      float* out = step.act(op_.q) + uint64_t{p.index} * p.size;
      for (uint32_t r = 0; r < step.rows; ++r)
        std::copy_n(block + uint64_t{r} * stride, p.size, out + uint64_t{r} * op_.q.cols);
      return;
    }
    const KvGroup& kv = step.device->kv(op_.kv.group);
    const bool key = number < queries() + op_.heads.kv_heads;
    const KvKernels& k = *step.device->table().kv[static_cast<size_t>(key ? kv.types.k : kv.types.v)];
    const auto store = [&](uint32_t row, PageId page, uint32_t slot) {
      std::byte* to = key ? kv.k(op_.kv.layer, page, p.index) + slot * kv.k_row
                          : kv.v(op_.kv.layer, page, p.index) + slot * kv.v_row;
      k.store(block + uint64_t{row} * stride, p.size, to);
    };
    for (const Slice& slice : step.inputs.slices) each_token(step, op_.kv.group, slice, store);
  }

  Qkv op_;
  Input in_;
};

class LogitsStage final : public Stage {
 public:
  LogitsStage(const Logits& o, Input in) : op_(o), in_(in) {}

  void run(Step& step, uint32_t thread) const override {
    const CpuDevice& d = *step.device;
    const RowKernels& k = *d.table().rows;
    const LoadedWeight& w = d.weight(op_.weight);
    const auto wanted = step.inputs.result_rows;
    if (wanted.empty()) return;
    const uint32_t cols = op_.in.cols;
    float* x = step.norm_rows(thread);
    // As many as the scratch memory has room for: the head is the largest matrix, and is read once for them.
    const uint32_t together = std::clamp(step.layout->rows, 8U, most_exact_rows);
    for (uint32_t n = 0; n < wanted.size(); n += together) {
      const auto some = std::min<uint32_t>(together, static_cast<uint32_t>(wanted.size()) - n);
      for (uint32_t i = 0; i < some; ++i) {
        read_row(step, in_.norm, step.act(in_.act) + uint64_t{wanted[n + i]} * cols, cols,
                 x + uint64_t{i} * cols);
      }
      ExactRows rows{x, cols, nullptr};
      if (w.packed != nullptr) rows.integers = round_exact(step, thread, x, some, cols, w.together());
      float* out = step.device->results().data() + uint64_t{n} * w.rows;
      step.shares->run(thread, units_of(w.rows, unit_rows), [&](uint32_t u) {
        const uint32_t first = u * unit_rows, count = std::min(unit_rows, w.rows - first);
        exact_product(w, 0, first, count, rows, some, out + first, w.rows);
        for (uint32_t i = 0; i < some; ++i) finish(d, k, first, count, out + uint64_t{i} * w.rows + first);
      });
    }
  }

 private:
  void finish(const CpuDevice& d, const RowKernels& k, uint32_t first, uint32_t count, float* y) const {
    finish_block(k, op_.scale, d.maybe(op_.bias), first, count, y);
    if (op_.soft_cap > 0) {
      for (uint32_t i = 0; i < count; ++i) y[i] = op_.soft_cap * std::tanh(y[i] / op_.soft_cap);
    }
  }

  Logits op_;
  Input in_;
};

// Small and rare: one thread does it.
class PoolStage final : public Stage {
 public:
  PoolStage(const Pool& o, Input in) : op_(o), in_(in) {}

  void run(Step& step, uint32_t thread) const override {
    if (thread != 0) return;
    float* out = step.device->results().data();
    if (op_.kind == PoolKind::mean) {
      for (const Slice& slice : step.inputs.slices) {
        sum(step, slice, out);
        out += op_.outputs;
      }
      return;
    }
    for (const uint32_t row : step.inputs.result_rows) {
      const float* x = step.act(in_.act) + uint64_t{row} * op_.in.cols;
      if (op_.classifier) {
        classify(step, x, out);
      } else {
        read_row(step, in_.norm, x, op_.in.cols, out);
      }
      out += op_.outputs;
    }
  }

 private:
  // The sum over the slice; the engine divides by the sequence's length when it has seen all of it.
  void sum(const Step& step, const Slice& slice, float* out) const {
    const RowKernels& k = *step.device->table().rows;
    std::fill_n(out, op_.outputs, 0.0F);
    for (uint32_t i = 0; i < slice.rows; ++i) {
      float* row = step.norm_rows(0);
      read_row(step, in_.norm, step.act(in_.act) + uint64_t{slice.first_row + i} * op_.in.cols, op_.in.cols,
               row);
      k.add(out, row, op_.outputs, out);
    }
  }

  void classify(const Step& step, const float* x, float* out) const {
    const RowKernels& k = *step.device->table().rows;
    float* row = step.norm_rows(0);
    read_row(step, in_.norm, x, op_.in.cols, row);
    exact_product(step.device->weight(op_.classifier), 0, 0, op_.outputs, {row, op_.in.cols, nullptr}, 1, out,
                  op_.outputs);
    finish_block(k, 1, step.device->maybe(op_.bias), 0, op_.outputs, out);
    const float total = k.exp_sum(out, op_.outputs, k.max(out, op_.outputs));
    k.scale(out, 1.0F / total, op_.outputs, out);
  }

  Pool op_;
  Input in_;
};

}  // namespace

std::unique_ptr<Stage> linear_stage(const Linear& op, Input in) {
  return std::make_unique<LinearStage>(op, in);
}
std::unique_ptr<Stage> gated_stage(const Gated& op, Input in) { return std::make_unique<GatedStage>(op, in); }
std::unique_ptr<Stage> qkv_stage(const Qkv& op, Input in) { return std::make_unique<QkvStage>(op, in); }
std::unique_ptr<Stage> logits_stage(const Logits& op, Input in) {
  return std::make_unique<LogitsStage>(op, in);
}
std::unique_ptr<Stage> pool_stage(const Pool& op, Input in) { return std::make_unique<PoolStage>(op, in); }

}  // namespace hearth::cpu
