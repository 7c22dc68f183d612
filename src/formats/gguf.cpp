#include "formats/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "formats/gguf_parser.h"

namespace hearth {
namespace {

constexpr std::array<std::string_view, 13> type_names{"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                      "bool", "string", "array", "u64", "i64", "f64"};

template <class T>
T read_at(std::span<const std::byte> data, uint64_t index) {
  T value;
  std::memcpy(&value, data.data() + index * sizeof(T), sizeof value);
  return value;
}

// Element i of an array of numbers.
double number_at(const GgufArray& a, uint64_t i) {
  switch (a.element) {
    case GgufType::u8:
    case GgufType::boolean: return read_at<uint8_t>(a.data, i);
    case GgufType::i8: return read_at<int8_t>(a.data, i);
    case GgufType::u16: return read_at<uint16_t>(a.data, i);
    case GgufType::i16: return read_at<int16_t>(a.data, i);
    case GgufType::u32: return read_at<uint32_t>(a.data, i);
    case GgufType::i32: return read_at<int32_t>(a.data, i);
    case GgufType::u64: return static_cast<double>(read_at<uint64_t>(a.data, i));
    case GgufType::i64: return static_cast<double>(read_at<int64_t>(a.data, i));
    case GgufType::f32: return static_cast<double>(read_at<float>(a.data, i));
    case GgufType::f64: return read_at<double>(a.data, i);
    case GgufType::string:
    case GgufType::array: break;
  }
  return 0;
}

[[noreturn]] void wrong_type(std::string_view key, std::string_view expected, const MetadataValue& found) {
  throw Error(Code::corrupt_file,
              fmt::format("key '{}' is of type {}, expected {}", key, to_string(found.type), expected),
              "convert the model again or get it from another source");
}

// The strings of an array, one after the other: u64 length, bytes. Lengths were checked on opening.
template <class F>
void each_string(const GgufArray& a, F&& f) {
  uint64_t at = 0;
  for (uint64_t i = 0; i < a.count; ++i) {
    uint64_t length = 0;
    std::memcpy(&length, a.data.data() + at, sizeof length);
    at += sizeof length;
    f(std::string_view(reinterpret_cast<const char*>(a.data.data() + at), length));
    at += length;
  }
}

// "model-00001-of-00003.gguf" → part 2: "model-00002-of-00003.gguf".
std::filesystem::path part_path(const std::filesystem::path& first, uint64_t part, uint64_t count) {
  const std::string name = first.filename().string();
  const std::string tail = fmt::format("-00001-of-{:05}.gguf", count);
  if (!name.ends_with(tail)) {
    throw Error(Code::bad_request,
                fmt::format("{} is the first of {} parts but is not named …{}", name, count, tail),
                "give the parts their original names and open the first");
  }
  return first.parent_path() /
         fmt::format("{}-{:05}-of-{:05}.gguf", name.substr(0, name.size() - tail.size()), part, count);
}

void require_number(std::optional<uint64_t> number, uint64_t part, const std::string& name) {
  if (!number || *number == part - 1) return;
  throw Error(Code::corrupt_file, fmt::format("{} is in truth part {} of a model", name, *number + 1),
              "give the parts their original names");
}

}  // namespace

std::string_view to_string(GgufType type) noexcept { return type_names[static_cast<size_t>(type)]; }

Gguf Gguf::parse(std::span<const std::byte> bytes, std::string name) {
  Gguf file;
  file.name_ = name;
  file.file_bytes_ = bytes.size();
  GgufParser(file, bytes, std::move(name)).run();
  return file;
}

Gguf Gguf::open(const std::filesystem::path& path) {
  Gguf file;
  file.name_ = path.filename().string();
  // Returns the number the part gives itself, counted from 0.
  const auto add = [&file](const std::filesystem::path& part) {
    file.maps_.push_back(std::make_shared<const MappedFile>(part));
    const auto bytes = file.maps_.back()->bytes();
    file.file_bytes_ += bytes.size();
    GgufParser parser(file, bytes, part.filename().string());
    parser.run();
    return parser.own("split.no");
  };
  add(path);
  const uint64_t parts = file.u64("split.count").value_or(1);
  if (parts <= 1) return file;
  file.check_parts(parts);
  for (uint64_t part = 2; part <= parts; ++part) {
    const auto next = part_path(path, part, parts);
    require_number(add(next), part, next.filename().string());
  }
  file.check_parts(parts);
  return file;
}

std::optional<Gguf> Gguf::parse_headers(std::span<const GgufHeader> parts) {
  Gguf file;
  file.header_only_ = true;
  file.name_ = parts.front().name;
  for (const GgufHeader& header : parts) {
    file.file_bytes_ += header.file_bytes;
    GgufParser parser(file, header);
    try {
      parser.run();
    } catch (const HeaderGoesOn&) {
      return std::nullopt;
    }
    const auto number = static_cast<uint64_t>(&header - parts.data()) + 1;
    if (number > 1) require_number(parser.own("split.no"), number, header.name);
  }
  const uint64_t count = std::max<uint64_t>(1, file.u64("split.count").value_or(1));
  if (count != parts.size()) {
    throw Error(
        Code::bad_request,
        fmt::format("{} is one of {} parts of a model, {} were given", file.name_, count, parts.size()),
        "give all parts their original names and name the first");
  }
  if (count > 1) file.check_parts(count);
  return file;
}

// That the first part was given and, once they are all there, that nothing is missing.
void Gguf::check_parts(uint64_t parts) const {
  if (u64("split.no").value_or(0) != 0) {
    throw Error(Code::bad_request,
                fmt::format("{} is part {} of {} of a model", name_, *u64("split.no") + 1, parts),
                "open the first part");
  }
  constexpr uint64_t most_parts = 10000;
  if (parts > most_parts)
    throw Error(Code::corrupt_file, fmt::format("key 'split.count' is {}", parts), "get the file again");
  if (!header_only_ && maps_.size() < parts) return;
  const uint64_t expected = u64("split.tensors.count").value_or(tensors_.size());
  if (tensors_.size() != expected) {
    throw Error(
        Code::corrupt_file,
        fmt::format("the parts of {} hold {} tensors, {} are announced", name_, tensors_.size(), expected),
        "the parts do not belong together: download them again");
  }
}

const MetadataValue* Gguf::find(std::string_view key) const noexcept {
  const auto at = keys_.find(key);
  return at == keys_.end() ? nullptr : &metadata_[at->second].value;
}

const TensorInfo* Gguf::tensor(std::string_view name) const noexcept {
  const auto at = names_.find(name);
  return at == names_.end() ? nullptr : &tensors_[at->second];
}

std::optional<uint64_t> Gguf::u64(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (const auto* n = std::get_if<uint64_t>(&v->value)) return *n;
  const auto* n = std::get_if<int64_t>(&v->value);
  if (n == nullptr || *n < 0) wrong_type(key, "an integer of 0 or more", *v);
  return static_cast<uint64_t>(*n);
}

std::optional<double> Gguf::f64(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (const auto* x = std::get_if<double>(&v->value)) return *x;
  if (const auto* n = std::get_if<uint64_t>(&v->value)) return static_cast<double>(*n);
  if (const auto* n = std::get_if<int64_t>(&v->value)) return static_cast<double>(*n);
  wrong_type(key, "a number", *v);
}

std::optional<bool> Gguf::boolean(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v == nullptr) return std::nullopt;
  const auto* b = std::get_if<bool>(&v->value);
  if (b == nullptr) wrong_type(key, "bool", *v);
  return *b;
}

std::optional<std::string_view> Gguf::string(std::string_view key) const {
  const MetadataValue* v = find(key);
  if (v == nullptr) return std::nullopt;
  const auto* s = std::get_if<std::string_view>(&v->value);
  if (s == nullptr) wrong_type(key, "string", *v);
  return *s;
}

const MetadataValue& Gguf::require_array(std::string_view key, bool strings) const {
  const MetadataValue* v = find(key);
  if (v == nullptr) {
    throw Error(Code::corrupt_file, fmt::format("key '{}' is missing in {}", key, name_),
                "the file is incomplete: convert the model again or get it from another source");
  }
  const auto* a = std::get_if<GgufArray>(&v->value);
  const bool fits =
      a != nullptr && a->element != GgufType::array && (a->element == GgufType::string) == strings;
  if (!fits && !(a != nullptr && a->count == 0))
    wrong_type(key, strings ? "an array of strings" : "an array of numbers", *v);
  return *v;
}

std::vector<std::string_view> Gguf::strings(std::string_view key) const {
  const auto& a = std::get<GgufArray>(require_array(key, true).value);
  std::vector<std::string_view> out;
  if (a.count == 0) return out;
  out.reserve(a.count);
  each_string(a, [&](std::string_view s) { out.push_back(s); });
  return out;
}

std::vector<int32_t> Gguf::ints(std::string_view key) const {
  const auto& a = std::get<GgufArray>(require_array(key, false).value);
  std::vector<int32_t> out(a.count);
  for (uint64_t i = 0; i < a.count; ++i) {
    const double x = number_at(a, i);
    constexpr double low = std::numeric_limits<int32_t>::min(), high = std::numeric_limits<int32_t>::max();
    out[i] = x >= low && x <= high ? static_cast<int32_t>(x) : 0;  // NaN and what does not fit: 0
  }
  return out;
}

std::vector<float> Gguf::floats(std::string_view key) const {
  const auto& a = std::get<GgufArray>(require_array(key, false).value);
  std::vector<float> out(a.count);
  for (uint64_t i = 0; i < a.count; ++i) out[i] = static_cast<float>(number_at(a, i));
  return out;
}

void Gguf::forget(const TensorInfo& tensor) const noexcept {
  for (const auto& map : maps_) map->forget(tensor.data);
}

WeightView Gguf::view(const TensorInfo& t) const {
  if (t.dims[3] != 1) {
    throw Error(Code::corrupt_file, fmt::format("tensor '{}' has four dimensions", t.name),
                "get the file from another source");
  }
  return {t.name, t.type, {t.dims[1], t.dims[0], t.dims[2]}, t.data};
}

std::string summary(const MetadataValue& v) {
  if (const auto* n = std::get_if<uint64_t>(&v.value)) return std::to_string(*n);
  if (const auto* n = std::get_if<int64_t>(&v.value)) return std::to_string(*n);
  if (const auto* x = std::get_if<double>(&v.value)) return fmt::format("{:g}", *x);
  if (const auto* b = std::get_if<bool>(&v.value)) return *b ? "true" : "false";
  constexpr size_t most_text = 100, shown = 3;
  if (const auto* s = std::get_if<std::string_view>(&v.value)) {
    std::string line(s->substr(0, most_text));
    std::replace_if(
        line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
    return s->size() > most_text ? line + "..." : line;
  }
  const auto& a = std::get<GgufArray>(v.value);
  std::string line = "[";
  uint64_t seen = 0;
  if (a.element == GgufType::string) {
    each_string(a, [&](std::string_view s) {
      if (seen++ < shown) line += (seen > 1 ? " " : "") + std::string(s.substr(0, 40));
    });
  } else if (a.element != GgufType::array) {
    for (; seen < std::min<uint64_t>(shown, a.count); ++seen)
      line += fmt::format("{}{:g}", seen > 0 ? " " : "", number_at(a, seen));
  }
  if (a.count > shown) line += fmt::format(" ...+{} more", a.count - shown);
  return line + "]";
}

}  // namespace hearth
