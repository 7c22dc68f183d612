// Stages of a mixture of experts: Route chooses, Experts multiplies with the chosen matrices.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "device/cpu/project.h"

namespace hearth::cpu {
namespace {

class RouteStage final : public Stage {
 public:
  explicit RouteStage(const Route& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const LoadedWeight& w = step.device->weight(op_.router);
    const uint32_t threads = step.device->team().size();
    for (uint32_t r = thread; r < step.rows; r += threads) {
      float* scores = step.block(thread);
      exact_product(w, 0, 0, op_.experts,
                    {step.act(op_.in) + uint64_t{r} * op_.in.cols, op_.in.cols, nullptr}, 1, scores,
                    op_.experts);
      choose(step, scores, step.act(op_.out) + uint64_t{r} * op_.out.cols);
    }
  }

 private:
  void softmax(const Step& step, float* x, uint32_t n) const {
    const RowKernels& k = *step.device->table().rows;
    k.scale(x, 1.0F / k.exp_sum(x, n, k.max(x, n)), n, x);
  }

  // The best `used` experts, lowest number first among equals, with their weights.
  void choose(const Step& step, float* scores, float* out) const {
    if (op_.softmax_before) softmax(step, scores, op_.experts);
    float* weights = out + op_.used;
    for (uint32_t u = 0; u < op_.used; ++u) {
      const auto best = static_cast<uint32_t>(std::max_element(scores, scores + op_.experts) - scores);
      out[u] = static_cast<float>(best);
      weights[u] = scores[best];
      scores[best] = -std::numeric_limits<float>::infinity();
    }
    if (!op_.softmax_before) softmax(step, weights, op_.used);
    float sum = 0;
    for (uint32_t u = 0; u < op_.used; ++u) sum += weights[u];
    const float factor = op_.softmax_before && op_.renormalise ? op_.scale / sum : op_.scale;
    for (uint32_t u = 0; u < op_.used; ++u) weights[u] *= factor;
  }

  Route op_;
};

// Two parts with a barrier between: hidden rows of every (row, expert) pair, then the way back. Each pair is
// computed with the generation kernels, so that a row's result does not depend on its neighbours.
class ExpertsStage final : public Stage {
 public:
  explicit ExpertsStage(const Experts& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    hidden(step, thread);
    step.device->team().barrier();
    down(step, thread);
  }

 private:
  uint32_t expert(const Step& step, uint32_t row, uint32_t u) const {
    return static_cast<uint32_t>(step.act(op_.route)[uint64_t{row} * op_.route.cols + u]);
  }
  float weight(const Step& step, uint32_t row, uint32_t u) const {
    return step.act(op_.route)[uint64_t{row} * op_.route.cols + op_.used + u];
  }
  float* hidden_row(const Step& step, uint32_t row, uint32_t u) const {
    return step.shared_experts() + (uint64_t{row} * op_.used + u) * op_.hidden;
  }

  void hidden(Step& step, uint32_t thread) const {
    const CpuDevice& d = *step.device;
    const RowKernels& k = *d.table().rows;
    const LoadedWeight &gate = d.weight(op_.gate), &up = d.weight(op_.up);
    const uint32_t blocks = (op_.hidden + unit_rows - 1) / unit_rows, threads = step.device->team().size();
    std::array<float, unit_rows> gates, ups;
    for (uint32_t b = thread; b < blocks; b += threads) {
      const uint32_t first = b * unit_rows, count = std::min(unit_rows, op_.hidden - first);
      for (uint32_t r = 0; r < step.rows; ++r) {
        const float* x = step.act(op_.in) + uint64_t{r} * op_.in.cols;
        for (uint32_t u = 0; u < op_.used; ++u) {
          const uint32_t e = expert(step, r, u);
          exact_product(gate, e, first, count, {x, op_.in.cols, nullptr}, 1, gates.data(), unit_rows);
          exact_product(up, e, first, count, {x, op_.in.cols, nullptr}, 1, ups.data(), unit_rows);
          if (op_.scale_gate != 1.0F) k.scale(gates.data(), op_.scale_gate, count, gates.data());
          if (op_.scale_up != 1.0F) k.scale(ups.data(), op_.scale_up, count, ups.data());
          k.gated(static_cast<Activation>(op_.act), gates.data(), ups.data(), count,
                  hidden_row(step, r, u) + first);
        }
      }
    }
  }

  void down(Step& step, uint32_t thread) const {
    const CpuDevice& d = *step.device;
    const LoadedWeight& w = d.weight(op_.down);
    const uint32_t blocks = (w.rows + unit_rows - 1) / unit_rows, threads = step.device->team().size();
    std::array<float, unit_rows> part, sum;
    for (uint32_t b = thread; b < blocks; b += threads) {
      const uint32_t first = b * unit_rows, count = std::min(unit_rows, w.rows - first);
      for (uint32_t r = 0; r < step.rows; ++r) {
        sum.fill(0);
        for (uint32_t u = 0; u < op_.used; ++u) {
          exact_product(w, expert(step, r, u), first, count, {hidden_row(step, r, u), op_.hidden, nullptr}, 1,
                        part.data(), unit_rows);
          const float factor = weight(step, r, u) * op_.scale_down;
          for (uint32_t i = 0; i < count; ++i) sum[i] += factor * part[i];
        }
        float* out = step.act(op_.out) + uint64_t{r} * op_.out.cols + first;
        const float* residual =
            op_.residual ? step.act(op_.residual) + uint64_t{r} * op_.out.cols + first : nullptr;
        for (uint32_t i = 0; i < count; ++i) out[i] = sum[i] + (residual != nullptr ? residual[i] : 0.0F);
      }
    }
  }

  Experts op_;
};

}  // namespace

std::unique_ptr<Stage> route_stage(const Route& op) { return std::make_unique<RouteStage>(op); }
std::unique_ptr<Stage> experts_stage(const Experts& op) { return std::make_unique<ExpertsStage>(op); }

}  // namespace hearth::cpu
