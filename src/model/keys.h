#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"

namespace hearth {

// The hyperparameters of a model file: metadata under "<architecture>.".
class Keys {
 public:
  // Throws Error(corrupt_file) where general.architecture is missing.
  explicit Keys(const Gguf& file);

  const std::string& architecture() const noexcept { return architecture_; }
  const Gguf& file() const noexcept { return file_; }

  // Value of "<architecture>.<name>". require: Error(corrupt_file) naming the key where it is missing; all:
  // Error where the type is wrong or the number does not fit 32 bits.
  uint32_t require(std::string_view name) const;
  uint32_t number(std::string_view name, uint32_t otherwise) const;
  std::optional<uint32_t> number(std::string_view name) const;
  float real(std::string_view name, float otherwise) const;
  float require_real(std::string_view name) const;
  bool flag(std::string_view name, bool otherwise) const;
  std::string text(std::string_view name, std::string otherwise) const;
  bool has(std::string_view name) const;
  // A number per layer: an array, or one number for all. Empty where there is no such key.
  std::vector<uint32_t> per_layer(std::string_view name, uint32_t layers) const;

 private:
  std::string full(std::string_view name) const { return architecture_ + "." + std::string(name); }

  const Gguf& file_;
  std::string architecture_;
};

}  // namespace hearth
