// From the file's blocks to strips. Levels travel as words of four columns: the formulas below gather a word
// of every line of the strip from the bytes of a block; see tensor/types/ for how blocks are laid out.
#include "device/cpu/packer.h"

#include <algorithm>
#include <array>
#include <cstring>

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
void nibbles_of(Byte q, bool high, Words& w) {
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
void two_bits(Byte q, uint32_t shift, uint32_t* w) {
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

// The words of 32 columns, the `part`-th of the block.
void levels(DType type, Byte b, uint32_t part, Words& w) {
  const uint32_t g = part / 4, r = part % 4;  // blocks of 256: two halves of four parts
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
    default: return;
  }
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

BlockScales scales(DType type, Byte b) {
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
  if (form.scales == Scales::exponent) {
    block[row] = static_cast<std::byte>(s.scale);
    return;
  }
  std::memcpy(block + 2 * row, &s.scale, 2);
  if (is_affine(form.scales)) std::memcpy(block + 2 * (strip_rows + row), &s.minimum, 2);
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
  const auto type = static_cast<DType>(form.type);
  const size_t block_bytes = type_info(type).block_bytes, lines = level_bytes(form.levels) / 64;
  if (rows < strip_rows) std::memset(strip, 0, strip_bytes(form, cols));
  std::byte *out = strip, *group = strip + group_scales_at(form, cols),
            *block = strip + block_scales_at(form, cols);
  for (uint32_t k = 0; k < cols; k += form.block) {
    const size_t at = size_t{k} / form.block * block_bytes;
    for (uint32_t part = 0; part < form.block / 32; ++part, out += level_bytes(form.levels)) {
      for (uint32_t r = 0; r < rows; ++r) {
        Words w;
        levels(type, rows_data + r * row_bytes + at, part, w);
        for (size_t i = 0; i < lines; ++i) std::memcpy(out + 64 * i + 4 * r, &w[i], 4);
      }
    }
    for (uint32_t r = 0; r < rows; ++r)
      put_scales(form, scales(type, rows_data + r * row_bytes + at), r, group, block);
    group += form.block / form.group * group_scale_bytes(form.scales);
    block += block_scale_bytes(form.scales);
  }
}

}  // namespace hearth::cpu
