// Delta: each thread takes heads through all tokens of the step, so that their state stays in its caches.
#include <algorithm>
#include <cmath>

#include "device/cpu/carried.h"

namespace hearth::cpu {
namespace {

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

class DeltaStage final : public Stage {
 public:
  explicit DeltaStage(const Delta& o) : op_(o), scale_(1.0F / std::sqrt(static_cast<float>(o.size))) {}

  void run(Step& step, uint32_t thread) const override {
    const uint64_t threads = step.device->team().size(), state = uint64_t{op_.size} * op_.size;
    const auto end = static_cast<uint32_t>(uint64_t{op_.heads} * (thread + 1) / threads);
    for (auto h = static_cast<uint32_t>(uint64_t{op_.heads} * thread / threads); h < end; ++h) {
      for (size_t s = 0; s < step.inputs.slices.size(); ++s) {
        const Slice& slice = step.inputs.slices[s];
        float* at = state_of(step, op_.state, s) + h * state;
        if (slice.cached == 0) std::fill_n(at, state, 0.0F);
        for (uint32_t i = 0; i < slice.rows; ++i) token(step, step.block(thread), slice.first_row + i, h, at);
      }
    }
  }

 private:
  // space: a key and a query.
  void token(const Step& step, float* space, uint32_t row, uint32_t h, float* state) const {
    const StateKernels& k = *step.device->table().state;
    const RowKernels& rows = *step.device->table().rows;
    const uint32_t size = op_.size, own = h * size;
    const uint32_t shared = (op_.turns ? h % op_.key_heads : h / (op_.heads / op_.key_heads)) * size;
    float *key = space, *query = space + size;
    k.unit(columns(step, op_.k, row) + shared, size, op_.eps, 1.0F, key);
    k.unit(columns(step, op_.q, row) + shared, size, op_.eps, scale_, query);
    float time = columns(step, op_.alpha, row)[h];
    k.softplus(&time, step.device->weight(op_.alpha_bias).values() + h, 1, &time);
    const float decay = std::exp(step.device->weight(op_.a).values()[h] * time);
    float* out = step.act(op_.out) + uint64_t{row} * op_.out.cols + own;
    k.delta(state, decay, sigmoid(columns(step, op_.beta, row)[h]), key, query,
            columns(step, op_.v, row) + own, size, size, out);
    rows.rms_norm(out, step.device->weight(op_.gain).values(), size, op_.eps, out);
    rows.gated(Activation::silu, columns(step, op_.gate, row) + own, out, size, out);
  }

  Delta op_;
  float scale_;
};

}  // namespace

std::unique_ptr<Stage> delta_stage(const Delta& op) { return std::make_unique<DeltaStage>(op); }

}  // namespace hearth::cpu
