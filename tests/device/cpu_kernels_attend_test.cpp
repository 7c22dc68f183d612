// Attention of prompt rows, block by block, of every set against sums in double.
#include <gtest/gtest.h>

#include "base/half.h"
#include "cpu_kernels.h"

namespace hearth::test {
namespace {

constexpr uint32_t lanes = cpu::attend_lanes;

struct Shape {
  uint32_t k_size, v_size, keys, queries;  // queries: of one or two panels
  bool causal;
  uint32_t window;
  float soft_cap;
  bool sinks;
};

// Queries end where the keys do, each a position later than the one before.
struct Case {
  Case(const Shape& shape, Random& random)
      : s(shape),
        q(size_t{s.queries} * s.k_size),
        k(size_t{s.keys} * s.k_size),
        v(size_t{s.keys} * s.v_size) {
    random.fill(q, -2.0F, 2.0F);
    random.fill(k, -2.0F, 2.0F);
    random.fill(v);
    for (uint32_t i = 0; i < 2 * lanes; ++i) sinks.push_back(random.uniform(-1.0F, 4.0F));
  }
  uint32_t position(uint32_t query) const { return s.keys - s.queries + std::min(query, s.queries - 1); }

  Shape s;
  std::vector<float> q, k, v, sinks;
};

constexpr float factor = 0.25F;

// Numbers that tiles take as they are. Queries are multiplied with factor · log₂ e before they are rounded.
void round_to_bf16(Case& c) {
  constexpr float by = factor * 1.44269504F;
  for (float& x : c.q) x = bf16_to_float(float_to_bf16(x * by)) / by;
  for (float& x : c.k) x = bf16_to_float(float_to_bf16(x));
  for (float& x : c.v) x = bf16_to_float(float_to_bf16(x));
}

std::vector<double> wanted(const Case& c, uint32_t query) {
  std::vector<double> scores, out(c.s.v_size, 0.0);
  double best = c.s.sinks ? static_cast<double>(c.sinks[query]) : -1e300, total = 0;
  for (uint32_t t = 0; t < c.s.keys; ++t) {
    const uint32_t own = c.position(query);
    const bool hidden = (c.s.causal && t > own) || (c.s.window != 0 && t + c.s.window <= own);
    double sum = 0;
    for (uint32_t d = 0; d < c.s.k_size; ++d)
      sum += static_cast<double>(c.q[query * c.s.k_size + d]) * static_cast<double>(c.k[t * c.s.k_size + d]);
    sum *= static_cast<double>(factor);
    const auto cap = static_cast<double>(c.s.soft_cap);
    if (cap > 0) sum = cap * std::tanh(sum / cap);
    scores.push_back(hidden ? -1e300 : sum);
    best = std::max(best, scores.back());
  }
  if (c.s.sinks) total = std::exp(static_cast<double>(c.sinks[query]) - best);
  for (double& score : scores) total += score = std::exp(score - best);
  for (uint32_t t = 0; t < c.s.keys; ++t) {
    for (uint32_t d = 0; d < c.s.v_size; ++d)
      out[d] += scores[t] / total * static_cast<double>(c.v[t * c.s.v_size + d]);
  }
  return out;
}

// All blocks of the case through a set's kernels: [queries][v_size].
std::vector<float> computed(const cpu::AttendKernels& kernels, const Case& c) {
  const Shape& s = c.s;
  const uint32_t panels = (s.queries + lanes - 1) / lanes, all = panels * lanes;
  const uint32_t k_floats = cpu::attend_floats(s.k_size), v_floats = cpu::attend_floats(s.v_size);
  Guarded<float> q(size_t{all} * k_floats), acc(size_t{all} * s.v_size), out(size_t{s.queries} * s.v_size);
  Guarded<float> k(size_t{cpu::attend_tokens} * k_floats), v(size_t{cpu::attend_tokens} * v_floats);
  Guarded<float> q_scale(all), k_scale(cpu::attend_tokens), v_scale(cpu::attend_tokens), best(all),
      total(all);
  Guarded<uint32_t> position(all);
  std::fill(best.begin(), best.end(), cpu::attend_nothing);
  std::vector<const float*> from(all, nullptr);
  std::vector<float*> to(all, nullptr);
  for (uint32_t i = 0; i < all; ++i) {
    position[i] = c.position(i);
    if (i >= s.queries) continue;
    from[i] = c.q.data() + size_t{i} * s.k_size;
    to[i] = out.data() + size_t{i} * s.v_size;
  }
  if (kernels.enter != nullptr) kernels.enter();
  for (uint32_t p = 0; p < all; p += lanes)
    kernels.pack_queries(from.data() + p, s.k_size, factor, q.data() + size_t{p} * k_floats,
                         q_scale.data() + p);
  for (uint32_t at = 0; at < s.keys; at += cpu::attend_tokens) {
    const uint32_t tokens = std::min(cpu::attend_tokens, s.keys - at);
    const float *keys = c.k.data() + size_t{at} * s.k_size, *values = c.v.data() + size_t{at} * s.v_size;
    if (kernels.pack_keys != nullptr) {
      kernels.pack_keys(keys, tokens, s.k_size, k.data(), k_scale.data());
      kernels.pack_values(values, tokens, s.v_size, v.data(), v_scale.data());
    } else {
      std::copy_n(keys, size_t{tokens} * s.k_size, k.data());
      std::copy_n(values, size_t{tokens} * s.v_size, v.data());
    }
    const cpu::AttendBlock block = {q.data(),        k.data(),       v.data(),       size_t{lanes} * k_floats,
                                    q_scale.data(),  k_scale.data(), v_scale.data(), panels,
                                    s.k_size,        s.v_size,       tokens,         at,
                                    position.data(), s.causal,       s.window,       s.soft_cap,
                                    best.data(),     total.data(),   acc.data()};
    kernels.attend(&block, 1);
  }
  for (uint32_t p = 0; p < all; p += lanes)
    kernels.finish(acc.data() + size_t{p} * s.v_size, best.data() + p, total.data() + p,
                   s.sinks ? c.sinks.data() + p : nullptr, s.v_size, to.data() + p);
  if (kernels.leave != nullptr) kernels.leave();
  return {out.begin(), out.end()};
}

void expect_attention(const cpu::CpuTable& table, const Shape& shape, Random& random) {
  Case c(shape, random);
  const bool tiles = table.attend->enter != nullptr;
  if (tiles) round_to_bf16(c);
  const std::vector<float> found = computed(*table.attend, c);
  // Integers of thirteen bits (eleven for the largest heads): scores are off by some 2⁻¹³ of their terms. Of
  // numbers that are bfloat16 already, weights are off by up to 0.7 %.
  const double tolerance = tiles                                ? 4e-3
                           : table.attend->pack_keys != nullptr ? 2e-3 + 2e-5 * shape.k_size
                                                                : 2e-5;
  for (uint32_t i = 0; i < shape.queries; ++i) {
    const auto row = wanted(c, i);
    for (uint32_t d = 0; d < shape.v_size; ++d)
      ASSERT_NEAR(static_cast<double>(found[i * shape.v_size + d]), row[d], tolerance)
          << table.name << " k " << shape.k_size << " v " << shape.v_size << " keys " << shape.keys
          << " queries " << shape.queries << " query " << i << " value " << d;
  }
}

TEST(CpuKernelsAttend, OfAllShapes) {
  Random random(21);
  for (const cpu::CpuTable* table : runnable_sets()) {
    if (table->attend == nullptr) continue;
    for (const uint32_t keys : {32U, 33U, 64U, 65U, 130U}) {
      for (const uint32_t queries : {1U, 16U, 21U, 32U}) {
        expect_attention(*table, {64, 64, keys, queries, true, 0, 0, false}, random);
        expect_attention(*table, {40, 24, keys, queries, true, 7, 0, true}, random);
        expect_attention(*table, {8, 136, keys, queries, false, 0, 3.0F, false}, random);
        expect_attention(*table, {128, 128, keys, queries, true, 40, 5.0F, true}, random);
      }
    }
    expect_attention(*table, {576, 512, 70, 18, true, 0, 0, false}, random);
  }
}

TEST(CpuKernelsAttend, ExtremesStayFinite) {
  Random random(22);
  for (const cpu::CpuTable* table : runnable_sets()) {
    if (table->attend == nullptr) continue;
    for (const float size : {0.0F, 1e-20F, 30.0F}) {
      Case c({32, 32, 70, 16, true, 0, 0, false}, random);
      for (float& x : c.q) x *= size;
      const auto found = computed(*table->attend, c);
      for (uint32_t i = 0; i < 16; ++i) {
        const auto row = wanted(c, i);
        for (uint32_t d = 0; d < 32; ++d)
          ASSERT_NEAR(static_cast<double>(found[i * 32 + d]), row[d], 0.02) << table->name << " " << size;
      }
    }
  }
}

// What a query cannot see changes nothing, to the bit: neither later keys nor other queries of its panel.
TEST(CpuKernelsAttend, AResultDoesNotDependOnWhatIsHidden) {
  Random random(23);
  for (const cpu::CpuTable* table : runnable_sets()) {
    if (table->attend == nullptr) continue;
    Case c({64, 64, 100, 32, true, 0, 0, false}, random);
    const auto before = computed(*table->attend, c);
    for (uint32_t i = 90 * 64; i < 100 * 64; ++i) c.k[i] *= 3, c.v[i] *= -5;
    const auto after = computed(*table->attend, c);
    for (uint32_t i = 0; i < 22 * 64; ++i) ASSERT_EQ(before[i], after[i]) << table->name << " " << i / 64;
  }
}

}  // namespace
}  // namespace hearth::test
