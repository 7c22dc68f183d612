#pragma once

// Products of weight rows with activations: what is common to all types. Include a set's vec.h first.
//
// A type is a struct that unpacks one block into small integers with a scale (and an offset) per group of
// `group` values:  weight = scale[j] · q + offset[j].  Integer work is done on bytes, 32 at a time; the float
// work here.
//   id, values, bytes, group, has_offset
//   stride  bytes from the integers of one group to those of the next; `group` but for blocks used as they
//   lie static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float* offset);
// unpack returns where the integers are: `space`, or the block itself if it holds them as bytes.
#include "device/cpu/table.h"
#include "device/cpu/wide/reduce.h"

namespace hearth::cpu {
namespace {

inline float half_at(const uint8_t* p) {
  uint16_t bits = 0;
  __builtin_memcpy(&bits, p, sizeof bits);
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
}

// Eight halves, `step` bytes apart, gathered by the otherwise idle integer units.
inline void eight_halves(const uint8_t* p, size_t step, float* out) {
  uint64_t words[2] = {};
  for (size_t i = 0; i < 8; ++i) {
    uint16_t bits = 0;
    __builtin_memcpy(&bits, p + i * step, sizeof bits);
    words[i / 4] |= uint64_t{bits} << (16 * (i % 4));
  }
  const __m128i all = _mm_set_epi64x(static_cast<long long>(words[1]), static_cast<long long>(words[0]));
  _mm256_storeu_ps(out, _mm256_cvtph_ps(all));
}

// Eight blocks of 32 values as one of 256: their scales are converted together. Such a type has, beside
// unpack,
//   static void scales(const uint8_t* eight_blocks, float* scale, float* offset);
//   static const int8_t* integers(const uint8_t* block, int8_t* space);
template <class Type>
struct Eight {
  static constexpr uint32_t values = 8 * Type::values, bytes = 8 * Type::bytes, group = 32;
  static constexpr bool has_offset = Type::has_offset;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float* offset) {
    Type::scales(block, scale, offset);
    for (size_t i = 0; i < 8; ++i) Type::integers(block + i * Type::bytes, space + i * Type::values);
    return space;
  }
};

template <class Type>
constexpr uint32_t groups = Type::values / Type::group;

template <class Type>
constexpr uint32_t vectors = Type::group / lanes;  // per group

// Exactly as TypeInfo::decode: product, then sum, each rounded.
template <class Type>
inline void decode_block(const uint8_t* block, float* out) {
  int8_t space[Type::values];
  float scale[groups<Type>], offset[groups<Type>];
  const int8_t* q = Type::unpack(block, space, scale, offset);
  for (size_t j = 0; j < groups<Type>; ++j) {
    for (size_t v = 0; v < vectors<Type>; ++v) {
      const size_t at = j * Type::group + v * lanes;
      Floats w = mul(to_floats(widen(q + at)), set1(scale[j]));
      if constexpr (Type::has_offset) w = add(w, set1(offset[j]));
      store(out + at, w);
    }
  }
}

template <class Type>
void decode(const void* blocks, uint32_t values, float* out) {
  const auto* block = static_cast<const uint8_t*>(blocks);
  const float* end = out + values;
  if constexpr (Type::by_eight) {
    for (; end - out >= 256; out += 256, block += size_t{8} * Type::bytes)
      decode_block<Eight<Type>>(block, out);
  }
  for (; out < end; out += Type::values, block += Type::bytes) decode_block<Type>(block, out);
}

// Activations of a product: `sums` holds the sum over each group of each of them, for types with offsets.
struct Acts {
  const float *x, *sums;
  size_t x_stride, sums_stride;
};

// One block of each of `rows` weight rows with `columns` activations:
// acc[r][m] += Σ q · x · scale + Σ offset · (sum of x over the group).
template <class Type, uint32_t rows, uint32_t columns>
inline void dot_block(const uint8_t* block, size_t row_bytes, Acts acts, Floats (&acc)[rows][columns]) {
  constexpr size_t n = groups<Type>;
  int8_t space[rows][Type::values];
  float scale[rows][n], offset[rows][n];
  const int8_t* q[rows];
  for (size_t r = 0; r < rows; ++r) q[r] = Type::unpack(block + r * row_bytes, space[r], scale[r], offset[r]);
  for (size_t j = 0; j < n; ++j) {
    Floats part[rows][columns];
    for (size_t v = 0; v < vectors<Type>; ++v) {
      const size_t at = j * Type::group + v * lanes;
      Floats x[columns];
      for (size_t m = 0; m < columns; ++m) x[m] = load(acts.x + m * acts.x_stride + at);
      for (size_t r = 0; r < rows; ++r) {
        const Floats w = to_floats(widen(q[r] + at));
        for (size_t m = 0; m < columns; ++m) part[r][m] = v == 0 ? mul(w, x[m]) : fma(w, x[m], part[r][m]);
      }
    }
    for (size_t r = 0; r < rows; ++r) {
      const Floats s = set1(scale[r][j]);
      for (size_t m = 0; m < columns; ++m) acc[r][m] = fma(part[r][m], s, acc[r][m]);
    }
  }
  if constexpr (Type::has_offset) {
    constexpr size_t step = n < 8 ? 1 : 8;
    for (size_t j = 0; j < n; j += step) {
      for (size_t r = 0; r < rows; ++r) {
        const Floats o = step == 1 ? set1(offset[r][j]) : load_eight(offset[r] + j);
        for (size_t m = 0; m < columns; ++m) {
          const float* sums = acts.sums + m * acts.sums_stride + j;
          acc[r][m] = fma(step == 1 ? load_one(sums) : load_eight(sums), o, acc[r][m]);
        }
      }
    }
  }
}

// Sums of `group` values each.
template <uint32_t group>
inline void group_sums(const float* x, size_t n, float* sums) {
  for (size_t k = 0; k < n; k += group) {
    Floats total = zero();
    for (size_t i = k; i < k + group; i += lanes) total = add(total, load(x + i));
    *sums++ = sum_lanes(total);
  }
}

inline void prefetch(const uint8_t* p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) _mm_prefetch(reinterpret_cast<const char*>(p + i), _MM_HINT_T1);
}

