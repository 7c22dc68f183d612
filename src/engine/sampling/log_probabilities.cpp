#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "engine/sampler.h"
#include "engine/sampling/candidates.h"
#include "engine/sampling/exponential.h"

namespace hearth {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// Logarithm of a token's probability, given the best score and the logarithm of the sum relative to it.
double log_probability(float score, float best, double log_sum) {
  if (!(score > -infinity)) return -std::numeric_limits<double>::infinity();
  if (score == best) return -log_sum;  // also where both are +infinity
  return static_cast<double>(score) - static_cast<double>(best) - log_sum;
}

std::vector<Candidate> best_of(std::span<const float> logits, size_t count) {
  std::vector<Candidate> best;
  if (count == 0) return best;
  const size_t room = std::max<size_t>(64, 2 * std::min(count, logits.size()));
  best.reserve(room);
  float least = -infinity;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > least)) continue;
    best.push_back({logits[i], static_cast<int32_t>(i), 0});
    if (best.size() < room) continue;
    sampling::keep_best(best, count);
    least = best.back().score;
  }
  sampling::keep_best(best, count);
  return best;
}

}  // namespace

LogProbabilities log_probabilities(std::span<const float> logits, TokenId chosen, size_t count) {
  float best = -infinity;
  for (const float x : logits) best = x > best ? x : best;
  if (best == -infinity) {
    throw Error(Code::device_lost, "the model's scores are not numbers",
                "the model file may be damaged: verify it, or try HEARTH_CPU=portable");
  }
  double sum = 0;
  for (const float x : logits) {
    sum += x == best ? 1.0 : sampling::exponential(static_cast<double>(x) - static_cast<double>(best));
  }
  const double log_sum = std::log(sum);
  LogProbabilities out;
  const bool known = chosen.value >= 0 && static_cast<size_t>(chosen.value) < logits.size();
  out.chosen = log_probability(known ? logits[static_cast<size_t>(chosen.value)] : -infinity, best, log_sum);
  for (const Candidate& c : best_of(logits, count))
    out.best.push_back({{c.token}, log_probability(c.score, best, log_sum)});
  return out;
}

}  // namespace hearth
