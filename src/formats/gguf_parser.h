#pragma once

#include "formats/gguf.h"

namespace hearth {

// A header that goes on behind the bytes that are there of it.
struct HeaderGoesOn {};

// Reads one part. Bytes are taken front to back through a cursor that knows how much is left, so that no
// count or length is believed before the file is seen to be that long.
class GgufParser {
 public:
  GgufParser(Gguf& into, std::span<const std::byte> bytes, std::string name);
  // Only the beginning of a file of so many bytes; run() throws HeaderGoesOn where that is not enough.
  GgufParser(Gguf& into, const GgufHeader& header);

  void run();
  // An integer of this part's own metadata; none where the part has no such key or it is no integer of 0 or
  // more.
  std::optional<uint64_t> own(std::string_view key) const;

 private:
  [[noreturn]] void fail(const std::string& what) const;
  // There are `wanted` more bytes, or it fails.
  void need(uint64_t wanted, const std::string& what) const;
  template <class T>
  T take(const char* what);
  std::string_view take_string(const char* what);
  void check_magic();
  void read_metadata(uint64_t count);
  MetadataValue read_value(GgufType type, std::string_view key);
  GgufArray read_array(std::string_view key, uint32_t depth);
  GgufType take_type(std::string_view key);
  void read_tensors(uint64_t count);
  TensorInfo read_tensor(uint64_t& offset);
  uint64_t alignment() const;
  const MetadataValue* own_value(std::string_view key) const;

  Gguf& out_;
  std::span<const std::byte> bytes_;
  std::string name_;
  uint64_t length_ = 0;  // of the file; more than bytes_ where only its beginning is there
  uint64_t at_ = 0;
  size_t first_key_ = 0;                 // where this part's metadata begin in the whole
  std::vector<MetadataEntry> repeated_;  // this part's values of keys that an earlier part has too
};

// Bytes of one element of a metadata array; 0 for strings and arrays.
uint32_t element_bytes(GgufType type) noexcept;

}  // namespace hearth
