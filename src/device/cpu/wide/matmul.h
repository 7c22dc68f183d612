#pragma once

// The product of float panels, written once over the vector type of a set. Include its vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/reduce.h"
#include "device/cpu/wide/transpose.h"

namespace hearth::cpu {
namespace {

void pack_panel(const float* w, size_t w_stride, uint32_t rows, uint32_t k, void* panel) {
  auto* to = static_cast<float*>(panel);
  for (uint32_t i = 0; i < k; i += 8, to += size_t{8} * panel_rows) {
    for (uint32_t first = 0; first < panel_rows; first += 8) {
      __m256 block[8];
      for (uint32_t r = 0; r < 8; ++r) {
        block[r] = first + r < rows ? _mm256_loadu_ps(w + (first + r) * w_stride + i) : _mm256_setzero_ps();
      }
      transpose(block);
      for (uint32_t c = 0; c < 8; ++c) _mm256_storeu_ps(to + c * panel_rows + first, block[c]);
    }
  }
}

void pack_acts(const float* x, uint32_t row, uint32_t k, void* acts) {
  float* to = static_cast<float*>(acts) + size_t{row} * k;
  for (uint32_t c = 0; c < k; c += lanes) store(to + c, load(x + c));
}

constexpr uint32_t panel_vectors = panel_rows / lanes;

// What a block of the product needs: `acts` and `y` at its first row, the panels, and how many weight rows
// are real.
struct Block {
  const float *panel, *acts;
  uint32_t rows, k;
  float* y;
  size_t y_stride;
  bool accumulate;
};

// `m` activation rows × `panels` panels, all sums in registers.
template <uint32_t m, uint32_t panels>
void multiply(const Block& b) {
  constexpr uint32_t width = panels * panel_vectors;
  Floats acc[m][width];
  for (uint32_t i = 0; i < m; ++i) {
    for (uint32_t j = 0; j < width; ++j) acc[i][j] = zero();
  }
  const size_t panel_size = size_t{b.k} * panel_rows;
  for (uint32_t k = 0; k < b.k; ++k) {
    Floats w[width];
    for (uint32_t j = 0; j < width; ++j) {
      w[j] = load(b.panel + j / panel_vectors * panel_size + k * panel_rows + j % panel_vectors * lanes);
    }
    for (uint32_t i = 0; i < m; ++i) {
      const Floats a = set1(b.acts[i * size_t{b.k} + k]);
      for (uint32_t j = 0; j < width; ++j) acc[i][j] = fma(a, w[j], acc[i][j]);
    }
  }
  for (uint32_t i = 0; i < m; ++i) {
    for (uint32_t j = 0; j < width && j * lanes < b.rows; ++j) {
      float* y = b.y + i * b.y_stride + j * lanes;
      const uint32_t left = b.rows - j * lanes;
      if (left >= lanes) {
        store(y, b.accumulate ? add(load(y), acc[i][j]) : acc[i][j]);
      } else {
        store_part(y, b.accumulate ? add(load_part(y, left), acc[i][j]) : acc[i][j], left);
      }
    }
  }
}

// As many whole groups of `step` activation rows as there are; the rest is left.
template <uint32_t step, uint32_t panels>
void multiply_groups(Block& b, uint32_t& m) {
  for (; m >= step; m -= step) {
    multiply<step, panels>(b);
    b.acts += step * size_t{b.k};
    b.y += step * b.y_stride;
  }
}

template <uint32_t panels>
void multiply_all(Block b, uint32_t m) {
  multiply_groups<matmul_acts, panels>(b, m);
  multiply_groups<4, panels>(b, m);
  multiply_groups<1, panels>(b, m);
}

void multiply_panels(const void* panel, uint32_t rows, const void* acts, uint32_t m, uint32_t k, float* y,
                     size_t y_stride, bool accumulate, const Meanwhile*) {
  Block b = {
      static_cast<const float*>(panel), static_cast<const float*>(acts), rows, k, y, y_stride, accumulate};
  while (b.rows > 0) {
    const uint32_t panels = b.rows > panel_rows ? matmul_panels : 1;
    const uint32_t total = b.rows, taken = panels * panel_rows < total ? panels * panel_rows : total;
    b.rows = taken;
    if (panels == 1) {
      multiply_all<1>(b, m);
    } else {
      multiply_all<matmul_panels>(b, m);
    }
    b.panel += size_t{taken} * k;
    b.y += taken;
    b.rows = total - taken;
  }
}

constexpr MatmulKernels matmul_kernels = {PanelFormat::f32, 1,       512,     pack_panel, pack_acts,
                                          multiply_panels,  nullptr, nullptr, nullptr};

}  // namespace
}  // namespace hearth::cpu
