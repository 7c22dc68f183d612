#include "device/cpu/avx512/vec.h"
#include "device/cpu/avx512bf16/kernels.h"
#include "device/cpu/wide/transpose.h"

namespace hearth::cpu::avx512bf16 {
namespace {

// 16 floats → 16 bfloat16, rounded to nearest even; subnormals become zero.
inline __m256i rounded(const float* p) { return (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(p)); }

// A pair of bfloat16 that follow each other along k, for every lane.
inline __m512bh pair(const uint16_t* p) {
  int bits = 0;
  __builtin_memcpy(&bits, p, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}

struct Block {
  const uint16_t *panel, *acts;
  uint32_t rows, k;
  float* y;
  size_t y_stride;
  bool accumulate;
};

// `m` activation rows × `panels` panels, all sums in registers; two values of k per instruction.
template <uint32_t m, uint32_t panels>
void multiply(const Block& b) {
  __m512 acc[m][panels];
  for (uint32_t i = 0; i < m; ++i) {
    for (uint32_t j = 0; j < panels; ++j) acc[i][j] = _mm512_setzero_ps();
  }
  for (uint32_t k = 0; k < b.k; k += 2) {
    __m512bh w[panels];
    for (uint32_t j = 0; j < panels; ++j) {
      w[j] = (__m512bh)_mm512_loadu_si512(b.panel + (j * size_t{b.k} + k) * panel_rows);
    }
    for (uint32_t i = 0; i < m; ++i) {
      const __m512bh a = pair(b.acts + i * size_t{b.k} + k);
      for (uint32_t j = 0; j < panels; ++j) acc[i][j] = _mm512_dpbf16_ps(acc[i][j], w[j], a);
    }
  }
  for (uint32_t i = 0; i < m; ++i) {
    for (uint32_t j = 0; j < panels; ++j) {
      float* y = b.y + i * b.y_stride + j * panel_rows;
      const uint32_t left = b.rows - j * panel_rows;
      const __mmask16 real = left >= panel_rows ? _cvtu32_mask16(0xffffU) : first_lanes(left);
      const __m512 sum = b.accumulate ? _mm512_add_ps(_mm512_maskz_loadu_ps(real, y), acc[i][j]) : acc[i][j];
      _mm512_mask_storeu_ps(y, real, sum);
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
  multiply_groups<12, panels>(b, m);
  multiply_groups<4, panels>(b, m);
  multiply_groups<1, panels>(b, m);
}

void run(const void* panel, uint32_t rows, const void* acts, uint32_t m, uint32_t k, float* y,
         size_t y_stride, bool accumulate, const Meanwhile*) {
  Block b = {
      static_cast<const uint16_t*>(panel), static_cast<const uint16_t*>(acts), 0, k, y, y_stride, accumulate};
  for (uint32_t left = rows; left > 0; left -= b.rows) {
    b.rows = left < 2 * panel_rows ? left : 2 * panel_rows;
    if (b.rows > panel_rows) {
      multiply_all<2>(b, m);
    } else {
      multiply_all<1>(b, m);
    }
    b.panel += size_t{b.rows} * k;
    b.y += b.rows;
  }
}

void pack_acts(const float* x, uint32_t row, uint32_t k, void* acts) {
  uint16_t* to = static_cast<uint16_t*>(acts) + size_t{row} * k;
  for (uint32_t c = 0; c < k; c += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + c), rounded(x + c));
}

}  // namespace

void pack_panel(const float* w, size_t w_stride, uint32_t rows, uint32_t k, void* panel) {
  auto* to = static_cast<uint16_t*>(panel);
  for (uint32_t i = 0; i < k; i += 16, to += size_t{16} * panel_rows) {
    for (uint32_t first = 0; first < panel_rows; first += 8) {
      __m256 block[8];
      for (uint32_t r = 0; r < 8; ++r) {
        const bool real = first + r < rows;
        block[r] = real ? _mm256_castsi256_ps(rounded(w + (first + r) * w_stride + i)) : _mm256_setzero_ps();
      }
      transpose(block);  // a unit is a pair along k
      for (uint32_t c = 0; c < 8; ++c) {
        __m256i* at = reinterpret_cast<__m256i*>(to + (c * panel_rows + first) * 2);
        _mm256_storeu_si256(at, _mm256_castps_si256(block[c]));
      }
    }
  }
}

const MatmulKernels matmul = {PanelFormat::bf16, 1,       512,     pack_panel, pack_acts, run,
                              nullptr,           nullptr, nullptr, converters};

}  // namespace hearth::cpu::avx512bf16
