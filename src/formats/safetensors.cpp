#include "formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>

#include "base/checked.h"
#include "base/error.h"

namespace hearth {
namespace {

// The format allows 100 MB; the largest published models need less than one.
constexpr uint64_t most_header = 32U << 20;
constexpr uint64_t most_json = 256U << 20;
constexpr size_t most_dimensions = 8, most_files = 10000, most_depth = 32;

struct ElementType {
  std::string_view name;
  uint32_t bytes;
  std::string_view type;  // in GGUF, empty: none
};
constexpr std::array element_types{
    ElementType{"F64", 8, "F64"},   ElementType{"F32", 4, "F32"},  ElementType{"F16", 2, "F16"},
    ElementType{"BF16", 2, "BF16"}, ElementType{"I64", 8, "I64"},  ElementType{"I32", 4, "I32"},
    ElementType{"I16", 2, "I16"},   ElementType{"I8", 1, "I8"},    ElementType{"U64", 8, ""},
    ElementType{"U32", 4, ""},      ElementType{"U16", 2, ""},     ElementType{"U8", 1, ""},
    ElementType{"BOOL", 1, ""},     ElementType{"F8_E4M3", 1, ""}, ElementType{"F8_E5M2", 1, ""},
    ElementType{"F8_E8M0", 1, ""},
};

[[noreturn]] void corrupt(const std::string& file, const std::string& what) {
  throw Error(Code::corrupt_file, fmt::format("{}: {}", file, what),
              "the file is damaged: download it again or get it from another source");
}

Json parse_json(std::string_view text, const std::string& file) {
  json::parse_options options;
  options.max_depth = most_depth;
  boost::system::error_code failure;
  Json value = json::parse(text, failure, {}, options);
  if (failure) corrupt(file, fmt::format("no valid JSON ({})", failure.message()));
  return value;
}

// A number of 0 or more.
uint64_t number(const Json& value, const std::string& file, std::string_view tensor, const char* what) {
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<uint64_t>(value.get_int64());
  corrupt(file, fmt::format("tensor '{}' has no valid {}", tensor, what));
}

const Json& field(const json::object& entry, const char* key, json::kind kind, const std::string& file,
                  std::string_view tensor) {
  const Json* value = entry.if_contains(key);
  if (value == nullptr || value->kind() != kind)
    corrupt(file, fmt::format("tensor '{}' has no valid {}", tensor, key));
  return *value;
}

// A tensor's place in the data of its file.
struct Extent {
  uint64_t begin, end;
  size_t tensor;
};

SafeTensor read_entry(std::string_view name, const Json& value, std::span<const std::byte> data,
                      const std::string& file, Extent& extent) {
  if (!value.is_object()) corrupt(file, fmt::format("tensor '{}' is no object", name));
  const json::object& entry = value.get_object();
  SafeTensor t;
  t.name = name;
  t.dtype = std::string(field(entry, "dtype", json::kind::string, file, name).get_string());
  const auto element = std::find_if(element_types.begin(), element_types.end(),
                                    [&](const ElementType& e) { return e.name == t.dtype; });
  if (element == element_types.end())
    corrupt(file, fmt::format("tensor '{}' has the unknown dtype '{}'", name, t.dtype.substr(0, 20)));
  if (!element->type.empty()) t.type = find_type(element->type);

  std::optional<uint64_t> bytes = element->bytes;
  const json::array& shape = field(entry, "shape", json::kind::array, file, name).get_array();
  if (shape.size() > most_dimensions)
    corrupt(file, fmt::format("tensor '{}' has {} dimensions", name, shape.size()));
  for (const Json& d : shape) {
    t.shape.push_back(number(d, file, name, "shape"));
    if (bytes) bytes = checked_mul(*bytes, t.shape.back());
  }
  const json::array& offsets = field(entry, "data_offsets", json::kind::array, file, name).get_array();
  if (offsets.size() != 2) corrupt(file, fmt::format("tensor '{}' has no valid data_offsets", name));
  extent.begin = number(offsets[0], file, name, "data_offsets");
  extent.end = number(offsets[1], file, name, "data_offsets");
  if (extent.begin > extent.end || extent.end > data.size()) {
    corrupt(file, fmt::format("tensor '{}' lies at bytes {} to {}, the data have {}", name, extent.begin,
                              extent.end, data.size()));
  }
  if (!bytes || *bytes != extent.end - extent.begin) {
    corrupt(file, fmt::format("tensor '{}' has {} bytes, its shape says otherwise", name,
                              extent.end - extent.begin));
  }
  t.data = data.subspan(extent.begin, extent.end - extent.begin);
  return t;
}

// Tensors that overlap, or bytes that belong to none, mean that the header cannot be trusted.
void check_cover(std::vector<Extent> extents, uint64_t size, const std::string& file,
                 const std::vector<SafeTensor>& tensors) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t at = 0;
  for (const Extent& e : extents) {
    if (e.begin != at) {
      corrupt(file,
              fmt::format("tensor '{}' begins at byte {} of the data, {} to {}", tensors[e.tensor].name,
                          e.begin, e.begin < at ? "the one before goes on" : "the one before ends", at));
    }
    at = e.end;
  }
  if (at != size) corrupt(file, fmt::format("the last {} bytes belong to no tensor", size - at));
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos && name.ends_with(".safetensors");
}

// The files that an index names, in order.
std::set<std::string> files_of_index(const std::filesystem::path& index, const json::object& map) {
  std::set<std::string> files;
  for (const auto& [tensor, file] : map) {
    const bool plain = file.is_string() && is_plain_name(file.get_string());
    if (!plain)
      corrupt(index.filename().string(),
              fmt::format("tensor '{}' is in no valid file", std::string_view(tensor)));
    files.emplace(file.get_string());
    if (files.size() > most_files) corrupt(index.filename().string(), "too many files");
  }
  return files;
}

}  // namespace

