// The row kernels of every set against the same formula in double.
#include <gtest/gtest.h>

#include <limits>
#include <numbers>

#include "cpu_kernels.h"

namespace hearth::test {
namespace {

using cpu::Activation;
using cpu::RowKernels;

constexpr uint32_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1027};

template <class Check>
void for_every_set(Check check) {
  for (const cpu::CpuTable* table : runnable_sets()) {
    if (table->rows == nullptr) continue;
    SCOPED_TRACE(table->name);
    check(*table->rows);
  }
}

TEST(CpuKernelsRows, RmsNorm) {
  Random random(11);
  for_every_set([&](const RowKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> x(n), gain(n), out(n);
      random.fill(x, -5.0F, 5.0F);
      random.fill(gain);
      double squares = 0.0;
      for (const float v : x) squares += static_cast<double>(v) * v;
      const double factor = 1.0 / std::sqrt(squares / n + 1e-5);
      // The sum of n squares in at least eight lanes, halved by the root, and three roundings.
      const double tolerance = (n / 16.0 + 8.0) * unit;
      k.rms_norm(x.data(), gain.data(), n, 1e-5F, out.data());
      for (uint32_t i = 0; i < n; ++i) {
        const double expected = x[i] * factor * gain[i];
        ASSERT_NEAR(out[i], expected, tolerance * std::fabs(expected)) << i << " of " << n;
      }
      k.rms_norm(x.data(), nullptr, n, 1e-5F, out.data());
      for (uint32_t i = 0; i < n; ++i)
        ASSERT_NEAR(out[i], x[i] * factor, tolerance * std::fabs(x[i] * factor));
      const std::vector<float> apart(out.begin(), out.end());
      k.rms_norm(x.data(), nullptr, n, 1e-5F, x.data());
      for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(x[i], apart[i]) << "in place";
    }
  });
}

TEST(CpuKernelsRows, LayerNorm) {
  Random random(12);
  for_every_set([&](const RowKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> x(n), gain(n), bias(n), out(n);
      random.fill(x, -1.0F, 3.0F);
      random.fill(gain);
      random.fill(bias);
      double mean = 0.0, squares = 0.0;
      for (const float v : x) mean += v;
      mean /= n;
      for (const float v : x) squares += (v - mean) * (v - mean);
      const double factor = 1.0 / std::sqrt(squares / n + 1e-5);
      // The mean is off by the roundings of its sum times the largest value, and x − mean inherits that.
      const double tolerance = (n / 8.0 + 12.0) * unit;
      k.layer_norm(x.data(), gain.data(), bias.data(), n, 1e-5F, out.data());
      for (uint32_t i = 0; i < n; ++i) {
        const double v = (x[i] - mean) * factor;
        ASSERT_NEAR(out[i], v * gain[i] + bias[i], tolerance * (3.0 * factor + std::fabs(v) + 1.0))
            << i << " of " << n;
      }
      k.layer_norm(x.data(), nullptr, nullptr, n, 1e-5F, out.data());
      for (uint32_t i = 0; i < n; ++i) {
        const double v = (x[i] - mean) * factor;
        ASSERT_NEAR(out[i], v, tolerance * (3.0 * factor + std::fabs(v)));
      }
    }
  });
}

double activated(Activation act, double v) {
  switch (act) {
    case Activation::none: return v;
    case Activation::silu: return v / (1.0 + std::exp(-v));
    case Activation::gelu: return 0.5 * v * std::erfc(-v / std::numbers::sqrt2);
    case Activation::gelu_tanh:
      return 0.5 * v * (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (v + 0.044715 * v * v * v)));
    case Activation::relu: return std::max(v, 0.0);
    case Activation::relu2: return std::max(v, 0.0) * std::max(v, 0.0);
  }
  return v;
}

TEST(CpuKernelsRows, Gated) {
  Random random(13);
  for_every_set([&](const RowKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> gate(n), up(n), out(n);
      random.fill(gate, -12.0F, 12.0F);
      random.fill(up, -2.0F, 2.0F);
      for (const Activation act : {Activation::none, Activation::silu, Activation::gelu,
                                   Activation::gelu_tanh, Activation::relu, Activation::relu2}) {
        k.gated(act, gate.data(), up.data(), n, out.data());
        for (uint32_t i = 0; i < n; ++i) {
          // Everything is x times a factor in [0, 1] (or x² for relu2) that is off by a few units.
          const double v = activated(act, gate[i]);
          const double scale = std::max(std::fabs(static_cast<double>(gate[i])), std::fabs(v));
          ASSERT_NEAR(out[i], v * up[i], 8 * unit * scale * std::fabs(up[i]))
              << static_cast<int>(act) << " of " << gate[i];
        }
        k.gated(act, gate.data(), nullptr, n, out.data());
        for (uint32_t i = 0; i < n; ++i) {
          const double v = activated(act, gate[i]);
          const double scale = std::max(std::fabs(static_cast<double>(gate[i])), std::fabs(v));
          ASSERT_NEAR(out[i], v, 8 * unit * scale) << static_cast<int>(act) << " of " << gate[i];
        }
      }
    }
  });
}

