#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/file.h"
#include "tensor/types.h"

namespace hearth {

// Types of metadata values, numbered as in the file.
enum class GgufType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};
std::string_view to_string(GgufType type) noexcept;

// An array as it lies in the file: checked on opening, decoded when asked for.
struct GgufArray {
  GgufType element = GgufType::u8;
  uint64_t count = 0;
  std::span<const std::byte> data;  // all elements, in the file's form
};

struct MetadataValue {
  GgufType type = GgufType::u8;
  // Integers of every width, floats of both, bool, string, array. Strings point into the file.
  std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray> value;
};

struct MetadataEntry {
  std::string_view key;
  MetadataValue value;
};

struct TensorInfo {
  std::string_view name;
  DType type{};
  std::array<uint64_t, 4> dims{1, 1, 1, 1};  // fastest first, as in the file
  uint32_t n_dims = 0;
  std::span<const std::byte> data;  // empty where only the header was read
  uint64_t bytes = 0;
};

// The beginning of a part of a file that lies elsewhere.
struct GgufHeader {
  std::span<const std::byte> bytes;
  uint64_t file_bytes = 0;  // of the whole part, as its server says
  std::string name;         // for messages
};

// A GGUF file of version 2 or 3, or several parts of one (NAME-00001-of-00003.gguf; the first part is
// opened). Nothing is copied: keys, strings and tensors point into the mapping. Everything is validated on
// opening; a fault is one Error(corrupt_file) that names the key or tensor and the byte offset.
class Gguf {
 public:
  static Gguf open(const std::filesystem::path& path);
  // From memory that outlives the object; `name` is used in messages.
  static Gguf parse(std::span<const std::byte> bytes, std::string name);
  // From the beginnings of all its parts, which outlive the object: checked like a whole file, places of
  // tensors against the announced lengths; tensors have no data. None where a header goes on behind what is
  // there of it.
  static std::optional<Gguf> parse_headers(std::span<const GgufHeader> parts);
  bool header_only() const noexcept { return header_only_; }

  uint32_t version() const noexcept { return version_; }
  uint64_t file_bytes() const noexcept { return file_bytes_; }
  std::span<const MetadataEntry> metadata() const noexcept { return metadata_; }
  std::span<const TensorInfo> tensors() const noexcept { return tensors_; }
  const MetadataValue* find(std::string_view key) const noexcept;
  const TensorInfo* tensor(std::string_view name) const noexcept;

  // Value of a key; none where it is absent, Error(corrupt_file) naming key, expected and found type where it
  // is of another kind. u64 takes every integer type that holds a number of 0 or more; f64 takes floats and
  // integers.
  std::optional<uint64_t> u64(std::string_view key) const;
  std::optional<double> f64(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string_view> string(std::string_view key) const;
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<int32_t> ints(std::string_view key) const;
  std::vector<float> floats(std::string_view key) const;

  // dims as rows × cols × stack. Throws Error(corrupt_file) for a fourth dimension above 1.
  WeightView view(const TensorInfo& tensor) const;
  // Lets go of the memory that reading the tensor has taken; it can be read again.
  void forget(const TensorInfo& tensor) const noexcept;

 private:
  friend class GgufParser;
  Gguf() = default;
  const MetadataValue& require_array(std::string_view key, bool strings) const;
  void check_parts(uint64_t parts) const;

  std::string name_;
  uint32_t version_ = 0;
  uint64_t file_bytes_ = 0;
  bool header_only_ = false;
  std::vector<std::shared_ptr<const MappedFile>> maps_;
  std::vector<MetadataEntry> metadata_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, size_t> keys_, names_;
};

// A value as one short line: long arrays are shortened to "[a b … +N more]".
std::string summary(const MetadataValue& value);

}  // namespace hearth
