#include <algorithm>
#include <cstring>

#include "device/cpu/portable/kernels.h"
#include "tensor/lanes.h"

namespace hearth::cpu::portable {
namespace {

void pack_panel(const float* w, size_t w_stride, uint32_t rows, uint32_t k, void* panel) {
  auto* to = static_cast<float*>(panel);
  for (uint32_t i = 0; i < k; ++i) {
    for (uint32_t r = 0; r < panel_rows; ++r) *to++ = r < rows ? w[r * w_stride + i] : 0.0F;
  }
}

void pack_acts(const float* x, uint32_t row, uint32_t k, void* acts) {
  std::copy_n(x, k, static_cast<float*>(acts) + size_t{row} * k);
}

void run(const void* panels, uint32_t rows, const void* acts, uint32_t m, uint32_t k, float* y,
         size_t y_stride, bool accumulate, const Meanwhile*) {
  for (uint32_t first = 0; first < rows; first += panel_rows) {
    const float* panel = static_cast<const float*>(panels) + size_t{first} * k;
    for (uint32_t i = 0; i < m; ++i) {
      const float* x = static_cast<const float*>(acts) + size_t{i} * k;
      Lanes acc[panel_rows / 4] = {};
      for (uint32_t j = 0; j < k; ++j) {
        const float* w = panel + size_t{j} * panel_rows;
        for (uint32_t r = 0; r < panel_rows / 4; ++r) acc[r] += lanes(x[j]) * load(w + size_t{r} * 4);
      }
      float sums[panel_rows];
      std::memcpy(sums, acc, sizeof sums);
      float* to = y + i * y_stride + first;
      for (uint32_t r = 0; r < std::min(panel_rows, rows - first); ++r)
        to[r] = sums[r] + (accumulate ? to[r] : 0.0F);
    }
  }
}

}  // namespace

const MatmulKernels matmul = {PanelFormat::f32, 1,       512,    pack_panel, pack_acts, run,
                              nullptr,          nullptr, nullptr};

}  // namespace hearth::cpu::portable
