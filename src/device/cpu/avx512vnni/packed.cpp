// Products of packed weights with integer activations, four columns of sixteen rows per instruction.
#include "device/cpu/avx512vnni/blocks.h"
#include "device/cpu/avx512vnni/kernels.h"

namespace hearth::cpu::avx512vnni {
namespace {

// What Σ (level − bias) · x begins with: the bias's part.
template <PackedForm form>
inline __m512i bias_sum(const uint8_t* x, IntegerRow row, size_t k) {
  if constexpr (form.bias == 0) return _mm512_setzero_si512();
  const size_t sums = form.group == 32 ? row.int_sum32 + k / 8 : row.int_sum16 + k / 4;
  return _mm512_slli_epi32(_mm512_set1_epi32(at<int32_t>(x + sums)), log2_of(form.bias));
}

// A group of columns with `count` activation rows. Sums of several rows grow side by side: an instruction
// waits five cycles for the one before it, and the processor looks only so far ahead for others.
template <PackedForm form, uint32_t count>
inline void add_group(const __m512i* q, const uint8_t* x, size_t x_bytes, IntegerRow row, size_t k,
                      __m512 scale, __m512 minimum, __m512 (&acc)[count]) {
  constexpr uint32_t quads = form.group / 4;
  __m512i sum[count];
  for (size_t m = 0; m < count; ++m) sum[m] = bias_sum<form>(x + m * x_bytes, row, k);
  for (size_t j = 0; j < quads; ++j) {
    for (size_t m = 0; m < count; ++m) {
      sum[m] = _mm512_dpbusd_epi32(sum[m], q[j], four_columns(x + m * x_bytes + k + 4 * j));
    }
  }
  for (size_t m = 0; m < count; ++m) {
    const uint8_t* at = x + m * x_bytes;
    const __m512 both = _mm512_mul_ps(scale, one_float(at + row.scale + k / 32 * 4));
    acc[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[m]), both, acc[m]);
    if constexpr (is_affine(form.scales)) {
      const size_t sums = quads == 8 ? row.sum32 + k / 8 : row.sum16 + k / 4;
      acc[m] = _mm512_fnmadd_ps(minimum, one_float(at + sums), acc[m]);
    }
  }
}

// Two groups of sixteen columns, which share the scale of the activations.
template <PackedForm form, uint32_t count>
inline void add_two_groups(const __m512i* q, const uint8_t* x, size_t x_bytes, IntegerRow row, size_t k,
                           const __m512 (&scale)[2], const __m512 (&minimum)[2], __m512* acc) {
  __m512i sum[2][count];
  for (size_t m = 0; m < count; ++m) {
    sum[0][m] = bias_sum<form>(x + m * x_bytes, row, k);
    sum[1][m] = bias_sum<form>(x + m * x_bytes, row, k + 16);
  }
  for (size_t j = 0; j < 4; ++j) {
    for (size_t m = 0; m < count; ++m) {
      const uint8_t* at = x + m * x_bytes + k + 4 * j;
      sum[0][m] = _mm512_dpbusd_epi32(sum[0][m], q[j], four_columns(at));
      sum[1][m] = _mm512_dpbusd_epi32(sum[1][m], q[j + 4], four_columns(at + 16));
    }
  }
  for (size_t m = 0; m < count; ++m) {
    const uint8_t* at = x + m * x_bytes;
    __m512 both = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[0][m]), scale[0]);
    both = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[1][m]), scale[1], both);
    acc[m] = _mm512_fmadd_ps(both, one_float(at + row.scale + k / 32 * 4), acc[m]);
    if constexpr (is_affine(form.scales)) {
      acc[m] = _mm512_fnmadd_ps(minimum[0], one_float(at + row.sum16 + k / 4), acc[m]);
      acc[m] = _mm512_fnmadd_ps(minimum[1], one_float(at + row.sum16 + k / 4 + 4), acc[m]);
    }
  }
}

