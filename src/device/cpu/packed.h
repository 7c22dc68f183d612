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
//                 then, for types of three, five or six bits, the bits on top:
//                   one bit      quad j in bit j of 64 bytes
//                   two bits     as above, 128 bytes
//   group scales  per group of 16 or 32 columns: sixteen integers of eight bits, then (affine types) sixteen
//                 minima; in one byte, scale low and minimum high, for Q2_K; none where blocks have 32
//                 columns
//   block scales  per block of 256 or 32 columns: sixteen f16 (MXFP4: sixteen exponents), then (affine types)
//                 sixteen f16 of the minimum
//   weight = block scale · group scale · (level − bias) [− block minimum · group minimum]
// Rows that fill up the last strip have scale 0. This header is included by kernel files: only constants and
// functions without linkage.
#include <cstddef>
#include <cstdint>

namespace hearth::cpu {

enum class Levels : uint32_t { eight, four, four_one, four_two, two, two_one };
enum class Scales : uint32_t { half, half_affine, exponent, grouped, grouped_affine, grouped_nibbles };

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
};
constexpr uint32_t packed_form_count = sizeof packed_forms / sizeof packed_forms[0];

// What a nibble of the table types stands for, with the bias added.
constexpr uint8_t iq4_biased[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
constexpr uint8_t fp4_biased[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

constexpr uint32_t level_bytes(Levels l) {  // per 32 columns
  return l == Levels::eight      ? 512
         : l == Levels::four     ? 256
         : l == Levels::four_one ? 320
         : l == Levels::four_two ? 384
         : l == Levels::two      ? 128
                                 : 192;
}
constexpr bool is_affine(Scales s) {
  return s == Scales::half_affine || s == Scales::grouped_affine || s == Scales::grouped_nibbles;
}
constexpr uint32_t group_scale_bytes(Scales s) {  // per group
  return s == Scales::grouped_affine                            ? 2 * strip_rows
         : s == Scales::grouped || s == Scales::grouped_nibbles ? strip_rows
                                                                : 0;
}
constexpr uint32_t block_scale_bytes(Scales s) {  // per block
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

// An activation row rounded to bytes, per 32 columns with one scale: x ≈ scale · integer. The sums serve
// biases and minima. Offsets in bytes for a row of `cols` columns.
struct IntegerRow {
  size_t scale, int_sum16, int_sum32, sum16, sum32, bytes;
};
constexpr IntegerRow integer_row(size_t cols) {
  IntegerRow r{};
  r.scale = cols;
  r.int_sum16 = r.scale + cols / 32 * 4;  // −Σ of the integers over 16 columns
  r.int_sum32 = r.int_sum16 + cols / 16 * 4;
  r.sum16 = r.int_sum32 + cols / 32 * 4;  // Σ times the scale, float
  r.sum32 = r.sum16 + cols / 16 * 4;
  r.bytes = (r.sum32 + cols / 32 * 4 + 63) / 64 * 64;
  return r;
}

}  // namespace
}  // namespace hearth::cpu
