// Packed weights with the instructions of 2013: products of bytes add up in sixteen bits as long as they fit,
// eight rows per vector.
#include "device/cpu/packed.h"
#include "device/cpu/avx2/kernels.h"
#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu::avx2 {
namespace {

struct Job {
  const uint8_t* strip;
  uint32_t rows, cols;
  const uint8_t* x;
  size_t x_bytes;
  float* y;
  size_t y_stride;
};

template <class T>
inline T at(const uint8_t* p) {
  T v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline __m256i four_columns(const uint8_t* p) { return _mm256_set1_epi32(at<int32_t>(p)); }
inline __m256 one_float(const uint8_t* p) { return _mm256_set1_ps(at<float>(p)); }
inline __m256i load(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline __m256i splat(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }
inline __m256i table_of(const uint8_t* values) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
}

// Of the table types that are used with their sign: see product_of().
constexpr uint32_t largest_magnitude(uint32_t type) {
  uint32_t most = 0;
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t level = level_table(type)[i];
    const uint32_t size = level == 0 ? 0 : level < 128 ? 128 - level : level - 128;
    most = size > most ? size : most;
  }
  return most;
}
// How many products of a level with a byte of the activations fit sixteen bits, two by two.
constexpr uint32_t largest_level(const PackedForm& f) {
  return f.levels == Levels::eight      ? 127
         : f.bias == 128                ? largest_magnitude(f.type)
         : f.levels == Levels::four_two ? 63
         : f.levels == Levels::four_one ? 31
         : f.type == 39 || f.type == 40 ? 28
         : f.levels == Levels::four     ? 15
                                        : 7;
}
constexpr uint32_t fitting(const PackedForm& f) {
  const uint32_t n = 32767 / (largest_level(f) * 127 * 2);
  return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}
// Types whose levels need all eight bits are used with their sign: |level| · (x with the sign of the level).
constexpr bool is_signed(const PackedForm& f) { return f.bias == 128; }

// Eight quads of half a strip: `half` is 0 or 32.
template <PackedForm form>
inline void load_levels(const uint8_t* p, size_t half, __m256i (&q)[8]) {
  p += half;
  if constexpr (form.levels == Levels::eight) {
    for (size_t j = 0; j < 8; ++j) q[j] = _mm256_xor_si256(load(p + 64 * j), splat(-128));
    return;
  }
  if constexpr (form.levels == Levels::one) {
    const __m256i bits = load(p), two = splat(2);
    for (size_t j = 0; j < 8; ++j) {  // ±1 as 2 or 0, less the bias
      const __m256i bit = splat(1 << j);
      q[j] = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bits, bit), bit), two);
    }
    return;
  }
  if constexpr (form.levels == Levels::two || form.levels == Levels::two_one) {
    for (size_t h = 0; h < 2; ++h) {
      const __m256i four = load(p + 64 * h);
      q[4 * h] = _mm256_and_si256(four, splat(3));
      q[4 * h + 1] = _mm256_and_si256(_mm256_srli_epi16(four, 2), splat(3));
      q[4 * h + 2] = _mm256_and_si256(_mm256_srli_epi16(four, 4), splat(3));
      q[4 * h + 3] = _mm256_and_si256(_mm256_srli_epi16(four, 6), splat(3));
    }
    p += 128;
  } else {
    for (size_t j = 0; j < 4; ++j) {
      const __m256i both = load(p + 64 * j);
      q[j] = _mm256_and_si256(both, splat(15));
      q[j + 4] = _mm256_and_si256(_mm256_srli_epi16(both, 4), splat(15));
    }
    p += 256;
  }
  if constexpr (form.levels == Levels::four_one || form.levels == Levels::two_one) {
    const __m256i bits = load(p), worth = splat(form.levels == Levels::four_one ? 16 : 4);
    for (size_t j = 0; j < 8; ++j) {
      const __m256i bit = splat(1 << j), set = _mm256_cmpeq_epi8(_mm256_and_si256(bits, bit), bit);
      q[j] = _mm256_or_si256(q[j], _mm256_and_si256(set, worth));
    }
  }
  if constexpr (form.levels == Levels::four_two) {
    for (size_t h = 0; h < 2; ++h) {
      const __m256i four = load(p + 64 * h);
      __m256i* to = q + 4 * h;
      to[0] = _mm256_or_si256(to[0], _mm256_and_si256(_mm256_slli_epi16(four, 4), splat(0x30)));
      to[1] = _mm256_or_si256(to[1], _mm256_and_si256(_mm256_slli_epi16(four, 2), splat(0x30)));
      to[2] = _mm256_or_si256(to[2], _mm256_and_si256(four, splat(0x30)));
      to[3] = _mm256_or_si256(to[3], _mm256_and_si256(_mm256_srli_epi16(four, 2), splat(0x30)));
    }
  }
  if constexpr (level_table(form.type) != nullptr) {
    __m256i table = table_of(level_table(form.type));
    if constexpr (is_signed(form)) table = _mm256_xor_si256(table, splat(-128));
    for (__m256i& v : q) v = _mm256_shuffle_epi8(table, v);
  }
}

