#pragma once

// Weights as the integer kernels want them: sixteen rows of a matrix are woven into a strip, so that one
// vector holds the same four columns of all of them and every lane is a row. Nothing is summed across lanes,
// scales need no broadcast, and four bytes of an activation meet all sixteen rows in one instruction.
//
// A strip is  quants | group scales | block scales  for all columns, padded to whole cache lines:
//   quants        per 32 columns: the levels of eight quads (four columns × sixteen rows = 64 bytes each)
//                   eight bits   quad j at byte 64·j
//                   four bits    quad j < 4 in the low, quad j + 4 in the high halves of bytes 64·j …
//                   two bits     quad 4·p + j in bits 2·j of bytes 64·p …
//                   one bit      quad j in bit j of 64 bytes
//                 then, for types of three, five or six bits, the bits on top:
//                   one bit      quad j in bit j of 64 bytes
//                   two bits     as above, 128 bytes
//   group scales  per group of 16 or 32 columns: sixteen integers of eight bits, then (affine types) sixteen
//                 minima; in one byte, scale low and minimum high, for Q2_K; numbers of the format E4M3 for
//                 NVFP4; none where a block has a single scale
//   block scales  per block: sixteen f16 (MXFP4: sixteen exponents; NVFP4: none), then (affine types) sixteen
//                 f16 of the minimum (IQ1_S: of the scale once more)
//   weight = block scale · group scale · (level − bias) [− block minimum · group minimum]
// Types with a codebook keep no index into it: every weight has the number of its level and its sign.
// Rows that fill up the last strip have scale 0. This header is included by kernel files: only constants and
// functions without linkage.
#include <cstddef>
#include <cstdint>

