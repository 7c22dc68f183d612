#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace hearth {

// Element types of tensors; the numbers are GGUF's (ids of types that were withdrawn from the format are
// absent).
enum class DType : uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q8_1 = 9,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  iq2_xxs = 16,
  iq2_xs = 17,
  iq3_xxs = 18,
  iq1_s = 19,
  iq4_nl = 20,
  iq3_s = 21,
  iq2_s = 22,
  iq4_xs = 23,
  i8 = 24,
  i16 = 25,
  i32 = 26,
  i64 = 27,
  f64 = 28,
  iq1_m = 29,
  bf16 = 30,
  tq1_0 = 34,
  tq2_0 = 35,
  mxfp4 = 39,
  nvfp4 = 40,
  q1_0 = 41,
  q2_0 = 42,
};

// One per element type, in tensor/types/NAME.cpp: layout and exact decoding, which is the specification that
// every kernel of every device is tested against.
struct TypeInfo {
  DType type;
  std::string_view name;  // as GGUF tools spell it: "Q4_K"
  uint32_t block_values;  // elements per block: 1, 32, 64, 128 or 256
  uint32_t block_bytes;
  // Decodes whole blocks; out.size() = blocks × block_values. Null for types that only occur as metadata-like
  // tensors (integers, f64) and are never multiplied.
  void (*decode)(std::span<const std::byte> blocks, std::span<float> out);
  // Writes the blocks that lose little: scales are searched for the smallest squared error, weighted by
  // `importance` (empty, or one positive weight per element of `in`). in.size() = blocks × block_values. Null
  // where hearth cannot write the type.
  void (*encode)(std::span<const float> in, std::span<const float> importance, std::span<std::byte> blocks);
  // The plain rule that made-up models are written with: no search, the same bytes everywhere. Null with
  // `encode`.
  void (*round)(std::span<const float> in, std::span<std::byte> blocks);
};

// All known types, in the order of their numbers.
std::span<const TypeInfo* const> all_types();

// Null for an unknown number or name (any case).
const TypeInfo* find_type(uint32_t id) noexcept;
const TypeInfo* find_type(std::string_view name) noexcept;

// The entry of a type that exists by construction.
const TypeInfo& type_info(DType type) noexcept;

// Bytes of a row of `cols` values; none if cols is not a whole number of blocks or the size overflows.
std::optional<uint64_t> row_bytes(DType type, uint64_t cols) noexcept;

// A matrix (or a stack of them, one per expert) as it lies in a file: `rows` rows of `cols` values, row after
// row.
struct Shape {
  uint64_t rows = 0, cols = 0, stack = 1;
  uint64_t values() const noexcept { return rows * cols * stack; }
  friend bool operator==(const Shape&, const Shape&) = default;
};

struct WeightView {
  std::string_view name;
  DType type{};
  Shape shape;
  std::span<const std::byte> data;
};

}  // namespace hearth