TEST(CpuKernelsRows, ActivationsOfExtremeValuesStayFinite) {
  for_every_set([&](const RowKernels& k) {
    const std::vector<float> x = {-3e38F, -1e4F, -200.0F, -0.0F, 0.0F, 1e-40F, 200.0F, 1e4F};
    for (const Activation act : {Activation::silu, Activation::gelu, Activation::gelu_tanh}) {
      std::vector<float> out(x.size());
      k.gated(act, x.data(), nullptr, static_cast<uint32_t>(x.size()), out.data());
      for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_NEAR(out[i], x[i] > 0 ? x[i] : 0.0, std::max(1e-30, x[i] * 4 * unit))
            << static_cast<int>(act) << " " << x[i];
      }
    }
  });
}

TEST(CpuKernelsRows, Open) {
  Random random(18);
  for_every_set([&](const RowKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> gate(n), x(n), out(n);
      random.fill(gate, -12.0F, 12.0F);
      random.fill(x, -2.0F, 2.0F);
      k.open(gate.data(), x.data(), n, out.data());
      for (uint32_t i = 0; i < n; ++i) {
        const double v = x[i] / (1.0 + std::exp(-static_cast<double>(gate[i])));
        ASSERT_NEAR(out[i], v, 8 * unit * std::fabs(v)) << i << " of " << n;
      }
      k.open(gate.data(), x.data(), n, x.data());
      for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(x[i], out[i]) << "in place";
    }
  });
}

TEST(CpuKernelsRows, ExpSum) {
  Random random(14);
  for_every_set([&](const RowKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> x(n);
      random.fill(x, -30.0F, 0.0F);
      const std::vector<float> before(x.begin(), x.end());
      const float m = 0.25F;
      const float sum = k.exp_sum(x.data(), n, m);
      double expected = 0.0;
      for (uint32_t i = 0; i < n; ++i) {
        const double v = std::exp(static_cast<double>(before[i] - m));
        expected += v;
        ASSERT_NEAR(x[i], v, 2.0 * 2 * unit * v) << before[i];  // two units in the last place
      }
      ASSERT_NEAR(sum, expected, (n / 8.0 + 8.0) * unit * expected);
    }
  });
}

TEST(CpuKernelsRows, ExpOverItsWholeRange) {
  for_every_set([&](const RowKernels& k) {
    std::vector<float> x;
    for (float v = -110.0F; v < 89.0F; v += 0.0137F) x.push_back(v);
    const std::vector<float> before = x;
    k.exp_sum(x.data(), static_cast<uint32_t>(x.size()), 0.0F);
    for (size_t i = 0; i < x.size(); ++i) {
      const double v = std::exp(static_cast<double>(before[i]));
      if (v > std::numeric_limits<float>::max()) {
        ASSERT_TRUE(std::isinf(x[i])) << before[i];
      } else {
        ASSERT_NEAR(x[i], v, 4 * unit * v + 0x1p-149) << before[i];
      }
    }
  });
}

TEST(CpuKernelsRows, ExpOfMinusInfinityIsZeroAndOfNanIsNan) {
  for_every_set([&](const RowKernels& k) {
    std::vector<float> x(19, -std::numeric_limits<float>::infinity());
    x[4] = 1.0F;
    x[18] = 1.0F;
    EXPECT_EQ(k.exp_sum(x.data(), 19, 1.0F), 2.0F);
    for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i], i == 4 || i == 18 ? 1.0F : 0.0F);
    x.assign(9, std::numeric_limits<float>::quiet_NaN());
    EXPECT_TRUE(std::isnan(k.exp_sum(x.data(), 9, 0.0F)));
  });
}

TEST(CpuKernelsRows, AddScaleMax) {
  Random random(15);
  for_every_set([&](const RowKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> a(n), b(n), out(n);
      random.fill(a, -9.0F, -1.0F);  // all negative: lanes beyond the end must not win
      random.fill(b);
      k.add(a.data(), b.data(), n, out.data());
      for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(out[i], a[i] + b[i]);
      k.scale(a.data(), 0.3F, n, out.data());
      for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(out[i], a[i] * 0.3F);
      ASSERT_EQ(k.max(a.data(), n), *std::max_element(a.begin(), a.end()));
    }
  });
}

TEST(CpuKernelsRows, Rope) {
  Random random(16);
  for_every_set([&](const RowKernels& k) {
    for (const uint32_t pairs : lengths) {
      for (const bool split : {false, true}) {
        Guarded<float> x(size_t{2} * pairs), cos(pairs), sin(pairs);
        random.fill(x);
        random.fill(cos);
        random.fill(sin);
        const std::vector<float> before(x.begin(), x.end());
        k.rope(x.data(), cos.data(), sin.data(), pairs, split);
        for (uint32_t i = 0; i < pairs; ++i) {
          const uint32_t first = split ? i : 2 * i, second = split ? i + pairs : 2 * i + 1;
          const double a = before[first], b = before[second];
          const double bound = 2 * unit * (std::fabs(a) + std::fabs(b));
          ASSERT_NEAR(x[first], a * cos[i] - b * sin[i], bound) << i << " of " << pairs;
          ASSERT_NEAR(x[second], a * sin[i] + b * cos[i], bound) << i << " of " << pairs;
        }
      }
    }
  });
}

}  // namespace
}  // namespace hearth::test
