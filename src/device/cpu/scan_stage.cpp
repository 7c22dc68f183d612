// Scan: each thread takes heads through all tokens of the step, so that their state stays in its caches.
#include <algorithm>
#include <cmath>

#include "device/cpu/carried.h"
#include "device/cpu/project.h"

namespace hearth::cpu {
namespace {

class ScanStage final : public Stage {
 public:
  explicit ScanStage(const Scan& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    // Heads of one channel that share b and c go together, others alone.
    const uint32_t each = op_.size == 1 && op_.groups == 1 ? scan_heads : 1;
    const uint64_t threads = step.device->team().size(), units = (op_.heads + each - 1) / each;
    for (auto u = static_cast<uint32_t>(units * thread / threads); u < units * (thread + 1) / threads; ++u) {
      const Heads heads{u * each, std::min(each, op_.heads - u * each), step.block(thread)};
      time_steps(step, heads);
      for (size_t s = 0; s < step.inputs.slices.size(); ++s) scan(step, s, heads);
    }
  }

 private:
  struct Heads {
    uint32_t first, count;
    float* time;  // [rows of the step][count]
  };

  // How far each token takes the heads: softplus(step + bias).
  void time_steps(const Step& step, const Heads& h) const {
    if (op_.project) {
      exact_product(step.device->weight(op_.project), 0, h.first, h.count,
                    {columns(step, op_.step, 0), op_.step.act.cols, nullptr}, step.rows, h.time, h.count);
    } else {
      for (uint32_t r = 0; r < step.rows; ++r)
        std::copy_n(columns(step, op_.step, r) + h.first, h.count, h.time + uint64_t{r} * h.count);
    }
    const float* bias = step.device->weight(op_.step_bias).values() + h.first;
    for (uint32_t r = 0; r < step.rows; ++r) {
      float* time = h.time + uint64_t{r} * h.count;
      step.device->table().state->softplus(time, bias, h.count, time);
    }
  }

  void scan(const Step& step, size_t s, const Heads& h) const {
    const Slice& slice = step.inputs.slices[s];
    const uint64_t channels = uint64_t{h.count} * op_.size;
    float* state = state_of(step, op_.state, s) + uint64_t{h.first} * op_.size * op_.states;
    if (slice.cached == 0) std::fill_n(state, channels * op_.states, 0.0F);
    for (uint32_t i = 0; i < slice.rows; ++i) token(step, slice.first_row + i, h, state);
  }

  void token(const Step& step, uint32_t row, const Heads& h, float* state) const {
    const uint32_t first = h.first * op_.size, group = h.first / (op_.heads / op_.groups);
    const float* x = columns(step, op_.x, row) + first;
    const float* b = columns(step, op_.b, row) + uint64_t{group} * op_.states;
    const float* c = columns(step, op_.c, row) + uint64_t{group} * op_.states;
    const float* time = h.time + uint64_t{row} * h.count;
    float* out = step.act(op_.out) + uint64_t{row} * op_.out.cols + first;
    const StateKernels& k = *step.device->table().state;
    const LoadedWeight& a = step.device->weight(op_.a);
    if (op_.each_state) {
      k.scan(state, a.values() + uint64_t{h.first} * op_.states, time, x, b, c, op_.states, h.count, out);
    } else {
      for (uint32_t i = 0; i < h.count; ++i) {
        const float decay = std::exp(time[i] * a.values()[h.first + i]);
        k.scan_head(state + uint64_t{i} * op_.size * op_.states, decay, time[i], x + uint64_t{i} * op_.size,
                    b, c, op_.states, op_.size, out + uint64_t{i} * op_.size);
      }
    }
    finish(step, row, h, x, out);
  }

  // What goes past the state, and the gate.
  void finish(const Step& step, uint32_t row, const Heads& h, const float* x, float* out) const {
    const float* skip = step.device->weight(op_.skip).values() + h.first;
    const uint32_t channels = h.count * op_.size;
    for (uint32_t i = 0; i < channels; ++i) out[i] += skip[i / op_.size] * x[i];
    const float* gate = columns(step, op_.gate, row) + h.first * op_.size;
    step.device->table().rows->gated(Activation::silu, gate, out, channels, out);
  }

  Scan op_;
};

}  // namespace

std::unique_ptr<Stage> scan_stage(const Scan& op) { return std::make_unique<ScanStage>(op); }

}  // namespace hearth::cpu
