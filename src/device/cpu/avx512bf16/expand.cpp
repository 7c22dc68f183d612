// Packed weights to bfloat16 panels: a lane is a row on both sides, so nothing is transposed.
#include "device/cpu/avx512bf16/kernels.h"
#include "device/cpu/avx512vnni/levels.h"

namespace hearth::cpu::avx512bf16 {
namespace {

// Byte `b` of every quad as weights: level · scale − offset.
template <uint32_t b>
inline __m512 weights(__m512i quad, __m512 scale, __m512 offset) {
  const __m512i level = b == 3 ? _mm512_srli_epi32(quad, 24)
                               : _mm512_and_si512(_mm512_srli_epi32(quad, 8 * b), _mm512_set1_epi32(255));
  return _mm512_fmsub_ps(_mm512_cvtepi32_ps(level), scale, offset);
}

// Two neighbouring columns of sixteen rows, side by side.
inline __m512i woven(__m512 first, __m512 second, __m512i order) {
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

inline __m512i pair_order() {
  alignas(64) uint16_t order[32];
  for (uint16_t i = 0; i < 32; ++i) order[i] = static_cast<uint16_t>(i / 2 + 16 * (i % 2));
  return _mm512_load_si512(order);
}

template <uint32_t index>
void expand(const void* strip, uint32_t cols, uint32_t first, uint32_t width, void* panel) {
  constexpr PackedForm form = packed_forms[index];
  const auto* from = static_cast<const uint8_t*>(strip);
  const uint8_t* levels = from + size_t{first} / 32 * level_bytes(form.levels);
  StripScales<form> scales(from, cols);
  scales.group += size_t{first} / form.group * group_scale_bytes(form.scales);
  scales.block += size_t{first} / form.block * block_scale_bytes(form.scales);
  const __m512i order = pair_order();
  auto* to = static_cast<uint8_t*>(panel);
  for (uint32_t k = 0; k < width; k += 32, levels += level_bytes(form.levels)) {
    if (k % form.block == 0) scales.next_block();
    __m512i q[8];
    load_levels<form.type, form.levels>(levels, q);
    for (size_t g = 0; g < 8; g += form.group / 4) {
      __m512 scale, minimum = _mm512_setzero_ps();
      scales.next_group(scale, minimum);
      const __m512 offset = _mm512_fmadd_ps(scale, _mm512_set1_ps(static_cast<float>(form.bias)), minimum);
      for (size_t j = g; j < g + form.group / 4; ++j, to += 128) {
        const __m512 a = weights<0>(q[j], scale, offset), b = weights<1>(q[j], scale, offset);
        const __m512 c = weights<2>(q[j], scale, offset), d = weights<3>(q[j], scale, offset);
        _mm512_storeu_si512(to, woven(a, b, order));
        _mm512_storeu_si512(to + 64, woven(c, d, order));
      }
    }
  }
}

}  // namespace

// By type number, in the order of packed_forms. Not TQ2_0: its reference loses less with integers than
// bfloat16 does.
const ExpandPanel expanders[weight_types] = {
    nullptr,    nullptr,    expand<0>,  expand<1>,  nullptr,    nullptr,    expand<2>,  expand<3>,
    expand<4>,  nullptr,    expand<5>,  expand<6>,  expand<7>,  expand<8>,  expand<9>,  nullptr,
    expand<18>, expand<19>, expand<21>, expand<24>, expand<10>, expand<22>, expand<20>, expand<11>,
    nullptr,    nullptr,    nullptr,    nullptr,    nullptr,    expand<23>, nullptr,    nullptr,
    nullptr,    nullptr,    expand<16>, nullptr,    nullptr,    nullptr,    nullptr,    expand<12>,
    expand<13>, expand<14>, expand<15>,
};

}  // namespace hearth::cpu::avx512bf16
