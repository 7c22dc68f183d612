// Rows of sixteen and 32 bits to bfloat16 panels: 32 columns of sixteen rows are turned in registers.
#include "device/cpu/avx512/turn.h"
#include "device/cpu/avx512/vec.h"
#include "device/cpu/avx512bf16/kernels.h"

namespace hearth::cpu::avx512bf16 {
namespace {

constexpr size_t across = 32;  // columns at a time

// 32 neighbours of a row as bfloat16.
template <uint32_t type>
inline __m512i thirty_two(const uint8_t* row) {
  constexpr uint32_t f32 = 0, f16 = 1;
  if constexpr (type == f32) {
    const auto* p = reinterpret_cast<const float*>(row);
    return (__m512i)_mm512_cvtne2ps_pbh(load(p + lanes), load(p));
  } else if constexpr (type == f16) {
    return (__m512i)_mm512_cvtne2ps_pbh(load_f16(row + 2 * lanes), load_f16(row));
  } else {
    return _mm512_loadu_si512(row);
  }
}

template <uint32_t type, uint32_t bytes>
void convert(const void* rows, size_t row_bytes, uint32_t count, uint32_t width, void* panel) {
  const auto* from = static_cast<const uint8_t*>(rows);
  auto* to = static_cast<uint8_t*>(panel);
  for (uint32_t k = 0; k < width; k += across, from += across * bytes, to += across * 2 * panel_rows) {
    __m512i v[16];
    for (size_t r = 0; r < 16; ++r)
      v[r] = r < count ? thirty_two<type>(from + r * row_bytes) : _mm512_setzero_si512();
    turn(v);
    for (size_t i = 0; i < 16; ++i) _mm512_storeu_si512(to + 64 * i, v[i]);
  }
}

}  // namespace

// By type number.
const ConvertRows converters[weight_types] = {
    convert<0, 4>, convert<1, 2>, nullptr, nullptr, nullptr, nullptr, nullptr,        nullptr,
    nullptr,       nullptr,       nullptr, nullptr, nullptr, nullptr, nullptr,        nullptr,
    nullptr,       nullptr,       nullptr, nullptr, nullptr, nullptr, nullptr,        nullptr,
    nullptr,       nullptr,       nullptr, nullptr, nullptr, nullptr, convert<30, 2>,
};

}  // namespace hearth::cpu::avx512bf16
