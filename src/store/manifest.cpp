#include "store/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace hearth {
namespace {

[[noreturn]] void corrupt(std::string what) {
  throw Error(Code::corrupt_file, std::move(what), "pull or create the model again");
}

json::object parse_object(std::string_view bytes, std::string_view what) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(bytes.data(), bytes.size()), error);
  if (error) corrupt(fmt::format("{} is not valid JSON: {}", what, error.message()));
  if (!value.is_object()) corrupt(fmt::format("{} is not a JSON object", what));
  return std::move(value.get_object());
}

std::string_view text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

uint64_t number_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value) return 0;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64() && value->get_int64() > 0) return static_cast<uint64_t>(value->get_int64());
  return 0;
}

std::vector<std::string> texts_at(const json::object& object, std::string_view key) {
  std::vector<std::string> texts;
  const json::value* value = object.if_contains(key);
  if (!value || !value->is_array()) return texts;
  for (const json::value& entry : value->get_array()) {
    if (entry.is_string()) texts.emplace_back(entry.get_string());
  }
  return texts;
}

// None when the digest is empty, which only a configuration may have.
std::optional<Layer> parse_layer(const json::value& value, std::string_view what) {
  if (!value.is_object()) corrupt(fmt::format("{} of the manifest is not an object", what));
  const json::object& object = value.get_object();
  const std::string_view digest = text_at(object, "digest");
  if (digest.empty()) return std::nullopt;
  const auto parsed = Digest::parse(digest);
  if (!parsed) corrupt(fmt::format("{} of the manifest has no valid digest", what));
  const json::value* size = object.if_contains("size");
  if (size && !size->is_null() && !size->is_uint64() && !(size->is_int64() && size->get_int64() >= 0)) {
    corrupt(fmt::format("{} of the manifest has no valid size", what));
  }
  return Layer{std::string(text_at(object, "mediaType")), *parsed, number_at(object, "size"),
               std::string(text_at(object, "from")), std::string(text_at(object, "name"))};
}

json::object print_layer(const Layer& layer) {
  json::object object{{"mediaType", layer.media_type}, {"digest", layer.digest.text()}, {"size", layer.size}};
  if (!layer.from.empty()) object["from"] = layer.from;
  if (!layer.name.empty()) object["name"] = layer.name;
  return object;
}

struct TextField {
  std::string_view key;
  std::string ModelConfig::*field;
};
constexpr std::array text_fields = {
    TextField{"model_format", &ModelConfig::model_format},
    TextField{"model_family", &ModelConfig::model_family},
    TextField{"model_type", &ModelConfig::model_type},
    TextField{"file_type", &ModelConfig::file_type},
    TextField{"renderer", &ModelConfig::renderer},
    TextField{"parser", &ModelConfig::parser},
    TextField{"requires", &ModelConfig::requires_version},
    TextField{"base_name", &ModelConfig::base_name},
    TextField{"remote_host", &ModelConfig::remote_host},
    TextField{"remote_model", &ModelConfig::remote_model},
};
constexpr std::string_view other_fields[] = {
    "model_families", "capabilities", "context_length", "embedding_length", "architecture", "os", "rootfs"};

bool known_field(std::string_view key) {
  return std::any_of(text_fields.begin(), text_fields.end(),
                     [key](const TextField& f) { return f.key == key; }) ||
         std::find(std::begin(other_fields), std::end(other_fields), key) != std::end(other_fields);
}

json::array to_array(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

}  // namespace

Manifest Manifest::parse(std::string bytes) {
  const json::object object = parse_object(bytes, "the manifest");
  Manifest manifest{std::nullopt, {}, {}, digest_of(bytes)};
  if (const json::value* config = object.if_contains("config"); config && !config->is_null()) {
    manifest.config = parse_layer(*config, "the configuration");
  }
  const json::value* layers = object.if_contains("layers");
  if (layers && !layers->is_null()) {
    if (!layers->is_array()) corrupt("\"layers\" of the manifest is not an array");
    for (const json::value& entry : layers->get_array()) {
      const std::string what = fmt::format("layer {}", manifest.layers.size());
      auto layer = parse_layer(entry, what);
      if (!layer) corrupt(fmt::format("{} of the manifest has no digest", what));
      manifest.layers.push_back(*std::move(layer));
    }
  }
  if (!object.contains("layers") && !object.contains("config")) corrupt("the manifest names no layers");
  manifest.bytes = std::move(bytes);
  return manifest;
}

Manifest Manifest::make(const Layer& config, const std::vector<Layer>& layers) {
  json::array list;
  for (const Layer& layer : layers) list.push_back(print_layer(layer));
  const json::object object{{"schemaVersion", 2},
                            {"mediaType", json::string_view(media::manifest.data(), media::manifest.size())},
                            {"config", print_layer(config)},
                            {"layers", std::move(list)}};
  std::string bytes = json::serialize(object);
  bytes += '\n';
  return parse(std::move(bytes));
}

uint64_t Manifest::size() const noexcept {
  uint64_t sum = 0;  // sizes come from a file: the sum stops at the largest number
  for_each_blob([&sum](const Layer& layer) { sum = checked_add(sum, layer.size).value_or(UINT64_MAX); });
  return sum;
}

std::vector<Digest> Manifest::blobs() const {
  std::vector<Digest> digests;
  for_each_blob([&digests](const Layer& layer) { digests.push_back(layer.digest); });
  return digests;
}

const Layer* Manifest::last(std::string_view media_type) const noexcept {
  for (size_t i = layers.size(); i-- > 0;) {
    if (layers[i].media_type == media_type) return &layers[i];
  }
  return nullptr;
}

ModelConfig ModelConfig::parse(std::string_view bytes) {
  const json::object object = parse_object(bytes, "the configuration");
  ModelConfig config;
  for (const TextField& field : text_fields) config.*field.field = text_at(object, field.key);
  config.families = texts_at(object, "model_families");
  config.capabilities = texts_at(object, "capabilities");
  config.context_length = number_at(object, "context_length");
  config.embedding_length = number_at(object, "embedding_length");
  for (const auto& [key, value] : object) {
    if (!known_field({key.data(), key.size()})) config.other[key] = value;
  }
  return config;
}

std::string ModelConfig::print(const std::vector<Layer>& layers) const {
  json::object object;
  for (const TextField& field : text_fields) {
    if (const std::string& text = this->*field.field; !text.empty()) object[field.key] = text;
    if (field.key == "model_family" && !families.empty()) object["model_families"] = to_array(families);
  }
  if (!capabilities.empty()) object["capabilities"] = to_array(capabilities);
  if (context_length > 0) object["context_length"] = context_length;
  if (embedding_length > 0) object["embedding_length"] = embedding_length;
  for (const auto& [key, value] : other) object[key] = value;
  object["architecture"] = "amd64";
  object["os"] = "linux";
  json::array ids;
  for (const Layer& layer : layers) ids.emplace_back(layer.digest.text());
  object["rootfs"] = json::object{{"type", "layers"}, {"diff_ids", std::move(ids)}};
  return json::serialize(object);
}

}  // namespace hearth
