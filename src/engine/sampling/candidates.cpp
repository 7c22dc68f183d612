#include "engine/sampling/candidates.h"

#include <algorithm>
#include <cmath>

#include "engine/sampling/exponential.h"

namespace hearth::sampling {
namespace {

ptrdiff_t offset(size_t n) { return static_cast<ptrdiff_t>(n); }

float best_score(const Candidates& c) {
  float best = c.front().score;
  for (const Candidate& x : c) best = std::max(best, x.score);
  return best;
}

double largest_weight(const Candidates& c) {
  double largest = 0;
  for (const Candidate& x : c) largest = std::max(largest, x.weight);
  return largest;
}

// Keeps the shortest front, in the order of `before`, whose weight reaches `share` of the whole. Only as much
// as is kept gets sorted, in growing steps: of a vocabulary of 150,000 a few hundred tokens usually do.
template <class Before>
void keep_share(Candidates& c, double share, Before before) {
  const double wanted = share * total_weight(c);
  double sum = 0;
  size_t kept = 0;
  for (size_t step = 128; kept < c.size(); step *= 4) {
    const size_t until = std::min(c.size(), kept + step);
    const auto first = c.begin() + offset(kept), last = c.begin() + offset(until);
    if (until < c.size()) std::nth_element(first, last, c.end(), before);
    std::sort(first, last, before);
    while (kept < until) {
      sum += c[kept++].weight;
      if (sum >= wanted) return c.resize(kept);
    }
  }
}

}  // namespace

void settle_infinities(Candidates& c) {
  if (!std::isinf(best_score(c))) return;
  std::erase_if(c, [](const Candidate& x) { return !std::isinf(x.score); });
  for (Candidate& x : c) x.score = 0;
}

void weigh(Candidates& c, float temperature) {
  const double best = best_score(c), by = temperature;
  // The difference first: a tiny temperature would make infinities of the scores themselves.
  for (Candidate& x : c) x.weight = exponential((static_cast<double>(x.score) - best) / by);
}

double total_weight(const Candidates& c) {
  double sum = 0;
  for (const Candidate& x : c) sum += x.weight;
  return sum;
}

void order_best(Candidates& c, size_t count) {
  count = std::min(count, c.size());
  if (count < c.size()) std::nth_element(c.begin(), c.begin() + offset(count), c.end(), better);
  std::sort(c.begin(), c.begin() + offset(count), better);
}

void keep_best(Candidates& c, size_t count) {
  order_best(c, count);
  if (count < c.size()) c.resize(count);
}

void keep_top_p(Candidates& c, double p) { keep_share(c, p, better); }

void keep_typical(Candidates& c, double p) {
  const double best = best_score(c), total = total_weight(c);
  // The surprise of a token is ln(total) − (score − best); the entropy is its mean. Both share ln(total).
  double mean = 0;
  for (const Candidate& x : c) mean += x.weight / total * (static_cast<double>(x.score) - best);
  const auto oddness = [&](const Candidate& x) {
    return std::fabs((static_cast<double>(x.score) - best) - mean);
  };
  keep_share(c, p, [&](const Candidate& a, const Candidate& b) {
    const double x = oddness(a), y = oddness(b);
    return x < y || (x == y && a.token < b.token);
  });
}

void keep_min_p(Candidates& c, double p) {
  const double least = p * largest_weight(c);
  std::erase_if(c, [least](const Candidate& x) { return x.weight < least; });
}

float spread_of(std::span<const float> scores) {
  double sum = 0, squares = 0, count = 0;
  for (const float score : scores) {
    if (!std::isfinite(score)) continue;
    const double x = score;
    sum += x;
    squares += x * x;
    count += 1;
  }
  if (count == 0) return 0;
  const double mean = sum / count;
  return static_cast<float>(std::sqrt(std::max(0.0, squares / count - mean * mean)));
}

void keep_n_sigma(Candidates& c, float n, float spread) {
  const float least = best_score(c) - n * spread;
  std::erase_if(c, [least](const Candidate& x) { return x.score < least; });
}

void drop_obvious(Candidates& c, double threshold) {
  const double least = threshold * total_weight(c);
  const Candidate* last = nullptr;
  size_t obvious = 0;
  for (const Candidate& x : c) {
    if (x.weight < least) continue;
    ++obvious;
    if (last == nullptr || better(*last, x)) last = &x;
  }
  if (obvious < 2) return;
  const int32_t kept = last->token;
  std::erase_if(c, [&](const Candidate& x) { return x.weight >= least && x.token != kept; });
}

void keep_mirostat_1(Candidates& c, double mu, uint32_t vocabulary) {
  constexpr size_t looked_at = 100;
  order_best(c, looked_at);
  double above = 0, below = 0;
  for (size_t i = 0; i + 1 < std::min(looked_at, c.size()) && c[i + 1].weight > 0; ++i) {
    const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
    above += t * std::log(c[i].weight / c[i + 1].weight);
    below += t * t;
  }
  const double s = below > 0 ? above / below : 1, epsilon = s - 1;
  // The quotient's limit where the exponent is 1 is 1 / ln(vocabulary).
  const double spread = std::fabs(epsilon) < 1e-9 ? 1 / std::log(std::max(2.0, double{1} * vocabulary))
                                                  : epsilon / (1 - std::pow(vocabulary, -epsilon));
  const double k = std::pow(spread * std::exp2(mu), 1 / s);
  if (k < static_cast<double>(c.size())) keep_best(c, static_cast<size_t>(std::max(1.0, k)));
}

void keep_mirostat_2(Candidates& c, double mu) {
  const double least = total_weight(c) * std::exp2(-mu);
  // Where even the likeliest is too surprising, it is the one.
  if (!(largest_weight(c) >= least)) return keep_best(c, 1);
  std::erase_if(c, [least](const Candidate& x) { return x.weight < least; });
}

}  // namespace hearth::sampling
