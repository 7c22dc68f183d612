#pragma once

#include <fmt/format.h>

#include <mutex>
#include <random>

#include "fault_server.h"
#include "store/registry.h"
#include "store_support.h"

namespace hearth::test {

inline std::string noise(size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

// One model, ns/m:latest, as a plain registry serves it; `tamper` may answer a request in its stead.
class FakeRegistry {
 public:
  using Tamper = std::function<std::optional<ServerResponse>(const ServerRequest&)>;

  explicit FakeRegistry(std::string weights_of_model = noise(300'000), Tamper tamper_with = {})
      : weights(std::move(weights_of_model)),
        manifest(fmt::format(R"({{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{}","size":{}}},)"
                             R"("layers":[{{"mediaType":"{}","digest":"{}","size":{}}}]}})",
                             media::config, digest_of(config).text(), config.size(), media::model,
                             digest_of(weights).text(), weights.size())),
        blobs{{digest_of(weights).text(), weights}, {digest_of(config).text(), config}},
        tamper(std::move(tamper_with)),
        server([this](const ServerRequest& request) { return handle(request); }) {}

  ModelName name(std::string_view tag = "latest") const {
    return ModelName::parse_or_throw(fmt::format("{}/ns/m:{}", server.host(), tag));
  }
  std::string blob_target() const { return "/v2/ns/m/blobs/" + digest_of(weights).text(); }

  std::string weights, config = R"({"model_format":"gguf","model_family":"llama"})";
  std::string manifest;
  std::map<std::string, std::string> blobs;
  Tamper tamper;
  FaultServer server;  // last: its threads use all of the above

 private:
  ServerResponse handle(const ServerRequest& request) {
    if (tamper) {
      if (auto response = tamper(request)) return *std::move(response);
    }
    const std::string target = request.target.substr(0, request.target.find('?'));
    if (target == "/v2/ns/m/manifests/latest") return {200, {}, manifest};
    constexpr std::string_view blob = "/v2/ns/m/blobs/";
    if (target.starts_with(blob)) {
      const auto found = blobs.find(target.substr(blob.size()));
      if (found != blobs.end()) return serve_range(request, found->second);
    }
    return {404, {}, R"({"errors":[{"code":"UNKNOWN","message":"not here"}]})"};
  }
};

// Small parts and short waits.
inline RegistryOptions quick_options(const std::filesystem::path& key_file = {}) {
  RegistryOptions options;
  options.key_file = key_file;
  options.download.smallest_part = 20'000;
  options.download.largest_part = 50'000;
  options.download.connections = 4;
  options.download.first_wait = std::chrono::milliseconds(2);
  options.download.stall = std::chrono::milliseconds(400);
  options.download.progress_every = std::chrono::milliseconds(5);
  return options;
}

}  // namespace hearth::test
