#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "formats/gguf_writer.h"
#include "tensor/types.h"

// Weights by formula: every value follows from a seed, the tensor's name and the element's number, so that
// any part of any model can be made anywhere, bit for bit, without a download.
namespace hearth {

enum class Fill : uint8_t { uniform, normal, blocks };

// One tensor's recipe. uniform: scale · u, u in [−1, 1); normal: scale · t, standard deviation of t 1.155;
// both then rounded to the type. blocks: random bytes with sane scales, at memory speed.
struct TensorRecipe {
  std::string_view name;
  DType type{};
  Fill fill = Fill::uniform;
  float scale = 1, offset = 0;
  uint64_t seed = 1;
};

// The bytes of values [first, first + n) of the tensor, first and n whole blocks; out has exactly their size.
// Thread-safe: ranges may be filled in parallel.
void synthesise(const TensorRecipe& recipe, uint64_t first, std::span<std::byte> out);

// Whether Fill::blocks knows the type.
bool can_synthesise(DType type) noexcept;

// The scale for Fill::blocks at which the decoded weights have this standard deviation.
float block_scale(DType type, double deviation);

// The GGUF image that a recipe (as in the logits references: version, alignment, seed, metadata, tensors)
// describes.
std::vector<std::byte> build_recipe(const Json& recipe);

}  // namespace hearth