// Sixteen-bit sums of two neighbouring columns.
template <bool with_sign>
inline __m256i product_of(__m256i level, __m256i magnitude, __m256i x) {
  if constexpr (with_sign) return _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, level));
  (void)magnitude;
  return _mm256_maddubs_epi16(level, x);
}

// Σ level · x of `quads` quads for one activation row.
template <PackedForm form, uint32_t quads>
inline __m256i level_sum(const __m256i* q, const __m256i* magnitude, const uint8_t* x) {
  constexpr uint32_t together = fitting(form) < quads ? fitting(form) : quads;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i total = _mm256_setzero_si256();
  for (size_t j = 0; j < quads; j += together) {
    __m256i part = product_of<is_signed(form)>(q[j], magnitude[j], four_columns(x + 4 * j));
    for (size_t i = j + 1; i < j + together; ++i) {
      part = _mm256_add_epi16(part, product_of<is_signed(form)>(q[i], magnitude[i], four_columns(x + 4 * i)));
    }
    const __m256i wide = _mm256_madd_epi16(part, ones);
    total = j == 0 ? wide : _mm256_add_epi32(total, wide);
  }
  return total;
}

template <PackedForm form, uint32_t quads>
inline __m256i integer_sum(const __m256i* q, const __m256i* magnitude, const uint8_t* x, IntegerRow row,
                           size_t k) {
  const __m256i sum = level_sum<form, quads>(q, magnitude, x + k);
  if constexpr (form.bias == 0 || is_signed(form)) return sum;
  const size_t sums = quads == 8 ? row.int_sum32 + k / 8 : row.int_sum16 + k / 4;
  return _mm256_add_epi32(sum,
                          _mm256_slli_epi32(_mm256_set1_epi32(at<int32_t>(x + sums)), log2_of(form.bias)));
}

