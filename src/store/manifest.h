#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "store/digest.h"

namespace hearth {

// What a layer of a manifest holds, by media type.
namespace media {
inline constexpr std::string_view manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view config = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view model = "application/vnd.ollama.image.model";
inline constexpr std::string_view projector = "application/vnd.ollama.image.projector";
inline constexpr std::string_view adapter = "application/vnd.ollama.image.adapter";
inline constexpr std::string_view draft = "application/vnd.ollama.image.draft";
inline constexpr std::string_view prompt_template = "application/vnd.ollama.image.template";
inline constexpr std::string_view prompt_alias =
    "application/vnd.ollama.image.prompt";  // old name of the above
inline constexpr std::string_view system = "application/vnd.ollama.image.system";
inline constexpr std::string_view params = "application/vnd.ollama.image.params";
inline constexpr std::string_view messages = "application/vnd.ollama.image.messages";
inline constexpr std::string_view license = "application/vnd.ollama.image.license";
inline constexpr std::string_view tensor =
    "application/vnd.ollama.image.tensor";  // safetensors models: listed only
inline constexpr std::string_view json = "application/vnd.ollama.image.json";
}  // namespace media

// One blob of a model.
struct Layer {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;  // bytes
  std::string from;   // on the model layer: display name of the parent model
  std::string name;   // on tensor and json layers: path of the file
};

// A manifest (Docker schema 2) with the very bytes it was read from: their SHA-256 is the model's digest, so
// that they are stored, copied and pushed unchanged.
struct Manifest {
  std::optional<Layer> config;  // none if its digest is empty: all fields of the configuration are empty then
  std::vector<Layer> layers;
  std::string bytes;
  Digest digest;  // of `bytes`

  // Throws Error(corrupt_file) naming what is wrong.
  static Manifest parse(std::string bytes);

  // Compact JSON and a newline, as locally created models have.
  static Manifest make(const Layer& config, const std::vector<Layer>& layers);

  // Sum of layers and configuration, bytes.
  uint64_t size() const noexcept;

  // The last layer of this type, which is the one that counts; null if there is none.
  const Layer* last(std::string_view media_type) const noexcept;

  // Layers, then configuration, as they stand.
  std::vector<Digest> blobs() const;

  // Calls `visit` for each layer and the configuration.
  template <class Visit>
  void for_each_blob(Visit&& visit) const {
    for (const Layer& layer : layers) visit(layer);
    if (config) visit(*config);
  }
};

// The configuration blob. Everything is optional; a field of the wrong type counts as absent.
struct ModelConfig {
  std::string model_format;           // "gguf", "safetensors"
  std::string model_family;           // the architecture
  std::vector<std::string> families;  // model_families
  std::string model_type;             // "8.0B"
  std::string file_type;              // "Q4_K_M"
  std::string renderer, parser, requires_version, base_name, remote_host, remote_model;
  std::vector<std::string> capabilities;
  uint64_t context_length = 0, embedding_length = 0;  // 0: unknown
  json::object other;                                 // keys that are not above, kept when printed

  // Throws Error(corrupt_file) if this is not a JSON object.
  static ModelConfig parse(std::string_view bytes);

  // Compact JSON with architecture, os and rootfs as Ollama writes them; `layers` give the diff_ids.
  std::string print(const std::vector<Layer>& layers) const;
};

}  // namespace hearth
