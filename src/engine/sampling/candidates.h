#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/sampler.h"

// The cuts: each takes the candidates that are left and removes some, never all. What they leave is ordered
// by the candidates alone (score or oddness, then id; or as it came), never by a library's sorting algorithm.
namespace hearth::sampling {

using Candidates = std::vector<Candidate>;

// Higher score first; of equals the lower id.
inline bool better(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.token < b.token);
}

// Where scores are +infinity, only those remain, as equals: all that follows can subtract and divide.
void settle_infinities(Candidates& c);
// Sets the weights to e^(score / temperature), relative to the best score.
void weigh(Candidates& c, float temperature);
double total_weight(const Candidates& c);

// Brings the `count` best to the front, in order; the others stay behind them in no order.
void order_best(Candidates& c, size_t count);
// order_best and nothing else.
void keep_best(Candidates& c, size_t count);
// The fewest of the best whose weight reaches the share `p` of the whole.
void keep_top_p(Candidates& c, double p);
// The same with those first whose surprise is nearest to the entropy: locally typical sampling (Meister et
// al. 2022). Weights must be at temperature 1.
void keep_typical(Candidates& c, double p);
// Those with at least `p` times the largest weight.
void keep_min_p(Candidates& c, double p);

// Standard deviation of the scores that are finite numbers; 0 where there are none.
float spread_of(std::span<const float> scores);
// Those whose score is at most `n` times `spread` below the best (Tang et al. 2024, "top-nσ").
void keep_n_sigma(Candidates& c, float n, float spread);
// Where several have at least the share `threshold` of the whole weight, all of them go but the least likely
// one: "exclude top choices".
void drop_obvious(Candidates& c, double threshold);

// Mirostat (Basu et al. 2021) bounds the surprise by `mu` bits: version 1 estimates the exponent of the tail
// and derives a top-k, version 2 looks at each token's own surprise.
void keep_mirostat_1(Candidates& c, double mu, uint32_t vocabulary);
void keep_mirostat_2(Candidates& c, double mu);

}  // namespace hearth::sampling