inline __m256 unsigned_bytes(const uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline __m256 signed_bytes(const uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline __m256 halves(const uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
template <bool needed>
inline __m256 times(__m256 v, float factor) {
  return needed ? _mm256_mul_ps(v, _mm256_set1_ps(factor)) : v;
}
// Half of an E4M3 number without its sign, which is a half-precision number without its lowest bits but for
// the bias of the exponent.
inline __m256 halved_e4m3(const uint8_t* p) {
  const __m128i bytes = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm256_mul_ps(_mm256_cvtph_ps(_mm_slli_epi16(bytes, 7)), _mm256_set1_ps(128.0F));
}
// 2^(e − 128): as a number with exponent e − 1; below that the two subnormal ones.
inline __m256 exponents(const uint8_t* p) {
  const __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m256i one = _mm256_set1_epi32(1);
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
  const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
  return _mm256_castsi256_ps(
      _mm256_blendv_epi8(normal, subnormal, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
}

template <PackedForm form>
struct StripScales {
  const uint8_t *group, *block;
  size_t half;  // 0 or 8: which rows
  __m256 block_scale, block_min;

  StripScales(const uint8_t* strip, size_t cols, size_t first)
      : group(strip + group_scales_at(form, cols)), block(strip + block_scales_at(form, cols)), half(first) {}

  void next_block() {
    if constexpr (form.scales == Scales::exponent) {
      block_scale = exponents(block + half);
    } else if constexpr (form.scales != Scales::grouped_e4m3) {
      block_scale = times<scale_factor(form.type) != 1.0F>(halves(block + 2 * half), scale_factor(form.type));
      if constexpr (is_affine(form.scales)) {
        block_min = times<minimum_factor(form.type) != 1.0F>(halves(block + 32 + 2 * half),
                                                             minimum_factor(form.type));
      }
    }
    block += block_scale_bytes(form.scales);
  }
  void next_group(__m256& scale, __m256& minimum) {
    const uint8_t* g = group + half;
    if constexpr (form.scales == Scales::grouped_e4m3) {
      scale = halved_e4m3(g);
    } else if constexpr (form.scales == Scales::grouped) {
      scale = _mm256_mul_ps(block_scale, signed_bytes(g));
    } else if constexpr (form.scales == Scales::grouped_affine) {
      scale = _mm256_mul_ps(block_scale, unsigned_bytes(g));
      minimum = _mm256_mul_ps(block_min, unsigned_bytes(g + strip_rows));
    } else if constexpr (form.scales == Scales::grouped_nibbles) {
      const __m256i both = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(g)));
      scale = _mm256_mul_ps(block_scale, _mm256_cvtepi32_ps(_mm256_and_si256(both, _mm256_set1_epi32(15))));
      minimum = _mm256_mul_ps(block_min, _mm256_cvtepi32_ps(_mm256_srli_epi32(both, 4)));
    } else {
      scale = block_scale;
      if constexpr (is_affine(form.scales)) minimum = _mm256_sub_ps(_mm256_setzero_ps(), block_min);
    }
    group += group_scale_bytes(form.scales);
  }
};

template <PackedForm form, uint32_t count>
inline void add_group(const __m256i* q, const __m256i* magnitude, const Job& job, IntegerRow row, size_t k,
                      __m256 scale, __m256 minimum, __m256 (&acc)[count]) {
  constexpr uint32_t quads = form.group / 4;
  for (size_t m = 0; m < count; ++m) {
    const uint8_t* x = job.x + m * job.x_bytes;
    const __m256 sum = _mm256_cvtepi32_ps(integer_sum<form, quads>(q, magnitude, x, row, k));
    acc[m] = _mm256_fmadd_ps(sum, _mm256_mul_ps(scale, one_float(x + row.scale + k / 32 * 4)), acc[m]);
    if constexpr (is_affine(form.scales)) {
      const size_t sums = quads == 8 ? row.sum32 + k / 8 : row.sum16 + k / 4;
      acc[m] = _mm256_fnmadd_ps(minimum, one_float(x + sums), acc[m]);
    }
  }
}

inline void put(__m256 v, uint32_t rows, float* y) {
  if (rows >= 8) return _mm256_storeu_ps(y, v);
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(y, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rows)), lane), v);
}

// Both halves of a strip with `count` activation rows.
template <PackedForm form, uint32_t count>
void multiply(const Job& job, size_t next) {
  const IntegerRow row = integer_row(job.cols);
  StripScales<form> upper(job.strip, job.cols, 0), lower(job.strip, job.cols, 8);
  StripScales<form>* scales[2] = {&upper, &lower};
  __m256 acc[2][count];
  for (auto& half : acc) {
    for (__m256& a : half) a = _mm256_setzero_ps();
  }
  const size_t step = next / (job.cols / 32) + 1;
  const uint8_t *levels = job.strip, *ahead = job.strip + next;
  for (size_t k = 0; k < job.cols; k += 32, levels += level_bytes(form.levels), ahead += step) {
    for (size_t i = 0; i < step && next != 0; i += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead + i), _MM_HINT_T1);
    }
    for (size_t h = 0; h < 2; ++h) {
      if (k % form.block == 0) scales[h]->next_block();
      __m256i q[8], magnitude[8];
      load_levels<form>(levels, 32 * h, q);
      for (size_t j = 0; j < 8; ++j) magnitude[j] = is_signed(form) ? _mm256_abs_epi8(q[j]) : q[j];
      for (size_t g = 0; g < 32; g += form.group) {
        __m256 scale, minimum = _mm256_setzero_ps();
        scales[h]->next_group(scale, minimum);
        add_group<form, count>(q + g / 4, magnitude + g / 4, job, row, k + g, scale, minimum, acc[h]);
      }
    }
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
    multiply<form, count>(job, next);
    next = 0;
    job.x += count * job.x_bytes;
    job.y += count * job.y_stride;
  }
}

