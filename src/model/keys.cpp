#include "model/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <variant>

#include "base/error.h"

namespace hearth {
namespace {

uint32_t narrow(const std::string& key, uint64_t value) {
  if (value > std::numeric_limits<uint32_t>::max() / 4) {
    throw Error(Code::corrupt_file, fmt::format("key '{}' has the value {}, beyond any model", key, value),
                "get the file again or from another source");
  }
  return static_cast<uint32_t>(value);
}

[[noreturn]] void missing(const std::string& key) {
  throw Error(Code::corrupt_file, fmt::format("key '{}' is missing", key),
              "the file is incomplete: convert the model again or get it from another source");
}

}  // namespace

Keys::Keys(const Gguf& file) : file_(file) {
  const auto name = file.string("general.architecture");
  if (!name) missing("general.architecture");
  architecture_ = std::string(*name);
}

std::optional<uint32_t> Keys::number(std::string_view name) const {
  const std::string key = full(name);
  const auto value = file_.u64(key);
  if (!value) return std::nullopt;
  return narrow(key, *value);
}

uint32_t Keys::number(std::string_view name, uint32_t otherwise) const {
  return number(name).value_or(otherwise);
}

uint32_t Keys::require(std::string_view name) const {
  const auto value = number(name);
  if (!value) missing(full(name));
  return *value;
}

float Keys::real(std::string_view name, float otherwise) const {
  return static_cast<float>(file_.f64(full(name)).value_or(static_cast<double>(otherwise)));
}

float Keys::require_real(std::string_view name) const {
  const auto value = file_.f64(full(name));
  if (!value) missing(full(name));
  return static_cast<float>(*value);
}

bool Keys::flag(std::string_view name, bool otherwise) const {
  return file_.boolean(full(name)).value_or(otherwise);
}

std::string Keys::text(std::string_view name, std::string otherwise) const {
  const auto value = file_.string(full(name));
  return value ? std::string(*value) : std::move(otherwise);
}

std::vector<uint32_t> Keys::per_layer(std::string_view name, uint32_t layers) const {
  const std::string key = full(name);
  const MetadataValue* value = file_.find(key);
  if (value == nullptr) return {};
  if (!std::holds_alternative<GgufArray>(value->value)) return std::vector<uint32_t>(layers, *number(name));
  const std::vector<int32_t> all = file_.ints(key);
  if (all.size() < layers || std::any_of(all.begin(), all.end(), [](int32_t n) { return n < 0; })) {
    throw Error(
        Code::corrupt_file,
        fmt::format("key '{}' has {} numbers for {} layers, or negative ones", key, all.size(), layers),
        "get the file again or from another source");
  }
  return {all.begin(), all.begin() + layers};
}

bool Keys::has(std::string_view name) const { return file_.find(full(name)) != nullptr; }

}  // namespace hearth
