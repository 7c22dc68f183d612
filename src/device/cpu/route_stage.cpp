// Route: which experts a row goes to, and with which weights.
#include <algorithm>
#include <cmath>
#include <limits>

#include "device/cpu/project.h"

namespace hearth::cpu {
namespace {

constexpr float never = -std::numeric_limits<float>::infinity();

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
    if (op_.scores == RouteScores::softmax) softmax(step, scores, op_.experts);
    if (op_.scores == RouteScores::sigmoid) {
      for (uint32_t e = 0; e < op_.experts; ++e) scores[e] = 1.0F / (1.0F + std::exp(-scores[e]));
    }
    float* ranks = scores + op_.experts;
    rank(step, scores, ranks);
    float* weights = out + op_.used;
    for (uint32_t u = 0; u < op_.used; ++u) {
      const auto best = static_cast<uint32_t>(std::max_element(ranks, ranks + op_.experts) - ranks);
      out[u] = static_cast<float>(best);
      weights[u] = scores[best];
      ranks[best] = never;
    }
    if (op_.scores == RouteScores::softmax_of_chosen) softmax(step, weights, op_.used);
    weigh(weights);
  }

  void weigh(float* weights) const {
    // Sigmoids may all be next to nothing; what is smaller than the smallest normal half counts as that.
    constexpr float least = 0x1p-14F;
    float sum = 0;
    for (uint32_t u = 0; u < op_.used; ++u) sum += weights[u];
    const bool divide = op_.renormalise && op_.scores != RouteScores::softmax_of_chosen;
    const float factor = divide ? op_.scale / std::max(sum, least) : op_.scale;
    for (uint32_t u = 0; u < op_.used; ++u) weights[u] *= factor;
  }

  // What the experts are chosen by; behind the ranks lie those of the groups.
  void rank(const Step& step, const float* scores, float* ranks) const {
    std::copy_n(scores, op_.experts, ranks);
    const LoadedWeight* bias = step.device->maybe(op_.bias);
    if (bias != nullptr) step.device->table().rows->add(ranks, bias->values(), op_.experts, ranks);
    // What is no number ranks last, as −∞ does (max takes its first operand then); `never` is for what is
    // taken.
    constexpr float least = -0x1p100F;
    for (uint32_t e = 0; e < op_.experts; ++e) ranks[e] = std::max(least, ranks[e]);
    if (op_.groups <= 1) return;
    const uint32_t size = op_.experts / op_.groups;
    float* groups = ranks + op_.experts;
    for (uint32_t g = 0; g < op_.groups; ++g)
      groups[g] = rank_of_group(ranks + g * size, size, bias != nullptr);
    // The best groups are marked by a rank that no other can have.
    for (uint32_t u = 0; u < op_.groups_used; ++u) *std::max_element(groups, groups + op_.groups) = never;
    for (uint32_t g = 0; g < op_.groups; ++g) {
      if (groups[g] != never) std::fill_n(ranks + g * size, size, never);
    }
  }

  static float rank_of_group(const float* ranks, uint32_t size, bool two) {
    float best = never, second = never;
    for (uint32_t i = 0; i < size; ++i) {
      if (ranks[i] > best) {
        second = best;
        best = ranks[i];
      } else {
        second = std::max(second, ranks[i]);
      }
    }
    return two && size > 1 ? best + second : best;
  }

  Route op_;
};

}  // namespace

uint64_t route_floats(const Route& op) noexcept { return 2 * uint64_t{op.experts} + op.groups; }

std::unique_ptr<Stage> route_stage(const Route& op) { return std::make_unique<RouteStage>(op); }

}  // namespace hearth::cpu