namespace hearth::cpu {

enum class Levels : uint32_t { eight, four, four_one, four_two, two, two_one, one };
enum class Scales : uint32_t {
  half,
  half_affine,
  exponent,
  grouped,
  grouped_affine,
  grouped_nibbles,
  grouped_e4m3
};

struct PackedForm {
  uint32_t type;  // DType
  Levels levels;
  Scales scales;
  uint32_t group;  // columns that share a scale
  uint32_t block;  // columns that share a block scale
  uint32_t bias;   // what is taken off a level
};

namespace {

constexpr uint32_t strip_rows = 16;

constexpr PackedForm packed_forms[] = {
    {2, Levels::four, Scales::half, 32, 32, 8},                  // Q4_0
    {3, Levels::four, Scales::half_affine, 32, 32, 0},           // Q4_1
    {6, Levels::four_one, Scales::half, 32, 32, 16},             // Q5_0
    {7, Levels::four_one, Scales::half_affine, 32, 32, 0},       // Q5_1
    {8, Levels::eight, Scales::half, 32, 32, 128},               // Q8_0
    {10, Levels::two, Scales::grouped_nibbles, 16, 256, 0},      // Q2_K
    {11, Levels::two_one, Scales::grouped, 16, 256, 4},          // Q3_K
    {12, Levels::four, Scales::grouped_affine, 32, 256, 0},      // Q4_K
    {13, Levels::four_one, Scales::grouped_affine, 32, 256, 0},  // Q5_K
    {14, Levels::four_two, Scales::grouped, 16, 256, 32},        // Q6_K
    {20, Levels::four, Scales::half, 32, 32, 128},               // IQ4_NL: levels from a table
    {23, Levels::four, Scales::grouped, 32, 256, 128},           // IQ4_XS: levels from a table
    {39, Levels::four, Scales::exponent, 32, 32, 16},            // MXFP4: levels from a table
    {40, Levels::four, Scales::grouped_e4m3, 16, 64, 16},        // NVFP4: the same levels
    {41, Levels::one, Scales::half, 32, 128, 1},                 // Q1_0
    {42, Levels::two, Scales::half, 32, 64, 1},                  // Q2_0
    {34, Levels::two, Scales::half, 32, 256, 1},                 // TQ1_0
    {35, Levels::two, Scales::half, 32, 256, 1},                 // TQ2_0
    {16, Levels::two_one, Scales::grouped, 32, 256, 128},        // IQ2_XXS: from here on levels from tables
    {17, Levels::two_one, Scales::grouped, 16, 256, 128},        // IQ2_XS
    {22, Levels::two_one, Scales::grouped, 16, 256, 128},        // IQ2_S
    {18, Levels::four, Scales::grouped, 32, 256, 128},           // IQ3_XXS
    {21, Levels::four, Scales::grouped, 32, 256, 128},           // IQ3_S
    {29, Levels::two_one, Scales::grouped, 16, 256, 128},        // IQ1_M
    {19, Levels::two, Scales::grouped_affine, 32, 256, 0},  // IQ1_S: three levels less seven or nine eighths
};
constexpr uint32_t packed_form_count = sizeof packed_forms / sizeof packed_forms[0];

// What the number of a level stands for in the table types, with the bias added.
constexpr uint8_t iq4_biased[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
constexpr uint8_t fp4_biased[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};
// The bit on top is the sign.
constexpr uint8_t iq2_biased[16] = {136, 153, 171, 128, 120, 103, 85, 128};
constexpr uint8_t iq3_xxs_biased[16] = {132, 140, 148, 156, 164, 172, 180, 190,
                                        124, 116, 108, 100, 92,  84,  76,  66};
constexpr uint8_t iq3_s_biased[16] = {129, 131, 133, 135, 137, 139, 141, 143,
                                      127, 125, 123, 121, 119, 117, 115, 113};
// Eighths: −1, 0, 1 shifted by one up, or down where the bit on top is set.
constexpr uint8_t iq1_biased[16] = {121, 129, 137, 128, 119, 127, 135, 128};

// Null where the level is its own number.
constexpr const uint8_t* level_table(uint32_t type) {
  switch (type) {
    case 20:
    case 23: return iq4_biased;
    case 39:
    case 40: return fp4_biased;
    case 16:
    case 17:
    case 22: return iq2_biased;
    case 18: return iq3_xxs_biased;
    case 21: return iq3_s_biased;
    case 29: return iq1_biased;
    default: return nullptr;
  }
}

// What the file's block scale (and minimum) is multiplied with: the IQ types count their group scales in
// halves and quarters, or their levels in eighths.
constexpr float scale_factor(uint32_t type) {
  return type == 16 || type == 17 || type == 22 || type == 29 ? 0.125F : type == 18 ? 0.25F : 1.0F;
}
constexpr float minimum_factor(uint32_t type) { return type == 19 ? 0.125F : 1.0F; }

constexpr uint32_t log2_of(uint32_t bias) {
  uint32_t power = 0;
  for (; bias > 1; bias /= 2) ++power;
  return power;
}

constexpr uint32_t level_bytes(Levels l) {  // per 32 columns
  return l == Levels::eight      ? 512
         : l == Levels::four     ? 256
         : l == Levels::four_one ? 320
         : l == Levels::four_two ? 384
         : l == Levels::two      ? 128
         : l == Levels::one      ? 64
                                 : 192;
}
constexpr bool is_affine(Scales s) {
  return s == Scales::half_affine || s == Scales::grouped_affine || s == Scales::grouped_nibbles;
}
constexpr uint32_t group_scale_bytes(Scales s) {  // per group
  switch (s) {
    case Scales::grouped_affine: return 2 * strip_rows;
    case Scales::grouped:
    case Scales::grouped_nibbles:
    case Scales::grouped_e4m3: return strip_rows;
    default: return 0;
  }
}
constexpr uint32_t block_scale_bytes(Scales s) {  // per block
  if (s == Scales::grouped_e4m3) return 0;
  return (s == Scales::exponent ? 1U : is_affine(s) ? 4U : 2U) * strip_rows;
}

constexpr size_t group_scales_at(const PackedForm& f, size_t cols) {
  return cols / 32 * level_bytes(f.levels);
}
constexpr size_t block_scales_at(const PackedForm& f, size_t cols) {
  return group_scales_at(f, cols) + cols / f.group * group_scale_bytes(f.scales);
}
constexpr size_t strip_bytes(const PackedForm& f, size_t cols) {
  return (block_scales_at(f, cols) + cols / f.block * block_scale_bytes(f.scales) + 63) / 64 * 64;
}

// Types whose groups have integers for scales within a block: with one scale of the activations for the whole
// block, minima and biases are summed as integers, and with AVX2 all else too. Groups of 32 without minima
// gain nothing by it, and keep the finer scale.
constexpr bool sums_blocks(const PackedForm& f) {
  return f.block == 256 && (f.scales == Scales::grouped_affine || f.scales == Scales::grouped_nibbles ||
                            (f.scales == Scales::grouped && f.group == 16));
}
// Columns of an activation row that share a scale, as a product wants them.
constexpr uint32_t rounded_together(const PackedForm& f) { return sums_blocks(f) ? 256 : 32; }

// An activation row rounded to bytes: x ≈ scale · integer. The scale is noted per 32 columns, and is the same
// for as many as were rounded together. The sums serve biases and minima. Offsets in bytes for a row of
// `cols` columns.
struct IntegerRow {
  size_t scale, int_sum16, int_sum32, sum16, sum32, short_sum16, short_sum32, bytes;
};
constexpr IntegerRow integer_row(size_t cols) {
  IntegerRow r{};
  r.scale = cols;
  r.int_sum16 = r.scale + cols / 32 * 4;  // −Σ of the integers over 16 columns
  r.int_sum32 = r.int_sum16 + cols / 16 * 4;
  r.sum16 = r.int_sum32 + cols / 32 * 4;  // Σ times the scale, float
  r.sum32 = r.sum16 + cols / 16 * 4;
  r.short_sum16 = r.sum32 + cols / 32 * 4;  // Σ of the integers, in sixteen bits
  r.short_sum32 = r.short_sum16 + cols / 16 * 2;
  r.bytes = (r.short_sum32 + cols / 32 * 2 + 63) / 64 * 64;
  return r;
}

}  // namespace
}  // namespace hearth::cpu
