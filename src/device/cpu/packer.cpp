// From the file's blocks to strips. Levels travel as words of four columns: the formulas below gather a word
// of every line of the strip from the bytes of a block; see tensor/types/ for how blocks are laid out.
#include "device/cpu/packer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "tensor/codebooks.h"
#include "tensor/types.h"

namespace hearth::cpu {
namespace {

using Byte = const std::byte*;

uint32_t word(Byte p) {
  uint32_t w = 0;
  std::memcpy(&w, p, sizeof w);
  return w;
}
uint16_t half(Byte p) {
  uint16_t h = 0;
  std::memcpy(&h, p, sizeof h);
  return h;
}
uint8_t byte_at(Byte p, size_t i) { return static_cast<uint8_t>(p[i]); }

// Lines of levels per 32 columns: eight at most.
using Words = std::array<uint32_t, 8>;

// Column i in the low, column i + 16 in the high half of byte i: just as a strip wants it.
void paired_nibbles(Byte q, Words& w) {
  for (size_t j = 0; j < 4; ++j) w[j] = word(q + 4 * j);
}
// The low or the high halves of 32 bytes.
inline void nibbles_of(Byte q, bool high, Words& w) {
  for (size_t j = 0; j < 4; ++j) {
    const uint32_t a = word(q + 4 * j), b = word(q + 16 + 4 * j);
    w[j] = high ? ((a >> 4) & 0x0f0f0f0fU) | (b & 0xf0f0f0f0U) : (a & 0x0f0f0f0fU) | ((b & 0x0f0f0f0fU) << 4);
  }
}
// Bit `shift` of 32 bytes, quad j to bit j.
uint32_t one_bit(Byte q, uint32_t shift) {
  uint32_t out = 0;
  for (size_t j = 0; j < 8; ++j) out |= ((word(q + 4 * j) >> shift) & 0x01010101U) << j;
  return out;
}
// Bits `shift` and the next of 32 bytes: two words.
inline void two_bits(Byte q, uint32_t shift, uint32_t* w) {
  for (size_t h = 0; h < 2; ++h) {
    w[h] = 0;
    for (size_t j = 0; j < 4; ++j) w[h] |= ((word(q + 16 * h + 4 * j) >> shift) & 0x03030303U) << (2 * j);
  }
}
// Bits of 32 columns in a row, as Q5_0 has them: column 4·j + b to bit j of byte b.
uint32_t woven_bits(uint32_t bits) {
  uint32_t out = 0;
  for (uint32_t b = 0; b < 4; ++b) {
    uint32_t y = (bits >> b) & 0x11111111U;
    y = (y | (y >> 3)) & 0x03030303U;
    y = (y | (y >> 6)) & 0x000f000fU;
    y = (y | (y >> 12)) & 0xffU;
    out |= y << (8 * b);
  }
  return out;
}

// 32 numbers of levels, one a byte.
using Numbers = std::array<uint8_t, 32>;

void weave(Levels kind, const Numbers& numbers, Words& w) {
  w.fill(0);
  for (uint32_t j = 0; j < 8; ++j) {
    uint32_t quad = 0;
    std::memcpy(&quad, numbers.data() + size_t{4} * j, sizeof quad);
    if (kind == Levels::one) w[0] |= (quad & 0x01010101U) << j;
    if (kind == Levels::four) w[j % 4] |= quad << (4 * (j / 4));
    if (kind == Levels::two || kind == Levels::two_one) w[j / 4] |= (quad & 0x03030303U) << (2 * (j % 4));
    if (kind == Levels::two_one) w[2] |= ((quad >> 2) & 0x01010101U) << j;
  }
}

// Two runs of eight nibbles' bytes: the low halves come first in each.
void nvfp4_numbers(Byte q, Numbers& n) {
  for (size_t i = 0; i < 32; ++i) {
    const uint32_t both = byte_at(q, i / 16 * 8 + i % 8);
    n[i] = static_cast<uint8_t>(i % 16 < 8 ? both & 15U : both >> 4);
  }
}
void q2_0_numbers(Byte q, Numbers& n) {
  for (size_t i = 0; i < 32; ++i) n[i] = (byte_at(q, i / 4) >> (2 * (i % 4))) & 3;
}
// Columns 32·part … of five trits per byte; see tensor/types/tq1_0.cpp for the order.
void tq1_0_numbers(Byte b, uint32_t part, Numbers& n) {
  constexpr std::array<uint32_t, 5> powers{1, 3, 9, 27, 81};
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t at = 32 * part + i;
    const bool last = at >= 240, middle = at >= 160;
    const uint32_t byte = last ? 48 + at % 4 : middle ? 32 + at % 16 : at % 32;
    const uint32_t trit = last ? (at - 240) / 4 : middle ? (at - 160) / 16 : at / 32;
    n[i] = static_cast<uint8_t>((((byte_at(b, byte) * powers[trit]) & 255U) * 3U) >> 8);
  }
}

// Eight columns: two bits each of a codebook row, and the bit of the sign above them.
void put_eight(uint32_t row, uint32_t signs, uint8_t* n) {
  for (uint32_t k = 0; k < 8; ++k)
    n[k] = static_cast<uint8_t>(((row >> (2 * k)) & 3U) | (((signs >> k) & 1U) << 2));
}
// The same of two codebook rows with three bits for each of four columns.
void put_eight(uint32_t first, uint32_t second, uint32_t signs, uint8_t* n) {
  for (uint32_t k = 0; k < 8; ++k) {
    const uint32_t row = k < 4 ? first : second;
    n[k] = static_cast<uint8_t>(((row >> (3 * (k % 4))) & 7U) | (((signs >> k) & 1U) << 3));
  }
}
uint32_t with_parity(uint32_t index) {
  return index | (static_cast<uint32_t>(__builtin_popcount(index) & 1) << 7);
}

// Group `g` of 32 columns of the types with a codebook; eight columns with number `w` of 32 in the block.
void codebook_numbers(DType type, Byte b, uint32_t g, Numbers& n) {
  for (uint32_t l = 0; l < 4; ++l) {
    const uint32_t w = 4 * g + l;
    uint8_t* to = n.data() + size_t{8} * l;
    const auto bits = [&](size_t at, uint32_t shift) {
      return static_cast<uint32_t>(byte_at(b, at)) >> shift;
    };
    switch (type) {
      case DType::iq2_xxs: {
        const uint32_t signs = word(b + 6 + 8 * g) >> (7 * l);
        put_eight(iq2_xxs_rows[byte_at(b, 2 + 8 * g + l)], with_parity(signs & 127U), to);
        break;
      }
      case DType::iq2_xs: {
        const uint32_t q = half(b + 2 + 2 * w);
        put_eight(iq2_xs_rows[q & 511U], with_parity(q >> 9), to);
        break;
      }
      case DType::iq2_s:
        put_eight(iq2_s_rows[bits(2 + w, 0) | ((bits(66 + g, 2 * l) & 3U) << 8)], bits(34 + w, 0), to);
        break;
      case DType::iq3_xxs: {
        const uint32_t signs = word(b + 66 + 4 * g) >> (7 * l);
        put_eight(iq3_xxs_rows[bits(2 + 2 * w, 0)], iq3_xxs_rows[bits(3 + 2 * w, 0)],
                  with_parity(signs & 127U), to);
        break;
      }
      case DType::iq3_s: {
        const auto row = [&](uint32_t r) {
          return iq3_s_rows[bits(2 + 8 * g + r, 0) | ((bits(66 + g, r) & 1U) << 8)];
        };
        put_eight(row(2 * l), row(2 * l + 1), bits(74 + w, 0), to);
        break;
      }
      case DType::iq1_s:
        put_eight(iq1_rows[bits(2 + w, 0) | (((uint32_t{half(b + 34 + 2 * g)} >> (3 * l)) & 7U) << 8)], 0,
                  to);
        break;
      default: {  // IQ1_M
        const uint32_t h = bits(32 + w / 2, 4 * (w % 2)) & 15U;
        put_eight(iq1_rows[bits(w, 0) | ((h & 7U) << 8)], (h & 8U) != 0 ? 255 : 0, to);
        break;
      }
    }
  }
}

// The words of 32 columns, the `part`-th of the block.
[[gnu::always_inline]] inline void levels(const PackedForm& form, Byte b, uint32_t part, Words& w) {
  const uint32_t g = part / 4, r = part % 4;  // blocks of 256: two halves of four parts
  const auto type = static_cast<DType>(form.type);
  Numbers numbers{};
  switch (type) {
    case DType::q4_0:
    case DType::iq4_nl: return paired_nibbles(b + 2, w);
    case DType::q4_1: return paired_nibbles(b + 4, w);
    case DType::mxfp4: return paired_nibbles(b + 1, w);
    case DType::q5_0: paired_nibbles(b + 6, w), w[4] = woven_bits(word(b + 2)); return;
    case DType::q5_1: paired_nibbles(b + 8, w), w[4] = woven_bits(word(b + 4)); return;
    case DType::q8_0:
      for (size_t j = 0; j < 8; ++j) w[j] = word(b + 2 + 4 * j) ^ 0x80808080U;
      return;
    case DType::q2_k: return two_bits(b + 16 + 32 * g, 2 * r, w.data());
    case DType::q3_k: two_bits(b + 32 + 32 * g, 2 * r, w.data()), w[2] = one_bit(b, part); return;
    case DType::q4_k: return nibbles_of(b + 16 + 32 * (part / 2), part % 2 == 1, w);
    case DType::q5_k:
      nibbles_of(b + 48 + 32 * (part / 2), part % 2 == 1, w), w[4] = one_bit(b + 16, part);
      return;
    case DType::q6_k:
      nibbles_of(b + 64 * g + 32 * (r % 2), r >= 2, w);
      return two_bits(b + 128 + 32 * g, 2 * r, w.data() + 4);
    case DType::iq4_xs: return paired_nibbles(b + 8 + 16 * part, w);
    case DType::tq2_0: return two_bits(b + 32 * g, 2 * r, w.data());
    case DType::q1_0: w[0] = woven_bits(word(b + 2 + 4 * part)); return;
    case DType::nvfp4: nvfp4_numbers(b + 4 + 16 * part, numbers); break;
    case DType::q2_0: q2_0_numbers(b + 2 + 8 * part, numbers); break;
    case DType::tq1_0: tq1_0_numbers(b, part, numbers); break;
    default: codebook_numbers(type, b, part, numbers); break;
  }
  weave(form.levels, numbers, w);
}

// What a block has beside its levels.
struct BlockScales {
  uint16_t scale = 0, minimum = 0;  // f16; MXFP4: the exponent
  std::array<uint8_t, 16> group{}, low{};
};

// Six-bit scales and minima of Q4_K and Q5_K: eight pairs in twelve bytes.
void scale_min(Byte sc, BlockScales& s) {
  for (size_t j = 0; j < 8; ++j) {
    const auto at = [&](size_t i) { return byte_at(sc, i); };
    s.group[j] = static_cast<uint8_t>(j < 4 ? at(j) & 63 : (at(j + 4) & 15) | ((at(j - 4) >> 6) << 4));
    s.low[j] = static_cast<uint8_t>(j < 4 ? at(j + 4) & 63 : (at(j + 4) >> 4) | ((at(j) >> 6) << 4));
  }
}

// Sixteen six-bit scales of Q3_K, eight of IQ4_XS; both count from −32.
void q3_scales(Byte sc, BlockScales& s) {
  for (size_t j = 0; j < 16; ++j) {
    const int low = j < 8 ? byte_at(sc, j) & 15 : byte_at(sc, j - 8) >> 4;
    const int high = (byte_at(sc, 8 + j % 4) >> (2 * (j / 4))) & 3;
    s.group[j] = static_cast<uint8_t>((low | (high << 4)) - 32);
  }
}
void iq4_scales(Byte b, BlockScales& s) {
  const uint32_t top = half(b + 2);
  for (size_t j = 0; j < 8; ++j) {
    const uint32_t low = (byte_at(b, 4 + j / 2) >> (4 * (j % 2))) & 15U;
    s.group[j] = static_cast<uint8_t>(static_cast<int>(low | (((top >> (2 * j)) & 3U) << 4)) - 32);
  }
}

// The IQ types count scales in odd numbers: 2 · n + 1 for the nibble n.
void odd_nibbles(Byte p, size_t count, BlockScales& s) {
  for (size_t j = 0; j < count; ++j)
    s.group[j] = static_cast<uint8_t>(2 * ((byte_at(p, j / 2) >> (4 * (j % 2))) & 15) + 1);
}
// The nibble is on top of every group's word, `step` bytes apart.
void odd_tops(Byte p, size_t step, BlockScales& s) {
  for (size_t j = 0; j < 8; ++j) s.group[j] = static_cast<uint8_t>(2 * (word(p + j * step) >> 28) + 1);
}
// Three bits of scale and one of the shift's direction. Levels count from 0 here and from −1 ± 1/8 in the
// block: the minimum takes off eight eighths more or less one.
void iq1_s_scales(Byte b, BlockScales& s) {
  s.scale = s.minimum = half(b);
  for (size_t j = 0; j < 8; ++j) {
    const uint32_t h = half(b + 34 + 2 * j), scale = 2 * ((h >> 12) & 7U) + 1;
    s.group[j] = static_cast<uint8_t>(scale);
    s.low[j] = static_cast<uint8_t>(scale * ((h & 0x8000U) != 0 ? 9U : 7U));
  }
}
void iq1_m_scales(Byte b, BlockScales& s) {
  for (size_t j = 0; j < 16; ++j) {
    const uint32_t three = (uint32_t{half(b + 48 + 2 * (j / 4))} >> (3 * (j % 4))) & 7U;
    s.group[j] = static_cast<uint8_t>(2 * three + 1);
  }
  uint32_t bits = 0;
  for (size_t i = 0; i < 4; ++i) bits |= uint32_t{half(b + 48 + 2 * i)} >> 12 << (4 * i);
  s.scale = static_cast<uint16_t>(bits);
}
// E4M3 without a sign; what stands for no number there counts as zero.
void nvfp4_scales(Byte b, BlockScales& s) {
  for (size_t j = 0; j < 4; ++j) s.group[j] = byte_at(b, j) == 0x7f ? 0 : byte_at(b, j) & 0x7f;
}

[[gnu::always_inline]] inline BlockScales scales(DType type, Byte b) {
  BlockScales s;
  switch (type) {
    case DType::q4_1:
    case DType::q5_1: s.scale = half(b), s.minimum = half(b + 2); break;
    case DType::mxfp4: s.scale = byte_at(b, 0); break;
    case DType::q2_k:
      std::memcpy(s.group.data(), b, 16);
      s.scale = half(b + 80), s.minimum = half(b + 82);
      break;
    case DType::q3_k: q3_scales(b + 96, s), s.scale = half(b + 108); break;
    case DType::q4_k:
    case DType::q5_k: scale_min(b + 4, s), s.scale = half(b), s.minimum = half(b + 2); break;
    case DType::q6_k: std::memcpy(s.group.data(), b + 192, 16), s.scale = half(b + 208); break;
    case DType::iq4_xs: iq4_scales(b, s), s.scale = half(b); break;
    case DType::nvfp4: nvfp4_scales(b, s); break;
    case DType::tq1_0: s.scale = half(b + 52); break;
    case DType::tq2_0: s.scale = half(b + 64); break;
    case DType::iq2_xxs: odd_tops(b + 6, 8, s), s.scale = half(b); break;
    case DType::iq3_xxs: odd_tops(b + 66, 4, s), s.scale = half(b); break;
    case DType::iq2_xs: odd_nibbles(b + 66, 16, s), s.scale = half(b); break;
    case DType::iq2_s: odd_nibbles(b + 74, 16, s), s.scale = half(b); break;
    case DType::iq3_s: odd_nibbles(b + 106, 8, s), s.scale = half(b); break;
    case DType::iq1_s: iq1_s_scales(b, s); break;
    case DType::iq1_m: iq1_m_scales(b, s); break;
    default: s.scale = half(b); break;
  }
  return s;
}

void put_scales(const PackedForm& form, const BlockScales& s, uint32_t row, std::byte* group,
                std::byte* block) {
  const uint32_t step = group_scale_bytes(form.scales);
  for (uint32_t j = 0; step != 0 && j < form.block / form.group; ++j, group += step) {
    group[row] = static_cast<std::byte>(s.group[j]);
    if (form.scales == Scales::grouped_affine) group[strip_rows + row] = static_cast<std::byte>(s.low[j]);
  }
  if (block_scale_bytes(form.scales) == 0) return;
  if (form.scales == Scales::exponent) {
    block[row] = static_cast<std::byte>(s.scale);
    return;
  }
  std::memcpy(block + 2 * row, &s.scale, 2);
  if (is_affine(form.scales)) std::memcpy(block + 2 * (strip_rows + row), &s.minimum, 2);
}

// The form is a constant, so that the choices above are made once and not for every word.
template <size_t index>
void pack(const std::byte* rows_data, size_t row_bytes, uint32_t rows, uint32_t cols, std::byte* strip) {
  constexpr PackedForm form = packed_forms[index];
  constexpr auto type = static_cast<DType>(form.type);
  constexpr size_t lines = level_bytes(form.levels) / 64;
  const size_t block_bytes = type_info(type).block_bytes;
  if (rows < strip_rows) std::memset(strip, 0, strip_bytes(form, cols));
  std::byte *out = strip, *group = strip + group_scales_at(form, cols),
            *block = strip + block_scales_at(form, cols);
  for (uint32_t k = 0; k < cols; k += form.block) {
    const size_t at = size_t{k} / form.block * block_bytes;
    for (uint32_t part = 0; part < form.block / 32; ++part, out += level_bytes(form.levels)) {
      for (uint32_t r = 0; r < rows; ++r) {
        Words w;
        levels(form, rows_data + r * row_bytes + at, part, w);
        for (size_t i = 0; i < lines; ++i) std::memcpy(out + 64 * i + size_t{4} * r, &w[i], 4);
      }
    }
    for (uint32_t r = 0; r < rows; ++r)
      put_scales(form, scales(type, rows_data + r * row_bytes + at), r, group, block);
    group += form.block / form.group * group_scale_bytes(form.scales);
    block += block_scale_bytes(form.scales);
  }
}

using Pack = void (*)(const std::byte*, size_t, uint32_t, uint32_t, std::byte*);
template <size_t... index>
constexpr std::array<Pack, sizeof...(index)> packs_of(std::index_sequence<index...>) {
  return {pack<index>...};
}

}  // namespace

const PackedForm* packed_form(uint32_t type) noexcept {
  const auto* found = std::find_if(std::begin(packed_forms), std::end(packed_forms),
                                   [&](const PackedForm& f) { return f.type == type; });
  return found == std::end(packed_forms) ? nullptr : found;
}

uint64_t packed_bytes(const PackedForm& form, uint64_t rows, uint64_t cols) noexcept {
  return (rows + strip_rows - 1) / strip_rows * strip_bytes(form, cols);
}

void pack_strip(const PackedForm& form, const std::byte* rows_data, size_t row_bytes, uint32_t rows,
                uint32_t cols, std::byte* strip) noexcept {
  static constexpr auto packs = packs_of(std::make_index_sequence<packed_form_count>());
  for (uint32_t i = 0; i < packed_form_count; ++i) {
    if (packed_forms[i].type == form.type) return packs[i](rows_data, row_bytes, rows, cols, strip);
  }
}

}  // namespace hearth::cpu
