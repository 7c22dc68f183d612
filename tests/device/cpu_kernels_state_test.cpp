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

}  // namespace
}  // namespace hearth::test
