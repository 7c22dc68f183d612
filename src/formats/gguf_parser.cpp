#include "formats/gguf_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/checked.h"
#include "base/error.h"

namespace hearth {
namespace {

constexpr uint32_t most_nesting = 8;
constexpr uint64_t most_key_bytes = 65535;
constexpr uint64_t default_alignment = 32;

// What a file that is no GGUF looks like.
std::string_view likeness(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min<size_t>(bytes.size(), 64));
  if (text.starts_with("PK\x03\x04")) return "a ZIP archive or PyTorch checkpoint";
  if (text.starts_with("version https://git-lfs"))
    return "a Git LFS pointer: the file itself was not downloaded";
  if (text.starts_with("<!DOCTYPE") || text.starts_with("<html") || text.starts_with("<!doctype"))
    return "a web page";
  if (text.starts_with("lmgg") || text.starts_with("tjgg") || text.starts_with("fmgg"))
    return "a GGML file from before GGUF";
  if (text.starts_with("\x1f\x8b")) return "a gzip archive";
  if (text.size() > 9 && text[8] == '{') return "a safetensors file";
  if (text.starts_with("{")) return "JSON";
  return "something else";
}

std::string past_end(std::string_view key, uint64_t count) {
  return fmt::format("the array '{}' of {} elements goes past the end", key, count);
}

}  // namespace

uint32_t element_bytes(GgufType type) noexcept {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean: return 1;
    case GgufType::u16:
    case GgufType::i16: return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32: return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64: return 8;
    case GgufType::string:
    case GgufType::array: return 0;
  }
  return 0;
}

GgufParser::GgufParser(Gguf& into, std::span<const std::byte> bytes, std::string name)
    : out_(into), bytes_(bytes), name_(std::move(name)), length_(bytes.size()) {}

GgufParser::GgufParser(Gguf& into, const GgufHeader& header)
    : out_(into),
      bytes_(header.bytes.first(std::min<uint64_t>(header.bytes.size(), header.file_bytes))),
      name_(header.name),
      length_(header.file_bytes) {}

void GgufParser::fail(const std::string& what) const {
  throw Error(Code::corrupt_file, fmt::format("{}: {} (byte {} of {})", name_, what, at_, length_),
              "the file is damaged or incomplete: download or convert it again");
}

void GgufParser::need(uint64_t wanted, const std::string& what) const {
  if (wanted > length_ - at_) fail(what);
  if (wanted > bytes_.size() - at_) throw HeaderGoesOn{};
}

template <class T>
T GgufParser::take(const char* what) {
  if (bytes_.size() - at_ < sizeof(T)) need(sizeof(T), fmt::format("the file ends within {}", what));
  T value;
  std::memcpy(&value, bytes_.data() + at_, sizeof value);
  at_ += sizeof value;
  return value;
}

std::string_view GgufParser::take_string(const char* what) {
  const auto length = take<uint64_t>(what);
  if (length > bytes_.size() - at_)
    need(length, fmt::format("the file ends within {} of {} bytes", what, length));
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + at_), length);
  at_ += length;
  return text;
}

void GgufParser::check_magic() {
  if (length_ == 0) throw Error(Code::corrupt_file, fmt::format("{} is empty", name_), "download it again");
  if (bytes_.size() < 4 && length_ > bytes_.size()) throw HeaderGoesOn{};
  if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0) {
    throw Error(Code::corrupt_file, fmt::format("{} is no GGUF file but {}", name_, likeness(bytes_)),
                "name a GGUF file, or convert the model to GGUF");
  }
  at_ = 4;
  const auto version = take<uint32_t>("the version");
  if ((version & 0xffffU) == 0 && version != 0) {
    throw Error(Code::unsupported, fmt::format("{} is a big-endian GGUF file", name_),
                "get the little-endian file");
  }
  if (version < 2 || version > 3) {
    throw Error(Code::unsupported, fmt::format("{} is GGUF version {}, hearth reads 2 and 3", name_, version),
                version < 2 ? "convert the model again with a current tool" : "a newer hearth may read it");
  }
  out_.version_ = version;
}

