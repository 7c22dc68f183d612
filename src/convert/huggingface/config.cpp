#include "convert/huggingface/config.h"

#include <fmt/format.h>

#include <limits>

#include "base/error.h"

namespace hearth::huggingface {
namespace {

const json::object& object_of(const Json& content, const std::string& file) {
  if (content.is_object()) return content.get_object();
  throw Error(Code::corrupt_file, fmt::format("{} is no JSON object", file), "download the file again");
}

// Sizes in a configuration; beyond any model.
constexpr uint64_t most_number = std::numeric_limits<uint32_t>::max() / 4;

}  // namespace

Config::Config(const Json& content, std::string file)
    : object_(object_of(content, file)), file_(std::move(file)) {}

void Config::wrong(std::string_view key, const char* expected) const {
  throw Error(Code::corrupt_file, fmt::format("{}: '{}' is not {}", file_, key, expected),
              "the file is damaged or of a kind that hearth does not know: get it from another source");
}

const Json* Config::find(std::string_view key) const {
  const Json* value = object_.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::optional<uint32_t> Config::number(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code failure;
  const auto n = value->is_number() ? value->to_number<uint64_t>(failure) : most_number + 1;
  if (failure || n > most_number) wrong(key, "a size");
  return static_cast<uint32_t>(n);
}

uint32_t Config::require(std::string_view key) const {
  const auto n = number(key);
  if (!n || *n == 0) wrong(key, "a size above 0");
  return *n;
}

std::optional<double> Config::real(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong(key, "a number");
  return value->to_number<double>();
}

std::optional<bool> Config::boolean(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) wrong(key, "true or false");
  return value->get_bool();
}

std::optional<std::string> Config::text(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong(key, "a text");
  return std::string(value->get_string());
}

std::optional<Config> Config::object(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) wrong(key, "an object");
  return Config(*value, file_);
}

}  // namespace hearth::huggingface
