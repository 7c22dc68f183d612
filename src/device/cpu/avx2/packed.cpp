// Packed weights with the instructions of 2013: products of bytes add up in sixteen bits as long as they fit,
// eight rows per vector.
#include "device/cpu/avx2/kernels.h"
#include "device/cpu/avx2/many.h"

namespace hearth::cpu::avx2 {
namespace {

// What the bias takes off the sums.
template <PackedForm form>
inline void take_bias(Sums<form>& sums, const uint8_t* x, IntegerRow row, size_t k) {
  if constexpr (form.bias == 0 || form.bias == 128) return;
  const uint8_t* parts = x + (form.group == 32 ? row.int_sum32 + k / 8 : row.int_sum16 + k / 4);
  for (size_t g = 0; g < sums_of(form); ++g) {
    const __m256i sum = _mm256_slli_epi32(_mm256_set1_epi32(at<int32_t>(parts + 4 * g)), log2_of(form.bias));
    sums.v[g] = _mm256_add_epi32(sums.v[g], sum);
  }
}

// Bytes of a strip per 32 columns, rounded up.
constexpr size_t column_bytes(const PackedForm& f) {
  return level_bytes(f.levels) + 32 / f.group * group_scale_bytes(f.scales) +
         (32 * block_scale_bytes(f.scales) + f.block - 1) / f.block;
}

// Both halves of a strip with `count` activation rows. What the next strip begins with is asked for on the
// way: memory is read as one stream.
template <PackedForm form, uint32_t count>
void multiply(const Job& job, size_t next) {
  const IntegerRow row = integer_row(job.cols);
  StripScales<form> upper(job.strip, job.cols, 0, 0), lower(job.strip, job.cols, 8, 0);
  __m256 acc[2][count];
  for (auto& half : acc) {
    for (__m256& a : half) a = _mm256_setzero_ps();
  }
  constexpr size_t step = column_bytes(form);
  const uint8_t *levels = job.strip, *ahead = job.strip + next;
  for (size_t k = 0; k < job.cols; k += 32, levels += level_bytes(form.levels), ahead += step) {
    if (next != 0) {
      for (size_t i = 0; i < step; i += 64)
        _mm_prefetch(reinterpret_cast<const char*>(ahead + i), _MM_HINT_T1);
    }
    const auto half = [&](StripScales<form>& scales, size_t at, __m256(&sum)[count]) {
      if (k % form.block == 0) scales.next_block();
      const Quads<form, few_way(form)> quads(levels, at);
      ColumnScales s;
      scales.next_columns(s);
      for (size_t m = 0; m < count; ++m) {
        const uint8_t* x = job.x + m * job.x_bytes;
        Sums<form> sums = level_sums(quads, [&](size_t j) { return four_columns(x + k + 4 * j); });
        take_bias<form>(sums, x, row, k);
        sum[m] = add_columns<form>(sums, s, x, row, k, sum[m]);
      }
    };
    half(upper, 0, acc[0]);
    half(lower, 32, acc[1]);
  }
  for (size_t m = 0; m < count; ++m) {
    float* y = job.y + m * job.y_stride;
    put(acc[0][m], job.rows, y);
    if (job.rows > 8) put(acc[1][m], job.rows - 8, y + 8);
  }
}

template <PackedForm form, uint32_t count>
inline void multiply_some(Job& job, uint32_t& left, size_t& next) {
  for (; left >= count; left -= count) {
    if constexpr (sums_blocks(form)) {
      multiply_blocks<form, count>(job, next);
    } else {
      multiply<form, count>(job, next);
    }
    next = 0;
    job.x += count * job.x_bytes;
    job.y += count * job.y_stride;
  }
}

template <uint32_t index, Way way>
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
    uint32_t left = count;
    if (many) {
      for (uint32_t some = 0; left > 0; left -= some, job.x += some * x_bytes, job.y += some * y_stride) {
        some = left < many_rows ? left : many_rows;
        multiply_many<form, way>(job, some);
      }
      continue;
    }
    size_t next = bytes;
    multiply_some<form, 4>(job, left, next);
    multiply_some<form, 1>(job, left, next);
  }
}

template <uint32_t index>
constexpr PackedKernels kernels_of() {
  constexpr PackedForm form = packed_forms[index];
  constexpr Way way = many_way(form);
  PackedKernels kernels = {form.type, product<index, way>, rounded_together(form)};
  if constexpr (way == Way::pairs) kernels.other = product<index, Way::signs>;
  return kernels;
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