// `count` blocks of each row; the rows that come next are asked for on the way.
template <class Type, uint32_t rows, uint32_t columns>
inline void dot_blocks(const uint8_t*& w, size_t row_bytes, size_t count, Acts& acts,
                       Floats (&acc)[rows][columns]) {
  for (size_t b = 0; b < count; ++b) {
    for (size_t r = 0; r < rows; ++r) prefetch(w + (r + rows) * row_bytes, Type::bytes);
    dot_block<Type, rows, columns>(w, row_bytes, acts, acc);
    w += Type::bytes;
    acts.x += Type::values;
    acts.sums += groups<Type>;
  }
}

// y[m][r] (+)= Σ_k w[r][k] · x[m][k] for `rows` rows.
template <class Type, uint32_t rows, uint32_t columns>
void dot_rows_of(const uint8_t* w, size_t row_bytes, uint32_t cols, Acts acts, float* y, size_t y_stride,
                 bool accumulate) {
  Floats acc[rows][columns];
  for (auto& row : acc) {
    for (Floats& a : row) a = zero();
  }
  if constexpr (Type::by_eight) {
    dot_blocks<Eight<Type>, rows, columns>(w, row_bytes, cols / 256, acts, acc);
    dot_blocks<Type, rows, columns>(w, row_bytes, cols % 256 / 32, acts, acc);
  } else {
    dot_blocks<Type, rows, columns>(w, row_bytes, cols / Type::values, acts, acc);
  }
  for (size_t r = 0; r < rows; ++r) {
    for (size_t m = 0; m < columns; ++m) {
      float& to = y[m * y_stride + r];
      to = sum_lanes(acc[r][m]) + (accumulate ? to : 0.0F);
    }
  }
}

constexpr size_t dot_chunk = 8192;  // columns whose group sums fit a small array

template <class Type, uint32_t columns>
void gemv_few(const uint8_t* w, size_t row_bytes, uint32_t rows, uint32_t cols, const float* x,
              size_t x_stride, float* y, size_t y_stride) {
  constexpr size_t sums_stride = Type::has_offset ? dot_chunk / Type::group : 1;
  constexpr uint32_t step = columns == 1 || lanes == 16 ? 2 : 1;  // rows at once: they share the loads of x
  float sums[columns * sums_stride];
  for (size_t c = 0; c < cols; c += dot_chunk, x += dot_chunk, w += dot_chunk / Type::values * Type::bytes) {
    const auto n = static_cast<uint32_t>(cols - c < dot_chunk ? cols - c : dot_chunk);
    if constexpr (Type::has_offset) {
      for (size_t m = 0; m < columns; ++m)
        group_sums<Type::group>(x + m * x_stride, n, sums + m * sums_stride);
    }
    const Acts acts = {x, sums, x_stride, sums_stride};
    uint32_t r = 0;
    for (; r + step <= rows; r += step) {
      dot_rows_of<Type, step, columns>(w + r * row_bytes, row_bytes, n, acts, y + r, y_stride, c > 0);
    }
    for (; r < rows; ++r) {
      dot_rows_of<Type, 1, columns>(w + r * row_bytes, row_bytes, n, acts, y + r, y_stride, c > 0);
    }
  }
}

// The most activation rows a product takes, and the stride of its accumulators acc[row][activation].
constexpr uint32_t max_columns = 8;

