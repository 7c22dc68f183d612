// Packed weights to bfloat16 panels: a lane is a row on both sides, so nothing is transposed.
#include "device/cpu/avx512bf16/kernels.h"
#include "device/cpu/avx512vnni/levels.h"

namespace hearth::cpu::avx512bf16 {
namespace {

// Levels of up to seven bits: 128 + level is a float whose fourth byte is 0x43 and whose third is the level,
// so that a shuffle converts it. The others go through integers.
constexpr bool is_small(const PackedForm& f) {
  return f.levels != Levels::eight && level_table(f.type) == nullptr;
}
constexpr float raised(const PackedForm& f) {
  return static_cast<float>(f.bias) + (is_small(f) ? 128.0F : 0.0F);
}

// Byte `b` of every quad as weights: raised level · scale − offset.
template <bool small, uint32_t b>
inline __m512 weights(__m512i quad, __m512 scale, __m512 offset) {
  if constexpr (small) {
    constexpr char at = b, none = -128;
    const __m128i third = _mm_setr_epi8(none, none, at, none, none, none, at + 4, none, none, none, at + 8,
                                        none, none, none, at + 12, none);
    const __m512i level = _mm512_shuffle_epi8(quad, _mm512_broadcast_i32x4(third));
    const __m512i number = _mm512_or_si512(level, _mm512_set1_epi32(0x43000000));
    return _mm512_fmsub_ps(_mm512_castsi512_ps(number), scale, offset);
  }
  const __m512i level = b == 3 ? _mm512_srli_epi32(quad, 24)
                               : _mm512_and_si512(_mm512_srli_epi32(quad, 8 * b), _mm512_set1_epi32(255));
  return _mm512_fmsub_ps(_mm512_cvtepi32_ps(level), scale, offset);
}

// Two neighbouring columns of sixteen rows as bfloat16, side by side: rounded by integers, which takes less
// of the port that also permutes than the instruction for it.
inline __m512i woven(__m512 first, __m512 second) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(first), half), 16);
  return _mm512_mask_blend_epi16(0xaaaaaaaaU, low, _mm512_add_epi32(_mm512_castps_si512(second), half));
}

template <uint32_t index>
void expand(const void* strip, uint32_t cols, uint32_t first, uint32_t width, void* panel) {
  constexpr PackedForm form = packed_forms[index];
  const auto* from = static_cast<const uint8_t*>(strip);
  const uint8_t* levels = from + size_t{first} / 32 * level_bytes(form.levels);
  StripScales<form> scales(from, cols);
  scales.group += size_t{first} / form.group * group_scale_bytes(form.scales);
  scales.block += size_t{first} / form.block * block_scale_bytes(form.scales);
  auto* to = static_cast<uint8_t*>(panel);
  for (uint32_t k = 0; k < width; k += 32, levels += level_bytes(form.levels)) {
    if (k == 0 || (first + k) % form.block == 0) scales.next_block();
    __m512i q[8];
    load_levels<form.type, form.levels>(levels, q);
    for (size_t g = 0; g < 8; g += form.group / 4) {
      __m512 scale, minimum = _mm512_setzero_ps();
      scales.next_group(scale, minimum);
      const __m512 offset = _mm512_fmadd_ps(scale, _mm512_set1_ps(raised(form)), minimum);
      for (size_t j = g; j < g + form.group / 4; ++j, to += 128) {
        constexpr bool small = is_small(form);
        _mm512_storeu_si512(
            to, woven(weights<small, 0>(q[j], scale, offset), weights<small, 1>(q[j], scale, offset)));
        _mm512_storeu_si512(
            to + 64, woven(weights<small, 2>(q[j], scale, offset), weights<small, 3>(q[j], scale, offset)));
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
