// The kernels of carried states, of every set, against the same formula in double.
#include <gtest/gtest.h>

#include "cpu_kernels.h"

namespace hearth::test {
namespace {

using cpu::StateKernels;

constexpr uint32_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 257};

template <class Check>
void for_every_set(Check check) {
  size_t sets = 0;
  for (const cpu::CpuTable* table : runnable_sets()) {
    if (table->state == nullptr) continue;
    SCOPED_TRACE(table->name);
    check(*table->state);
    ++sets;
  }
  EXPECT_GE(sets, cpu_features().avx2 ? 2U : 1U);
}

TEST(CpuKernelsState, Convolve) {
  Random random(21);
  for_every_set([&](const StateKernels& k) {
    for (const uint32_t n : lengths) {
      for (const uint32_t taps : {1U, 2U, 3U, 4U, 9U}) {
        Guarded<float> kernel(size_t{taps} * n), bias(n), out(n), rows(size_t{taps} * n);
        random.fill(kernel);
        random.fill(bias);
        random.fill(rows, -3.0F, 3.0F);
        std::vector<const float*> at;
        for (uint32_t t = 0; t < taps; ++t) at.push_back(rows.data() + size_t{t} * n);
        for (const bool biased : {true, false}) {
          k.convolve(at.data(), kernel.data(), biased ? bias.data() : nullptr, taps, n, out.data());
          for (uint32_t i = 0; i < n; ++i) {
            double sum = biased ? bias[i] : 0, size = std::fabs(sum);
            for (uint32_t t = 0; t < taps; ++t) {
              const double product = double{kernel[size_t{t} * n + i]} * at[t][i];
              sum += product;
              size += std::fabs(product);
            }
            ASSERT_NEAR(out[i], sum, (taps + 1) * unit * size) << i << " of " << n << ", " << taps << " taps";
          }
        }
      }
    }
  });
}

TEST(CpuKernelsState, Softplus) {
  Random random(22);
  for_every_set([&](const StateKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> x(n), bias(n), out(n);
      random.fill(x, -40.0F, 40.0F);
      random.fill(bias);
      k.softplus(x.data(), bias.data(), n, out.data());
      for (uint32_t i = 0; i < n; ++i) {
        const double v = double{x[i]} + bias[i];
        const double expected = std::max(v, 0.0) + std::log1p(std::exp(-std::fabs(v)));
        // The sum's own rounding moves the result by as much, for negative ones relative to it; and a few
        // units.
        ASSERT_NEAR(out[i], expected, (std::fabs(v) + 8) * unit * expected) << v;
      }
      k.softplus(x.data(), bias.data(), n, x.data());
      for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(x[i], out[i]) << "in place";
    }
    const float far[] = {-200.0F, -100.0F, 0.0F, 200.0F, 3e38F}, none[5] = {};
    float out[5];
    k.softplus(far, none, 5, out);
    EXPECT_NEAR(out[0], 0, 1e-40);
    EXPECT_NEAR(out[2], std::log(2.0), 1e-7);
    EXPECT_EQ(out[3], 200.0F);
    EXPECT_EQ(out[4], 3e38F);
  });
}

struct Scanned {
  Guarded<float> s, a, time, x, b, c, y;
  std::vector<float> before;

  Scanned(Random& random, uint32_t states, uint32_t n)
      : s(size_t{states} * n), a(size_t{states} * n), time(n), x(n), b(states), c(states), y(n) {
    random.fill(s);
    random.fill(a, -3.0F, -0.1F);
    random.fill(time, 0.001F, 2.0F);
    random.fill(x);
    random.fill(b);
    random.fill(c);
    before.assign(s.begin(), s.end());
  }

  // decay(i, k): what is left of a number.
  template <class Decay>
  void expect(uint32_t states, uint32_t n, Decay decay, bool one_time) const {
    for (uint32_t i = 0; i < n; ++i) {
      double sum = 0, size = 0;
      for (uint32_t k = 0; k < states; ++k) {
        const double kept = decay(i, k) * before[size_t{i} * states + k];
        const double added = double{time[one_time ? 0 : i]} * x[i] * b[k];
        ASSERT_NEAR(s[size_t{i} * states + k], kept + added, 8 * unit * (std::fabs(kept) + std::fabs(added)));
        sum += (kept + added) * c[k];
        size += (std::fabs(kept) + std::fabs(added)) * std::fabs(c[k]);
      }
      ASSERT_NEAR(y[i], sum, (states / 8.0 + 12) * unit * size) << i << " of " << n << ", " << states;
    }
  }
};

