// Packed weights with the instructions of 2013: products of bytes add up in sixteen bits as long as they fit,
// eight rows per vector.
#include "device/cpu/avx2/few.h"
#include "device/cpu/avx2/kernels.h"
#include "device/cpu/avx2/many.h"

namespace hearth::cpu::avx2 {
namespace {

template <uint32_t index>
void product(const void* w, uint32_t rows, uint32_t cols, const void* x, uint32_t count, float* y,
             size_t y_stride) {
  constexpr PackedForm form = packed_forms[index];
  const size_t bytes = strip_bytes(form, cols), x_bytes = integer_row(cols).bytes;
  const bool many = count >= 8;
  const uint32_t step = many ? many_strips * strip_rows : strip_rows;
  Job job = {static_cast<const uint8_t*>(w), 0, cols, nullptr, x_bytes, nullptr, y_stride};
  for (uint32_t r = 0; r < rows; r += step, job.strip += step / strip_rows * bytes) {
    job.rows = rows - r < step ? rows - r : step;
    job.x = static_cast<const uint8_t*>(x);
    job.y = y + r;
    if (many) {
      for (uint32_t left = count, some = 0; left > 0;
           left -= some, job.x += some * x_bytes, job.y += some * y_stride) {
        some = left < many_rows ? left : many_rows;
        multiply_many<form>(job, some);
      }
      continue;
    }
    multiply_few<form>(job, count, bytes);
  }
}

template <uint32_t index>
constexpr PackedKernels kernels_of() {
  constexpr PackedForm form = packed_forms[index];
  return {form.type, product<index>, rounded_together(form)};
}

// ---- rounding

inline float largest(__m256 v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
// 32 integers of one byte each, in order.
inline void put_bytes(const __m256i (&v)[4], uint8_t* out) {
  const __m256i a = _mm256_packs_epi32(v[0], v[1]), b = _mm256_packs_epi32(v[2], v[3]);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i all = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), order);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), all);
}
template <class T>
inline void put_one(uint8_t* p, T v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// The scale of the columns from `k` on, and its inverse. Columns too small for their scale to have an inverse
// count as zeros.
struct Rounding {
  float scale, inverse;
};
inline Rounding rounding_of(const float* x, uint32_t columns) {
  __m256 top = _mm256_setzero_ps();
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (size_t i = 0; i < columns; i += 8)
    top = _mm256_max_ps(top, _mm256_and_ps(_mm256_loadu_ps(x + i), magnitude));
  constexpr float levels = 127.0F;
  const float most = largest(top), scale = most / levels;
  if (!(scale > 1e-37F)) return {0.0F, 0.0F};
  return {scale, levels / most};
}

// 32 columns at `k`.
inline void round_columns(const float* x, size_t k, Rounding by, const IntegerRow& row, uint8_t* out) {
  const __m256 inverse = _mm256_set1_ps(by.inverse);
  __m256i q[4];
  for (size_t i = 0; i < 4; ++i)
    q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + k + 8 * i), inverse));
  const int32_t first = sum_of(_mm256_add_epi32(q[0], q[1])), second = sum_of(_mm256_add_epi32(q[2], q[3]));
  put_one(out + row.scale + k / 8, by.scale);
  put_one(out + row.int_sum16 + k / 4, -first);
  put_one(out + row.int_sum16 + k / 4 + 4, -second);
  put_one(out + row.int_sum32 + k / 8, -(first + second));
  put_one(out + row.sum16 + k / 4, by.scale * static_cast<float>(first));
  put_one(out + row.sum16 + k / 4 + 4, by.scale * static_cast<float>(second));
  put_one(out + row.sum32 + k / 8, by.scale * static_cast<float>(first + second));
  put_one(out + row.short_sum16 + k / 8, static_cast<int16_t>(first));
  put_one(out + row.short_sum16 + k / 8 + 2, static_cast<int16_t>(second));
  put_one(out + row.short_sum32 + k / 16, static_cast<int16_t>(first + second));
  put_bytes(q, out + k);
}

}  // namespace

void round_row(const float* x, uint32_t cols, uint32_t together, void* out) {
  const IntegerRow row = integer_row(cols);
  for (size_t k = 0; k < cols; k += together) {
    const Rounding by = rounding_of(x + k, together);
    for (size_t i = k; i < k + together; i += 32) round_columns(x, i, by, row, static_cast<uint8_t*>(out));
  }
}

const PackedKernels packed[packed_form_count] = {
    kernels_of<0>(),  kernels_of<1>(),  kernels_of<2>(),  kernels_of<3>(),  kernels_of<4>(),
    kernels_of<5>(),  kernels_of<6>(),  kernels_of<7>(),  kernels_of<8>(),  kernels_of<9>(),
    kernels_of<10>(), kernels_of<11>(), kernels_of<12>(), kernels_of<13>(), kernels_of<14>(),
    kernels_of<15>(), kernels_of<16>(), kernels_of<17>(), kernels_of<18>(), kernels_of<19>(),
    kernels_of<20>(), kernels_of<21>(), kernels_of<22>(), kernels_of<23>(), kernels_of<24>(),
};

}  // namespace hearth::cpu::avx2
