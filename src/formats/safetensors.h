#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "tensor/types.h"

namespace hearth {

struct SafeTensor {
  std::string name;
  std::string dtype;  // as the file spells it: "BF16"
  // The counterpart in GGUF; null where there is none (F8_E4M3, BOOL, U16 …).
  const TypeInfo* type = nullptr;
  std::vector<uint64_t> shape;  // slowest first; empty for a single number
  std::span<const std::byte> data;

  uint64_t values() const noexcept;
};

// Tensors in the safetensors format: u64 length of a JSON header, the header, the data. Nothing is copied but
// names; everything is validated on opening: sizes, offsets, that the tensors cover the data exactly once. A
// fault is one Error(corrupt_file) that names the file and the tensor.
class Safetensors {
 public:
  // The model in a folder: model.safetensors, or the files that model.safetensors.index.json names, or all
  // model*.safetensors. Throws Error(not_found) where there is none.
  static Safetensors open(const std::filesystem::path& folder);
  // One file from memory that outlives the object; `name` is used in messages.
  static Safetensors parse(std::span<const std::byte> bytes, const std::string& name);

  std::span<const SafeTensor> tensors() const noexcept { return tensors_; }
  const SafeTensor* find(std::string_view name) const noexcept;
  // Lets go of the memory that reading this part of a tensor has taken; it can be read again.
  void forget(std::span<const std::byte> data) const noexcept;

 private:
  Safetensors() = default;
  void add(std::span<const std::byte> bytes, const std::string& file);
  void add_file(const std::filesystem::path& path);

  std::vector<std::shared_ptr<const MappedFile>> maps_;
  std::vector<SafeTensor> tensors_;
  std::unordered_map<std::string, size_t> names_;
};

// A JSON file of a model's folder. Throws Error: not_found, corrupt_file (naming the file and where it is
// wrong), io.
Json read_json_file(const std::filesystem::path& path);

}  // namespace hearth
