#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/synth.h"
#include "formats/gguf_writer.h"

// Models of known shapes with made-up weights: "how fast would this model be here?" without downloading it.
namespace hearth {

// Hyperparameters from the models' public cards.
struct ModelShape {
  std::string_view name, architecture;
  uint32_t layers, width, ffn, heads, kv_heads, head_size, vocabulary, context;
  float rope_base, eps;
  bool tied;  // the output matrix is the embedding table
};

std::span<const ModelShape> known_shapes();
std::span<const std::string_view> known_quants();

// The writer of a model of this shape and quantization mixture ("Q4_K_M": which tensor gets which type
// follows the usual quantizers). Throws Error(bad_request) listing the names it knows.
GgufWriter synthetic_model(std::string_view shape, std::string_view quant);

// The same in anonymous memory, made by several threads.
class SyntheticModel {
 public:
  // Throws Error(out_of_memory) naming what is needed and what there is.
  SyntheticModel(std::string_view shape, std::string_view quant, uint32_t threads);
  SyntheticModel(const SyntheticModel&) = delete;
  SyntheticModel& operator=(const SyntheticModel&) = delete;
  ~SyntheticModel();

  std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace hearth