template <uint32_t index>
void product(const void* w, uint32_t rows, uint32_t cols, const void* x, uint32_t count, float* y,
             size_t y_stride) {
  constexpr PackedForm form = packed_forms[index];
  const size_t bytes = strip_bytes(form, cols);
  const auto* strip = static_cast<const uint8_t*>(w);
  for (uint32_t r = 0; r < rows; r += strip_rows, strip += bytes) {
    const uint32_t some = rows - r < strip_rows ? rows - r : strip_rows;
    const size_t x_bytes = integer_row(cols).bytes;
    Job job = {strip, some, cols, static_cast<const uint8_t*>(x), x_bytes, y + r, y_stride};
    uint32_t left = count;
    size_t next = bytes;
    if (left != 8) multiply_some<form, 6>(job, left, next);
    multiply_some<form, 4>(job, left, next);
    multiply_some<form, 1>(job, left, next);
  }
}

template <uint32_t index>
constexpr PackedKernels kernels_of() {
  return {packed_forms[index].type, product<index>};
}

// ---- rounding

inline float largest(__m256 v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
inline int32_t sum_of(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
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

// 32 columns at `k`.
inline void round_block(const float* x, size_t k, const IntegerRow& row, uint8_t* out) {
  __m256 v[4], top = _mm256_setzero_ps();
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (size_t i = 0; i < 4; ++i) {
    v[i] = _mm256_loadu_ps(x + k + 8 * i);
    top = _mm256_max_ps(top, _mm256_and_ps(v[i], magnitude));
  }
  constexpr float levels = 127.0F;
  const float most = largest(top);
  const float scale = most / levels;
  // A block too small for its scale to have an inverse counts as zeros.
  const bool nothing = !(scale > 1e-37F);
  const __m256 inverse = _mm256_set1_ps(nothing ? 0.0F : levels / most);
  __m256i q[4];
  for (size_t i = 0; i < 4; ++i) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
  const int32_t first = sum_of(_mm256_add_epi32(q[0], q[1])), second = sum_of(_mm256_add_epi32(q[2], q[3]));
  const float s = nothing ? 0.0F : scale;
  put_one(out + row.scale + k / 32 * 4, s);
  put_one(out + row.int_sum16 + k / 4, -first);
  put_one(out + row.int_sum16 + k / 4 + 4, -second);
  put_one(out + row.int_sum32 + k / 8, -(first + second));
  put_one(out + row.sum16 + k / 4, s * static_cast<float>(first));
  put_one(out + row.sum16 + k / 4 + 4, s * static_cast<float>(second));
  put_one(out + row.sum32 + k / 8, s * static_cast<float>(first + second));
  put_bytes(q, out + k);
}

}  // namespace

void round_row(const float* x, uint32_t cols, void* out) {
  const IntegerRow row = integer_row(cols);
  for (size_t k = 0; k < cols; k += 32) round_block(x, k, row, static_cast<uint8_t*>(out));
}

const PackedKernels packed[packed_form_count] = {
    kernels_of<0>(),  kernels_of<1>(),  kernels_of<2>(),  kernels_of<3>(),  kernels_of<4>(),
    kernels_of<5>(),  kernels_of<6>(),  kernels_of<7>(),  kernels_of<8>(),  kernels_of<9>(),
    kernels_of<10>(), kernels_of<11>(), kernels_of<12>(), kernels_of<13>(), kernels_of<14>(),
    kernels_of<15>(), kernels_of<16>(), kernels_of<17>(), kernels_of<18>(), kernels_of<19>(),
    kernels_of<20>(), kernels_of<21>(), kernels_of<22>(), kernels_of<23>(), kernels_of<24>(),
};

}  // namespace hearth::cpu::avx2
