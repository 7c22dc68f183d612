// Stages that multiply with weights: Linear, Qkv, Gated, Logits, Pool.
#include <algorithm>
#include <cmath>

#include "device/cpu/project.h"

namespace hearth::cpu {
namespace {

uint32_t units_of(uint32_t rows) { return (rows + unit_rows - 1) / unit_rows; }

class LinearStage final : public Stage {
 public:
  LinearStage(const Linear& o, Input in) : op_(o), in_(in) {}

  void run(Step& step, uint32_t thread) const override {
    const Projector projector(step, thread, in_, {op_.weight});
    const LoadedWeight& w = step.device->weight(op_.weight);
    for_units(step, thread, units_of(w.rows), [&](uint32_t u) {
      const uint32_t first = u * unit_rows, count = std::min(unit_rows, w.rows - first);
      projector.multiply(w, first, count, step.block(thread), unit_rows);
      finish(step, step.block(thread), first, count);
    });
  }

 private:
  void finish(const Step& step, float* block, uint32_t first, uint32_t count) const {
    const RowKernels& k = *step.device->table().rows;
    const LoadedWeight* bias = step.device->maybe(op_.bias);
    float* out = step.act(op_.out) + first;
    const float* residual = op_.residual ? step.act(op_.residual) + first : nullptr;
    for (uint32_t r = 0; r < step.rows; ++r, block += unit_rows, out += op_.out.cols) {
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
    for_units(step, thread, units_of(gate.rows), [&](uint32_t u) {
      const uint32_t first = u * unit_rows, count = std::min(unit_rows, gate.rows - first);
      float* gates = step.block(thread);
      float* ups = gates + uint64_t{step.rows} * unit_rows;
      projector.multiply(gate, first, count, gates, unit_rows);
      projector.multiply(up, first, count, ups, unit_rows);
      float* out = step.act(op_.out) + first;
      for (uint32_t r = 0; r < step.rows; ++r, gates += unit_rows, ups += unit_rows, out += op_.out.cols) {
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

// A unit is a head: whoever computes it also norms, rotates and stores it.
class QkvStage final : public Stage {
 public:
  QkvStage(const Qkv& o, Input in) : op_(o), in_(in) {}

  void run(Step& step, uint32_t thread) const override {
    const Projector projector(step, thread, in_, {op_.wq, op_.wk, op_.wv});
    const HeadShape& h = op_.heads;
    for_units(step, thread, h.q_heads + 2 * h.kv_heads, [&](uint32_t u) {
      if (u < h.q_heads) {
        query(step, thread, projector, u);
      } else if (u < h.q_heads + h.kv_heads) {
        key(step, thread, projector, u - h.q_heads);
      } else {
        value(step, thread, projector, u - h.q_heads - h.kv_heads);
      }
    });
  }

 private:
  struct Side {
    Weight w, bias, norm;
    float scale;
    uint32_t size;
    bool rotate;
  };

  // The head's rows for all rows of the step, in the thread's block [rows × size].
  float* head(const Step& step, uint32_t thread, const Projector& projector, uint32_t index,
              const Side& side) const {
    const CpuDevice& d = *step.device;
    const RowKernels& k = *d.table().rows;
    float* block = step.block(thread);
    projector.multiply(d.weight(side.w), index * side.size, side.size, block, side.size);
    const LoadedWeight* gain = d.maybe(side.norm);
    for (uint32_t r = 0; r < step.rows; ++r) {
      float* x = block + uint64_t{r} * side.size;
      finish_block(k, side.scale, d.maybe(side.bias), index * side.size, side.size, x);
      if (gain != nullptr) k.rms_norm(x, gain->values(), side.size, op_.eps, x);
      if (side.rotate) rotate(step, op_.rope, x, r);
    }
    return block;
  }

  void query(const Step& step, uint32_t thread, const Projector& projector, uint32_t index) const {
    const uint32_t size = op_.heads.k_size, parts = op_.gated ? 2 : 1;
    for (uint32_t part = 0; part < parts; ++part) {
      const bool gate = part == 1;
      const Side side{op_.wq, op_.bq, gate ? Weight{} : op_.q_norm, op_.scale_q, size, !gate};
      const float* block = head(step, thread, projector, index * parts + part, side);
      float* out = step.act(op_.q) + uint64_t{index * parts + part} * size;
      for (uint32_t r = 0; r < step.rows; ++r)
        std::copy_n(block + uint64_t{r} * size, size, out + uint64_t{r} * op_.q.cols);
    }
  }

  void key(const Step& step, uint32_t thread, const Projector& projector, uint32_t index) const {
    const uint32_t size = op_.heads.k_size;
    const float* block =
        head(step, thread, projector, index, {op_.wk, op_.bk, op_.k_norm, op_.scale_k, size, true});
    const KvGroup& kv = step.device->kv(op_.kv.group);
    const KvKernels& k = *step.device->table().kv[static_cast<size_t>(kv.types.k)];
    each_row(step, [&](uint32_t row, PageId page, uint32_t slot) {
      k.store(block + uint64_t{row} * size, size, kv.k(op_.kv.layer, page, index) + slot * kv.k_row);
    });
  }

  void value(const Step& step, uint32_t thread, const Projector& projector, uint32_t index) const {
    const uint32_t size = op_.heads.v_size;
    const float* block = head(step, thread, projector, index, {op_.wv, op_.bv, {}, op_.scale_v, size, false});
    const KvGroup& kv = step.device->kv(op_.kv.group);
    const KvKernels& k = *step.device->table().kv[static_cast<size_t>(kv.types.v)];
    each_row(step, [&](uint32_t row, PageId page, uint32_t slot) {
      k.store(block + uint64_t{row} * size, size, kv.v(op_.kv.layer, page, index) + slot * kv.v_row);
    });
  }

  template <class F>
  void each_row(const Step& step, F&& f) const {
    for (const Slice& slice : step.inputs.slices) each_token(step, op_.kv.group, slice, f);
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
    const uint32_t units = units_of(w.rows), threads = step.device->team().size();
    const uint32_t begin = static_cast<uint32_t>(uint64_t{units} * thread / threads);
    const uint32_t end = static_cast<uint32_t>(uint64_t{units} * (thread + 1) / threads);
    for (uint32_t n = 0; n < wanted.size(); n += together) {
      const auto some = std::min<uint32_t>(together, static_cast<uint32_t>(wanted.size()) - n);
      for (uint32_t i = 0; i < some; ++i) {
        read_row(step, in_.norm, step.act(in_.act) + uint64_t{wanted[n + i]} * cols, cols,
                 x + uint64_t{i} * cols);
      }
      ExactRows rows{x, cols, nullptr};
      if (w.packed != nullptr) rows.integers = round_exact(step, thread, x, some, cols, w.together());
      float* out = step.device->results().data() + uint64_t{n} * w.rows;
      for (uint32_t u = begin; u < end; ++u) {
        const uint32_t first = u * unit_rows, count = std::min(unit_rows, w.rows - first);
        exact_product(w, 0, first, count, rows, some, out + first, w.rows);
        for (uint32_t i = 0; i < some; ++i) finish(d, k, first, count, out + uint64_t{i} * w.rows + first);
      }
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