uint64_t SafeTensor::values() const noexcept {
  uint64_t n = 1;
  for (const uint64_t d : shape) n *= d;
  return n;
}

Json read_json_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string name = path.filename().string();
  if (file.bytes().size() > most_json) corrupt(name, fmt::format("{} bytes of JSON", file.bytes().size()));
  return parse_json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, name);
}

void Safetensors::add(std::span<const std::byte> bytes, const std::string& file) {
  uint64_t length = 0;
  if (bytes.size() < sizeof length) corrupt(file, "too short for a safetensors file");
  std::memcpy(&length, bytes.data(), sizeof length);
  bytes = bytes.subspan(sizeof length);
  if (length > bytes.size() || length > most_header)
    corrupt(file, fmt::format("a header of {} bytes in a file of {}", length, bytes.size() + sizeof length));
  const Json header = parse_json({reinterpret_cast<const char*>(bytes.data()), length}, file);
  const auto data = bytes.subspan(length);
  if (!header.is_object()) corrupt(file, "the header is no object");
  std::vector<Extent> extents;
  for (const auto& [key, value] : header.get_object()) {
    const std::string_view name = key;
    if (name == "__metadata__") continue;
    Extent extent{0, 0, tensors_.size()};
    tensors_.push_back(read_entry(name, value, data, file, extent));
    extents.push_back(extent);
    if (!names_.try_emplace(tensors_.back().name, extent.tensor).second)
      corrupt(file, fmt::format("tensor '{}' stands in another file too", name));
  }
  check_cover(std::move(extents), data.size(), file, tensors_);
}

void Safetensors::add_file(const std::filesystem::path& path) {
  maps_.push_back(std::make_shared<const MappedFile>(path));
  add(maps_.back()->bytes(), path.filename().string());
}

Safetensors Safetensors::parse(std::span<const std::byte> bytes, const std::string& name) {
  Safetensors all;
  all.add(bytes, name);
  return all;
}

Safetensors Safetensors::open(const std::filesystem::path& folder) {
  Safetensors all;
  const auto index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(index)) {
    const Json content = read_json_file(index);
    const Json* map = content.is_object() ? content.get_object().if_contains("weight_map") : nullptr;
    if (map == nullptr || !map->is_object()) corrupt(index.filename().string(), "no weight_map");
    for (const std::string& file : files_of_index(index, map->get_object())) all.add_file(folder / file);
    for (const auto& [tensor, file] : map->get_object()) {
      if (all.find(tensor) == nullptr) {
        corrupt(std::string(file.get_string()),
                fmt::format("tensor '{}' is missing, which the index announces", std::string_view(tensor)));
      }
    }
    return all;
  }
  std::set<std::filesystem::path> files;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("model") && name.ends_with(".safetensors")) files.insert(entry.path());
  }
  if (files.contains(folder / "model.safetensors")) files = {folder / "model.safetensors"};
  if (files.empty()) {
    throw Error(Code::not_found, fmt::format("no model.safetensors in {}", folder.string()),
                "name a folder that holds a model as published: *.safetensors, config.json, tokenizer.json");
  }
  for (const auto& file : files) all.add_file(file);
  return all;
}

const SafeTensor* Safetensors::find(std::string_view name) const noexcept {
  const auto at = names_.find(std::string(name));
  return at == names_.end() ? nullptr : &tensors_[at->second];
}

void Safetensors::forget(std::span<const std::byte> data) const noexcept {
  for (const auto& map : maps_) map->forget(data);
}

}  // namespace hearth
