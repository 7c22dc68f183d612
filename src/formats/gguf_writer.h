#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "formats/gguf.h"

namespace hearth {

// Writes a GGUF file: metadata and tensors in the order in which they were added. Tensor data are produced
// piece by piece while writing, so a file of many gigabytes needs no memory.
class GgufWriter {
 public:
  explicit GgufWriter(uint32_t version = 3, uint64_t alignment = 32)
      : version_(version), alignment_(alignment) {}

  void put(const std::string& key, GgufType type,
           uint64_t value);  // u8 … u64, and i8 … i64 as two's complement
  void put(const std::string& key, double value, bool wide = false);  // f32, or f64
  void put(const std::string& key, bool value);
  void put(const std::string& key, std::string_view value);
  void put(const std::string& key, const std::vector<std::string>& values);
  void put(const std::string& key, const std::vector<int32_t>& values);
  void put(const std::string& key, const std::vector<float>& values);
  // An array whose elements are already in the file's form.
  void put_array(const std::string& key, GgufType element, uint64_t count, std::string_view bytes);

  // A value as it was read from another file.
  void put(const std::string& key, const MetadataValue& value);

  // `fill(first, out)` writes the tensor's bytes [first, first + out.size()), whole blocks. dims fastest
  // first.
  using Fill = std::function<void(uint64_t first, std::span<std::byte> out)>;
  void add(const std::string& name, DType type, std::vector<uint64_t> dims, Fill fill);

  // The whole file in memory.
  std::vector<std::byte> image() const;
  // To a temporary beside `path`, then renamed. Throws Error(io), and what a fill throws; nothing is left
  // then.
  void write(const std::filesystem::path& path) const;
  // From front to back to an open file; `name` is used in messages. Throws as above.
  void write(int fd, const std::string& name) const;
  uint64_t file_bytes() const;

  // Everything before the tensors' data, and where each tensor lies: for writing an image in parallel. Pieces
  // of a tensor begin and end at multiples of its `block_bytes`.
  std::string header() const;
  struct Placed {
    const Fill* fill;
    uint64_t offset, bytes, block_bytes;
  };
  std::vector<Placed> placed() const;

 private:
  struct Tensor {
    std::string name;
    DType type;
    std::vector<uint64_t> dims;
    Fill fill;
    uint64_t bytes;
  };

  void key(const std::string& key, GgufType type);

  uint32_t version_;
  uint64_t alignment_;
  uint64_t entries_ = 0;
  std::string metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace hearth
