#include <algorithm>
#include <cmath>

#include "device/cpu/portable/kernels.h"

namespace hearth::cpu::portable {
namespace {

void pack_queries(const float* const* q, uint32_t k_size, float factor, void* panel, float* scale) {
  auto* to = static_cast<float*>(panel);
  for (uint32_t d = 0; d < k_size; ++d) {
    for (uint32_t i = 0; i < attend_lanes; ++i) *to++ = q[i] != nullptr ? factor * q[i][d] : 0.0F;
  }
  std::fill_n(scale, attend_lanes, 1.0F);
}

// Scores of one query, hidden ones far below all others; their maximum.
float scores_of(const AttendBlock& b, uint32_t panel, uint32_t lane, float (&s)[attend_tokens]) {
  const auto* q = static_cast<const float*>(b.q) + panel * b.q_step + lane;
  const auto* k = static_cast<const float*>(b.k);
  const uint32_t own = b.position[panel * attend_lanes + lane];
  float best = attend_hidden;
  for (uint32_t t = 0; t < b.tokens; ++t, k += b.k_size) {
    const uint32_t seen = b.at + t;
    const bool hidden = (b.causal && seen > own) || (b.window != 0 && seen + b.window <= own);
    float sum = 0;
    for (uint32_t d = 0; d < b.k_size; ++d) sum += k[d] * q[size_t{d} * attend_lanes];
    if (b.soft_cap > 0) sum = b.soft_cap * std::tanh(sum / b.soft_cap);
    s[t] = hidden ? attend_hidden : sum;
    best = std::max(best, s[t]);
  }
  return best;
}

void attend_lane(const AttendBlock& b, uint32_t panel, uint32_t lane) {
  float s[attend_tokens];
  const uint32_t at = panel * attend_lanes + lane;
  const float best = std::max(b.best[at], scores_of(b, panel, lane, s));
  const float down = std::exp(b.best[at] - best);
  float* acc = b.acc + size_t{panel} * b.v_size * attend_lanes + lane;
  for (uint32_t d = 0; d < b.v_size; ++d) acc[size_t{d} * attend_lanes] *= down;
  b.total[at] *= down;
  b.best[at] = best;
  const auto* v = static_cast<const float*>(b.v);
  for (uint32_t t = 0; t < b.tokens; ++t, v += b.v_size) {
    const float p = std::exp(s[t] - best);
    b.total[at] += p;
    for (uint32_t d = 0; d < b.v_size; ++d) acc[size_t{d} * attend_lanes] += p * v[d];
  }
}

void attend_block(const AttendBlock& b) {
  for (uint32_t j = 0; j < b.panels; ++j) {
    for (uint32_t i = 0; i < attend_lanes; ++i) attend_lane(b, j, i);
  }
}

void attend_blocks(const AttendBlock* blocks, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) attend_block(blocks[i]);
}

void finish(const float* acc, const float* best, const float* total, const float* sinks, uint32_t v_size,
            float* const* out) {
  for (uint32_t i = 0; i < attend_lanes; ++i) {
    if (out[i] == nullptr) continue;
    const float all = total[i] + (sinks != nullptr ? std::exp(sinks[i] - best[i]) : 0.0F);
    for (uint32_t d = 0; d < v_size; ++d) out[i][d] = acc[size_t{d} * attend_lanes + i] / all;
  }
}

}  // namespace

const AttendKernels attend = {pack_queries, nullptr, nullptr, attend_blocks, finish};

}  // namespace hearth::cpu::portable
