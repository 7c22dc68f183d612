// Experts: multiplies with the chosen matrices.
#include <algorithm>

#include "device/cpu/experts.h"
#include "device/cpu/packed.h"
#include "device/cpu/project.h"

namespace hearth::cpu {
namespace {

// Every chosen expert's matrices are read once for all rows that chose it. A row's result does not depend on
// its neighbours: the kernels compute each row for itself, and its experts are added up in the order of their
// numbers.
class ExpertsStage final : public Stage {
 public:
  explicit ExpertsStage(const Experts& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const CpuDevice& d = *step.device;
    ThreadTeam& team = step.device->team();
    Work w = work(step);
    if (thread == 0) {
      step.next_unit.store(0, std::memory_order_relaxed);
      w.pairs.build(step.act(op_.route), op_.route.cols, step.rows, op_.used);
    }
    team.barrier();
    const uint32_t together = std::max(d.weight(op_.gate).together(), d.weight(op_.up).together());
    if (together > 0) {
      round(step, thread, w, op_.in.cols, together, [&](uint32_t p) { return input(step, w, p); });
      team.barrier();
    }
    hidden(step, thread, w);
    team.barrier();
    if (const uint32_t wanted = d.weight(op_.down).together(); wanted > 0) {
      const auto source = [&](uint32_t p) { return w.hidden + uint64_t{p} * op_.hidden; };
      round(step, thread, w, op_.hidden, wanted, source);
      team.barrier();
    }
    down(step, thread, w);
  }

 private:
  struct Work {
    PairLists pairs;
    float* hidden;        // [pairs][hidden]
    std::byte* integers;  // [pairs][integer_row(cols)]
  };

  Work work(const Step& step) const {
    const uint32_t experts = step.device->weight(op_.down).stack;
    // As it was planned, for the most rows of a step.
    const ExpertsSpace space = experts_space(step.layout->rows, op_, experts);
    auto* memory = reinterpret_cast<std::byte*>(step.shared_experts());
    return {PairLists(memory + space.lists, experts, step.layout->rows * op_.used),
            reinterpret_cast<float*>(memory), memory + space.integers};
  }

  const float* input(const Step& step, const Work& w, uint32_t pair) const {
    return step.act(op_.in) + uint64_t{w.pairs.row(pair)} * op_.in.cols;
  }

  // The rows of all pairs as integers; `source(pair)` gives the floats.
  template <class Source>
  void round(const Step& step, uint32_t thread, const Work& w, uint32_t cols, uint32_t together,
             Source&& source) const {
    const uint64_t pairs = w.pairs.pairs(), threads = step.device->team().size();
    const size_t bytes = integer_row(cols).bytes;
    for (uint64_t p = pairs * thread / threads; p < pairs * (thread + 1) / threads; ++p)
      step.device->table().round_row(source(static_cast<uint32_t>(p)), cols, together,
                                     w.integers + p * bytes);
  }

  // y[i·unit_rows + r − first] for the pairs of an expert. `source` as above, for weights that are not
  // packed.
  template <class Source>
  void multiply(const LoadedWeight& m, uint32_t expert, uint32_t first, uint32_t count, const Work& w,
                Source&& source, float* y) const {
    const uint32_t begin = w.pairs.first(expert), rows = w.pairs.count(expert);
    if (m.packed != nullptr) {
      m.product(m.strip(first, expert), count, m.cols, w.integers + begin * integer_row(m.cols).bytes, rows,
                y, unit_rows);
      return;
    }
    for (uint32_t i = 0; i < rows; ++i) {
      m.kernels->gemv(m.row(first, expert), m.row_bytes, count, m.cols, source(begin + i), m.cols, 1,
                      y + uint64_t{i} * unit_rows, unit_rows);
    }
  }

  // A unit is 64 hidden columns of one expert.
  void hidden(Step& step, uint32_t thread, const Work& w) const {
    const CpuDevice& d = *step.device;
    const RowKernels& k = *d.table().rows;
    const LoadedWeight &gate = d.weight(op_.gate), &up = d.weight(op_.up);
    const uint32_t blocks = (op_.hidden + unit_rows - 1) / unit_rows;
    const auto source = [&](uint32_t p) { return step.act(op_.in) + uint64_t{w.pairs.row(p)} * op_.in.cols; };
    for_units(step, thread, w.pairs.active() * blocks, [&](uint32_t unit) {
      const uint32_t e = w.pairs.active(unit / blocks), first = unit % blocks * unit_rows;
      const uint32_t count = std::min(unit_rows, op_.hidden - first);
      float* gates = step.block(thread);
      float* ups = gates + uint64_t{step.rows} * unit_rows;
      multiply(gate, e, first, count, w, source, gates);
      multiply(up, e, first, count, w, source, ups);
      for (uint32_t i = 0; i < w.pairs.count(e); ++i) {
        if (op_.scale_gate != 1.0F) k.scale(gates, op_.scale_gate, count, gates);
        if (op_.scale_up != 1.0F) k.scale(ups, op_.scale_up, count, ups);
        k.gated(static_cast<Activation>(op_.act), gates, ups, count,
                w.hidden + uint64_t{w.pairs.first(e) + i} * op_.hidden + first);
        gates += unit_rows;
        ups += unit_rows;
      }
    });
  }

  // A unit is 64 columns of the result, of all experts: nobody else adds to them.
  void down(const Step& step, uint32_t thread, const Work& w) const {
    const LoadedWeight& m = step.device->weight(op_.down);
    const uint32_t blocks = (m.rows + unit_rows - 1) / unit_rows, threads = step.device->team().size();
    const auto source = [&](uint32_t p) { return w.hidden + uint64_t{p} * op_.hidden; };
    for (uint32_t b = thread; b < blocks; b += threads) {
      const uint32_t first = b * unit_rows, count = std::min(unit_rows, m.rows - first);
      float* out = step.act(op_.out) + first;
      begin(step, first, count);
      for (uint32_t a = 0; a < w.pairs.active(); ++a) {
        const uint32_t e = w.pairs.active(a), pair = w.pairs.first(e);
        const float* part = step.block(thread);
        multiply(m, e, first, count, w, source, step.block(thread));
        for (uint32_t i = 0; i < w.pairs.count(e); ++i, part += unit_rows) {
          float* row = out + uint64_t{w.pairs.row(pair + i)} * op_.out.cols;
          const float factor = w.pairs.weight(pair + i) * op_.scale_down;
          for (uint32_t c = 0; c < count; ++c) row[c] += factor * part[c];
        }
      }
    }
  }

  // The residual, or zeros.
  void begin(const Step& step, uint32_t first, uint32_t count) const {
    for (uint32_t r = 0; r < step.rows; ++r) {
      float* out = step.act(op_.out) + uint64_t{r} * op_.out.cols + first;
      if (op_.residual) {
        std::copy_n(step.act(op_.residual) + uint64_t{r} * op_.out.cols + first, count, out);
      } else {
        std::fill_n(out, count, 0.0F);
      }
    }
  }

  Experts op_;
};

}  // namespace

std::unique_ptr<Stage> experts_stage(const Experts& op) { return std::make_unique<ExpertsStage>(op); }

}  // namespace hearth::cpu