// acc[r][m] += Σ_k w[r][k] · x[m][k] over decoded weights; w holds zeros up to whole vectors.
template <uint32_t rows, uint32_t columns>
inline void dot_decoded(const float* w, size_t w_stride, const float* x, size_t x_stride, uint32_t n,
                        Floats* acc) {
  Floats local[rows][columns];
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t m = 0; m < columns; ++m) local[r][m] = acc[r * max_columns + m];
  }
  for_each(n, [&](uint32_t k, auto part) {
    Floats v[columns];
    for (uint32_t m = 0; m < columns; ++m) v[m] = load(x + m * x_stride + k, part);
    for (uint32_t r = 0; r < rows; ++r) {
      const Floats weights = load(w + r * w_stride + k);
      for (uint32_t m = 0; m < columns; ++m) local[r][m] = fma(weights, v[m], local[r][m]);
    }
  });
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t m = 0; m < columns; ++m) acc[r * max_columns + m] = local[r][m];
  }
}

template <uint32_t rows>
inline void dot_decoded(const float* w, size_t w_stride, const float* x, size_t x_stride, uint32_t count,
                        uint32_t n, Floats* acc) {
  for (uint32_t m = 0; m < count; m += dot_columns) {
    const float* first = x + m * x_stride;
    switch (count - m) {
      case 1: dot_decoded<rows, 1>(w, w_stride, first, x_stride, n, acc + m); break;
      case 2: dot_decoded<rows, 2>(w, w_stride, first, x_stride, n, acc + m); break;
      case 3: dot_decoded<rows, 3>(w, w_stride, first, x_stride, n, acc + m); break;
      default: dot_decoded<rows, 4>(w, w_stride, first, x_stride, n, acc + m); break;
    }
  }
}

// How a type is cut into blocks, and its decode: all that the products with several activations need to know.
struct Blocks {
  uint32_t values, bytes;
  void (*decode)(const void* blocks, uint32_t values, float* out);
};

// Several activations: a piece of each weight row is decoded once into floats that stay in the first-level
// cache.
template <uint32_t rows>
inline void gemv_rows(const Blocks& type, const uint8_t* w, size_t row_bytes, uint32_t cols, const float* x,
                      size_t x_stride, uint32_t count, float* y, size_t y_stride) {
  constexpr uint32_t piece = 512;
  alignas(64) float decoded[rows][piece];
  Floats acc[rows * max_columns];
  for (Floats& a : acc) a = zero();
  for (uint32_t k = 0; k < cols; k += piece) {
    const uint32_t n = cols - k < piece ? cols - k : piece;
    for (uint32_t r = 0; r < rows; ++r) {
      const uint8_t* at = w + r * row_bytes + k / type.values * size_t{type.bytes};
      prefetch(at + rows * row_bytes, n / type.values * size_t{type.bytes});
      type.decode(at, n, decoded[r]);
      for (uint32_t i = n; i % lanes != 0; ++i) decoded[r][i] = 0.0F;
    }
    dot_decoded<rows>(decoded[0], piece, x + k, x_stride, count, n, acc);
  }
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t m = 0; m < count; ++m) y[m * y_stride + r] = sum_lanes(acc[r * max_columns + m]);
  }
}

inline void gemv_many(const Blocks& type, const uint8_t* w, size_t row_bytes, uint32_t rows, uint32_t cols,
                      const float* x, size_t x_stride, uint32_t count, float* y, size_t y_stride) {
  uint32_t r = 0;
  for (; r + dot_rows <= rows; r += dot_rows) {
    gemv_rows<dot_rows>(type, w + r * row_bytes, row_bytes, cols, x, x_stride, count, y + r, y_stride);
  }
  for (; r < rows; ++r)
    gemv_rows<1>(type, w + r * row_bytes, row_bytes, cols, x, x_stride, count, y + r, y_stride);
}

template <class Type>
void gemv(const void* weights, size_t row_bytes, uint32_t rows, uint32_t cols, const float* x,
          size_t x_stride, uint32_t count, float* y, size_t y_stride) {
  const auto* w = static_cast<const uint8_t*>(weights);
  switch (count) {
    case 1: return gemv_few<Type, 1>(w, row_bytes, rows, cols, x, x_stride, y, y_stride);
    case 2: return gemv_few<Type, 2>(w, row_bytes, rows, cols, x, x_stride, y, y_stride);
    case 3: return gemv_few<Type, 3>(w, row_bytes, rows, cols, x, x_stride, y, y_stride);
    case 4: return gemv_few<Type, 4>(w, row_bytes, rows, cols, x, x_stride, y, y_stride);
    default: break;
  }
  gemv_many({Type::values, Type::bytes, decode<Type>}, w, row_bytes, rows, cols, x, x_stride, count, y,
            y_stride);
}

template <class Type>
constexpr TypeKernels kernels_of() {
  return {Type::id, decode<Type>, gemv<Type>};
}

}  // namespace
}  // namespace hearth::cpu