void GgufParser::run() {
  check_magic();
  first_key_ = out_.metadata_.size();
  const auto tensors = take<uint64_t>("the number of tensors");
  const auto entries = take<uint64_t>("the number of metadata entries");
  // The smallest entry takes 13 bytes, the smallest tensor 24.
  if (entries > length_ / 13) fail(fmt::format("{} metadata entries do not fit into the file", entries));
  if (tensors > length_ / 24) fail(fmt::format("{} tensors do not fit into the file", tensors));
  if (entries > bytes_.size() / 13 || tensors > bytes_.size() / 24) throw HeaderGoesOn{};
  read_metadata(entries);
  read_tensors(tensors);
}

GgufType GgufParser::take_type(std::string_view key) {
  const auto number = take<uint32_t>("a value type");
  if (number > static_cast<uint32_t>(GgufType::f64)) {
    at_ -= sizeof number;
    fail(fmt::format("key '{}' has the unknown value type {}", key, number));
  }
  return static_cast<GgufType>(number);
}

void GgufParser::read_metadata(uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = take_string("a metadata key");
    if (key.empty() || key.size() > most_key_bytes)
      fail(fmt::format("a metadata key has {} bytes", key.size()));
    MetadataEntry entry{key, read_value(take_type(key), key)};
    const bool known = !out_.keys_.try_emplace(key, out_.metadata_.size()).second;
    // Parts of a split file repeat the keys of the split; within one part a key stands once.
    if (known && out_.keys_.at(key) >= first_key_) fail(fmt::format("key '{}' stands twice", key));
    (known ? repeated_ : out_.metadata_).push_back(entry);
  }
}

MetadataValue GgufParser::read_value(GgufType type, std::string_view key) {
  MetadataValue v{type, {}};
  switch (type) {
    case GgufType::u8: v.value = uint64_t{take<uint8_t>("a value")}; break;
    case GgufType::u16: v.value = uint64_t{take<uint16_t>("a value")}; break;
    case GgufType::u32: v.value = uint64_t{take<uint32_t>("a value")}; break;
    case GgufType::u64: v.value = take<uint64_t>("a value"); break;
    case GgufType::i8: v.value = int64_t{take<int8_t>("a value")}; break;
    case GgufType::i16: v.value = int64_t{take<int16_t>("a value")}; break;
    case GgufType::i32: v.value = int64_t{take<int32_t>("a value")}; break;
    case GgufType::i64: v.value = take<int64_t>("a value"); break;
    case GgufType::f32: v.value = static_cast<double>(take<float>("a value")); break;
    case GgufType::f64: v.value = take<double>("a value"); break;
    case GgufType::boolean: v.value = take<uint8_t>("a value") != 0; break;
    case GgufType::string: v.value = take_string("a string"); break;
    case GgufType::array: v.value = read_array(key, 0); break;
  }
  return v;
}

GgufArray GgufParser::read_array(std::string_view key, uint32_t depth) {
  if (depth >= most_nesting)
    fail(fmt::format("the array '{}' is nested more than {} deep", key, most_nesting));
  GgufArray array;
  array.element = take_type(key);
  array.count = take<uint64_t>("an array's length");
  const uint64_t begin = at_;
  if (const uint32_t size = element_bytes(array.element); size != 0) {
    const auto bytes = checked_mul(array.count, size);
    if (!bytes) fail(past_end(key, array.count));
    if (*bytes > bytes_.size() - at_) need(*bytes, past_end(key, array.count));
    at_ += *bytes;
  } else {
    if (array.count > (length_ - at_) / 8) fail(past_end(key, array.count));
    if (array.count > (bytes_.size() - at_) / 8) throw HeaderGoesOn{};
    for (uint64_t i = 0; i < array.count; ++i) {
      if (array.element == GgufType::string) {
        take_string("a string of an array");
      } else {
        read_array(key, depth + 1);
      }
    }
  }
  array.data = bytes_.subspan(begin, at_ - begin);
  return array;
}

const MetadataValue* GgufParser::own_value(std::string_view key) const {
  for (const MetadataEntry& entry : repeated_) {
    if (entry.key == key) return &entry.value;
  }
  const auto at = out_.keys_.find(key);
  return at == out_.keys_.end() || at->second < first_key_ ? nullptr : &out_.metadata_[at->second].value;
}

