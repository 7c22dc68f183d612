#pragma once

// One product of panels checked against double; shared with the test of the emulated tiles.
#include <gtest/gtest.h>

#include "base/half.h"
#include "cpu_kernels.h"

namespace hearth::test {

// A number as a panel of this format holds it.
inline float rounded(cpu::PanelFormat format, float v) {
  return format == cpu::PanelFormat::bf16 ? bf16_to_float(float_to_bf16(v)) : v;
}

// Weight `row`, column `k` of a packed panel.
inline float panel_value(cpu::PanelFormat format, const std::byte* panel, size_t k, size_t row) {
  if (format == cpu::PanelFormat::f32) {
    float v = 0.0F;
    std::memcpy(&v, panel + (k * cpu::panel_rows + row) * sizeof v, sizeof v);
    return v;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, panel + ((k / 2 * cpu::panel_rows + row) * 2 + k % 2) * sizeof bits, sizeof bits);
  return bf16_to_float(bits);
}

struct MatmulShape {
  uint32_t rows, m, k;
  bool accumulate;
};

// Weights and activations are rounded to the panel's format first; what remains is the rounding of sums: at
// most k additions one after the other, each off by one unit of what has been summed. The bfloat16
// instruction rounds its two products together, to odd or to nearest, and drops subnormals: two units per
// pair of products.
inline void expect_matmul(const cpu::MatmulKernels& kernels, const char* set, MatmulShape s, Random& random) {
  const size_t number = kernels.format == cpu::PanelFormat::bf16 ? 2 : 4;
  const uint32_t panels = (s.rows + cpu::panel_rows - 1) / cpu::panel_rows;
  const size_t w_stride = s.k + 5, x_stride = s.k + 3, y_stride = s.rows + 7;
  Guarded<float> w((s.rows - 1) * w_stride + s.k), x((s.m - 1) * x_stride + s.k),
      y((s.m - 1) * y_stride + s.rows);
  random.fill(w);
  random.fill(x);
  random.fill(y);
  const std::vector<float> before(y.begin(), y.end());
  const size_t panel_bytes = cpu::panel_rows * s.k * number;
  const size_t act_rows = (s.m + kernels.act_rows - 1) / kernels.act_rows * kernels.act_rows;
  Guarded<std::byte> packed(panels * panel_bytes), acts(act_rows * s.k * number);
  for (uint32_t p = 0; p < panels; ++p) {
    const uint32_t rows = std::min(cpu::panel_rows, s.rows - p * cpu::panel_rows);
    kernels.pack_panel(w.data() + p * cpu::panel_rows * w_stride, w_stride, rows, s.k,
                       packed.data() + p * panel_bytes);
  }
  for (uint32_t i = 0; i < s.m; ++i) kernels.pack_acts(x.data() + i * x_stride, i, s.k, acts.data());
  const auto count = [](void* calls) { ++*static_cast<uint32_t*>(calls); };
  uint32_t calls = 0;
  const cpu::Meanwhile meanwhile = {count, &calls};
  if (kernels.enter != nullptr) kernels.enter();
  kernels.run(packed.data(), s.rows, acts.data(), s.m, s.k, y.data(), y_stride, s.accumulate, &meanwhile);
  if (kernels.leave != nullptr) kernels.leave();
  EXPECT_EQ(calls > 0, kernels.enter != nullptr) << set;
  for (uint32_t i = 0; i < s.m; ++i) {
    for (uint32_t r = 0; r < y_stride && i * y_stride + r < y.size(); ++r) {
      const size_t at = i * y_stride + r;
      if (r >= s.rows) {
        ASSERT_EQ(y[at], before[at]) << set << " wrote beside row " << i;
        continue;
      }
      double sum = s.accumulate ? before[at] : 0.0, magnitude = std::fabs(sum);
      for (uint32_t k = 0; k < s.k; ++k) {
        const double term = static_cast<double>(rounded(kernels.format, w[r * w_stride + k])) *
                            rounded(kernels.format, x[i * x_stride + k]);
        sum += term;
        magnitude += std::fabs(term);
      }
      ASSERT_NEAR(y[at], sum, (s.k + 2.0) * unit * magnitude)
          << set << " rows " << s.rows << " m " << s.m << " k " << s.k << " at " << i << ", " << r;
    }
  }
}

}  // namespace hearth::test