// One strip with `count` activation rows.
template <PackedForm form, uint32_t count>
void multiply(const Job& job, size_t next) {
  const IntegerRow row = integer_row(job.cols);
  StripScales<form> scales(job.strip, job.cols);
  __m512 acc[count];
  for (__m512& a : acc) a = _mm512_setzero_ps();
  Ahead ahead(job, next);
  const uint8_t* levels = job.strip;
  for (size_t k = 0; k < job.cols; k += 32, levels += level_bytes(form.levels)) {
    ahead.ask();
    if (k % form.block == 0) scales.next_block();
    __m512i q[8];
    load_levels<form.type, form.levels>(levels, q);
    if constexpr (form.group == 16) {
      __m512 scale[2], minimum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
      scales.next_group(scale[0], minimum[0]);
      scales.next_group(scale[1], minimum[1]);
      constexpr uint32_t beside = count < 4 ? count : 4;
      add_two_groups<form, beside>(q, job.x, job.x_bytes, row, k, scale, minimum, acc);
      if constexpr (count > beside) {
        const uint8_t* rest = job.x + beside * job.x_bytes;
        add_two_groups<form, beside>(q, rest, job.x_bytes, row, k, scale, minimum, acc + beside);
      }
    } else {
      __m512 scale, minimum = _mm512_setzero_ps();
      scales.next_group(scale, minimum);
      add_group<form, count>(q, job.x, job.x_bytes, row, k, scale, minimum, acc);
    }
  }
  for (size_t m = 0; m < count; ++m) _mm512_mask_storeu_ps(job.y + m * job.y_stride, real_rows(job), acc[m]);
}

// `next` is asked for once, on the first way through the strip.
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

// Whole eights of rows are taken off the job; the rest is left.
template <PackedForm form>
inline uint32_t multiply_eights(Job& job, uint32_t count) {
  while (count >= 8) {
    const uint32_t some = count < many_rows ? count / 8 * 8 : many_rows;
    multiply_many<form>(job, some);
    job.x += some * job.x_bytes;
    job.y += some * job.y_stride;
    count -= some;
  }
  return count;
}

template <uint32_t index>
void product(const void* w, uint32_t rows, uint32_t cols, const void* x, uint32_t count, float* y,
             size_t y_stride) {
  constexpr PackedForm form = packed_forms[index];
  const size_t bytes = strip_bytes(form, cols);
  const bool many = sums_blocks(form) && count > many_rows;
  const uint32_t step = many ? many_strips * strip_rows : strip_rows;
  const auto* strip = static_cast<const uint8_t*>(w);
  for (uint32_t r = 0; r < rows; r += step, strip += step / strip_rows * bytes) {
    const uint32_t some = rows - r < step ? rows - r : step;
    Job job = {strip, some, cols, static_cast<const uint8_t*>(x), integer_row(cols).bytes, y + r, y_stride};
    uint32_t left = count;
    if constexpr (sums_blocks(form)) {
      if (many) left = multiply_eights<form>(job, count);
    }
    // Strip by strip.
    const Job all = job;
    for (uint32_t s = 0; left > 0 && s < some; s += strip_rows) {
      job = all;
      job.strip += s / strip_rows * bytes;
      job.y += s;
      job.rows = some - s < strip_rows ? some - s : strip_rows;
      uint32_t rest = left;
      size_t next = many ? 0 : bytes;
      multiply_some<form, 8>(job, rest, next);
      multiply_some<form, 4>(job, rest, next);
      multiply_some<form, 2>(job, rest, next);
      multiply_some<form, 1>(job, rest, next);
    }
  }
}

template <uint32_t index>
constexpr PackedKernels kernels_of() {
  return {packed_forms[index].type, product<index>, rounded_together(packed_forms[index])};
}

}  // namespace

const PackedKernels packed[packed_form_count] = {
    kernels_of<0>(),  kernels_of<1>(),  kernels_of<2>(),  kernels_of<3>(),  kernels_of<4>(),
    kernels_of<5>(),  kernels_of<6>(),  kernels_of<7>(),  kernels_of<8>(),  kernels_of<9>(),
    kernels_of<10>(), kernels_of<11>(), kernels_of<12>(), kernels_of<13>(), kernels_of<14>(),
    kernels_of<15>(), kernels_of<16>(), kernels_of<17>(), kernels_of<18>(), kernels_of<19>(),
    kernels_of<20>(), kernels_of<21>(), kernels_of<22>(), kernels_of<23>(), kernels_of<24>(),
};

}  // namespace hearth::cpu::avx512vnni