std::optional<uint64_t> GgufParser::own(std::string_view key) const {
  const MetadataValue* v = own_value(key);
  if (v == nullptr) return std::nullopt;
  if (const auto* n = std::get_if<uint64_t>(&v->value)) return *n;
  const auto* n = std::get_if<int64_t>(&v->value);
  return n == nullptr || *n < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(*n));
}

uint64_t GgufParser::alignment() const {
  const MetadataValue* stated = own_value("general.alignment");
  if (stated == nullptr) return default_alignment;
  const auto* value = std::get_if<uint64_t>(&stated->value);
  if (value == nullptr || *value < 8 || (*value & (*value - 1)) != 0 || *value > (1U << 20)) {
    fail("key 'general.alignment' is no power of two of 8 or more");
  }
  return *value;
}

TensorInfo GgufParser::read_tensor(uint64_t& offset) {
  TensorInfo t;
  t.name = take_string("a tensor's name");
  t.n_dims = take<uint32_t>("a tensor's number of dimensions");
  if (t.n_dims == 0 || t.n_dims > 4) fail(fmt::format("tensor '{}' has {} dimensions", t.name, t.n_dims));
  uint64_t values = 1;
  for (uint32_t d = 0; d < t.n_dims; ++d) {
    t.dims[d] = take<uint64_t>("a tensor's dimensions");
    const auto product = checked_mul(values, t.dims[d]);
    if (t.dims[d] == 0 || !product)
      fail(fmt::format("tensor '{}' has an impossible dimension {}", t.name, t.dims[d]));
    values = *product;
  }
  const auto id = take<uint32_t>("a tensor's type");
  const TypeInfo* type = find_type(id);
  if (type == nullptr) fail(fmt::format("tensor '{}' has the unknown type {}", t.name, id));
  t.type = type->type;
  offset = take<uint64_t>("a tensor's offset");
  const auto row = row_bytes(t.type, t.dims[0]);
  if (!row)
    fail(fmt::format("tensor '{}': {} values are no whole number of {} blocks", t.name, t.dims[0],
                     type->name));
  const auto bytes = checked_mul(*row, values / t.dims[0]);
  if (!bytes || *bytes > length_) fail(fmt::format("tensor '{}' is larger than the file", t.name));
  t.bytes = *bytes;  // its place is checked when the data section is known
  return t;
}

void GgufParser::read_tensors(uint64_t count) {
  const uint64_t align = alignment();
  const size_t first = out_.tensors_.size();
  std::vector<uint64_t> offsets(count);
  for (uint64_t i = 0; i < count; ++i) {
    const TensorInfo t = read_tensor(offsets[i]);
    if (!out_.names_.try_emplace(t.name, out_.tensors_.size()).second)
      fail(fmt::format("tensor '{}' stands twice", t.name));
    if (offsets[i] % align != 0)
      fail(fmt::format("tensor '{}' lies at offset {}, not aligned to {}", t.name, offsets[i], align));
    out_.tensors_.push_back(t);
  }
  if (count == 0) return;
  const auto base = checked_align(at_, align);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;  // begin, end within the data section
  for (uint64_t i = 0; i < count; ++i) {
    TensorInfo& t = out_.tensors_[first + i];
    const auto begin = checked_add(*base, offsets[i]);
    const auto end = begin ? checked_add(*begin, t.bytes) : std::nullopt;
    if (!end || *end > length_) {
      throw Error(Code::corrupt_file,
                  fmt::format("{}: tensor '{}' lies at byte {} to {}, the file has {} bytes", name_, t.name,
                              begin.value_or(0), end.value_or(0), length_),
                  end ? fmt::format("{} bytes are missing: download it again", *end - length_)
                      : "the file is damaged: download it again");
    }
    ranges.emplace_back(*begin, *end);
    if (!out_.header_only_) t.data = bytes_.subspan(*begin, t.bytes);
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second)
      fail(fmt::format("tensors overlap at byte {}", ranges[i].first));
  }
}

}  // namespace hearth