TEST(CpuKernelsState, Scan) {
  Random random(23);
  for_every_set([&](const StateKernels& k) {
    for (const uint32_t states : {1U, 7U, 8U, 16U, 17U, 64U, 128U, 131U}) {
      for (const uint32_t n : {1U, 3U, 64U}) {
        Scanned each(random, states, n);
        k.scan(each.s.data(), each.a.data(), each.time.data(), each.x.data(), each.b.data(), each.c.data(),
               states, n, each.y.data());
        each.expect(
            states, n,
            [&](uint32_t i, uint32_t s) {
              return std::exp(double{each.time[i]} * each.a[size_t{i} * states + s]);
            },
            false);
        Scanned all(random, states, n);
        k.scan_head(all.s.data(), 0.7F, all.time[0], all.x.data(), all.b.data(), all.c.data(), states, n,
                    all.y.data());
        all.expect(
            states, n, [](uint32_t, uint32_t) { return double{0.7F}; }, true);
      }
    }
  });
}

TEST(CpuKernelsState, Unit) {
  Random random(24);
  for_every_set([&](const StateKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> x(n), out(n);
      random.fill(x);
      double squares = 0;
      for (const float v : x) squares += double{v} * v;
      // An eps above the length takes its place.
      for (const double eps : {1e-6, 1e3}) {
        const double by = 0.25 / std::max(std::sqrt(squares), eps);
        k.unit(x.data(), n, static_cast<float>(eps), 0.25F, out.data());
        for (uint32_t i = 0; i < n; ++i)
          ASSERT_NEAR(out[i], x[i] * by, (n / 16.0 + 8) * unit * std::fabs(x[i] * by)) << i << " of " << n;
      }
    }
  });
}

TEST(CpuKernelsState, Delta) {
  Random random(25);
  for_every_set([&](const StateKernels& kernels) {
    for (const uint32_t size : {1U, 7U, 16U, 31U, 64U, 128U, 129U}) {
      for (const uint32_t n : {1U, 5U, 64U}) {
        Guarded<float> s(size_t{n} * size), k(size), q(size), v(n), y(n);
        for (Guarded<float>* values : {&s, &k, &q, &v}) random.fill(*values);
        const std::vector<float> before(s.begin(), s.end());
        const float decay = 0.8F, rate = 0.6F;
        kernels.delta(s.data(), decay, rate, k.data(), q.data(), v.data(), size, n, y.data());
        for (uint32_t i = 0; i < n; ++i) {
          double known = 0, all = std::fabs(v[i]), read = 0, read_all = 0;
          for (uint32_t j = 0; j < size; ++j) {
            known += double{before[i * size + j]} * k[j];
            all += std::fabs(double{before[i * size + j]} * k[j]);
          }
          const double change = double{rate} * (v[i] - double{decay} * known);
          const double tolerance = (size / 8.0 + 12) * unit;
          for (uint32_t j = 0; j < size; ++j) {
            const double next = double{decay} * before[i * size + j] + change * k[j];
            ASSERT_NEAR(s[i * size + j], next, tolerance * (1 + all)) << size << " " << i << " " << j;
            read += next * q[j];
            read_all += (std::fabs(next) + all) * std::fabs(q[j]);
          }
          ASSERT_NEAR(y[i], read, 2 * tolerance * read_all) << size << " " << i;
        }
      }
    }
  });
}

TEST(CpuKernelsState, Blend) {
  Random random(26);
  for_every_set([&](const StateKernels& k) {
    for (const uint32_t n : lengths) {
      Guarded<float> x(n), before(n), mix(n), out(n);
      for (Guarded<float>* values : {&x, &before, &mix}) random.fill(*values);
      k.blend(x.data(), before.data(), mix.data(), n, out.data());
      for (uint32_t i = 0; i < n; ++i) {
        const double expected = x[i] + double{mix[i]} * (double{before[i]} - x[i]);
        ASSERT_NEAR(out[i], expected, 4 * unit * (std::fabs(x[i]) + std::fabs(before[i])))
            << i << " of " << n;
      }
    }
  });
}

}  // namespace
}  // namespace hearth::test
