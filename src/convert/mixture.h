#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "formats/gguf.h"
#include "tensor/types.h"

// Which tensor of a model gets which type in "Q4_K_M" and its kin: the usual assignment of GGUF quantizers,
// so that sizes and losses are those that people know from the names.
namespace hearth {

// Parts of a model whose matrices a mixture may treat apart.
enum class MatrixPart : uint8_t { attn_v, attn_k, attn_qkv, attn_output, ffn_down, other };

// Layers that an exception holds for. `spread`: the first and last eighth and every third between.
enum class LayerRange : uint8_t { everywhere, spread, first_eighth, first_sixteenth, first_four, first_two };

// The first exception that fits decides.
struct MixtureException {
  MatrixPart part;
  LayerRange where;
  DType type;
  bool shared_heads = false;  // only where four or more query heads share a key/value head
};

struct Mixture {
  std::string_view name;
  uint32_t file_type;  // general.file_type
  DType most, output;  // output: the output matrix, or the embedding table where they are one
  std::span<const MixtureException> exceptions;
  bool quantized() const { return type_info(most).block_values > 1; }
};

std::span<const Mixture> known_mixtures();

// By name, any case; "Q3_K", "Q4_K" and "Q5_K" mean the M variants. Throws Error(bad_request) listing the
// known.
const Mixture& find_mixture(std::string_view name);

// What the assignment depends on.
struct MixtureFacts {
  uint32_t layers = 0, heads = 1, kv_heads = 1, experts = 0;
  bool tied = false;  // there is no output matrix of its own
};

// From a model's metadata; damaged or missing numbers leave the defaults.
MixtureFacts mixture_facts(const Gguf& file);

// False for what stays as it is in every mixture: vectors, norms, routers, positions, what is no weight.
bool is_quantizable(std::string_view tensor, uint32_t dimensions);

// The type of a quantizable tensor with rows of `cols` values. LayerRange the blocks of the mixture's type do
// not divide the row, a type of similar size whose blocks do.
DType type_for(const Mixture& mixture, const MixtureFacts& facts, std::string_view tensor, uint64_t cols);

}  // namespace hearth
