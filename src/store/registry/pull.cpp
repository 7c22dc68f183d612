#include <fmt/format.h>
#include <sys/utsname.h>

#include <set>

#include "base/checked.h"
#include "base/error.h"
#include "store/download/transfer.h"
#include "store/files/files.h"
#include "store/registry.h"
#include "store/registry/session.h"

namespace hearth {
namespace {

constexpr size_t largest_manifest = 4 << 20;

// "ollama/0.32.0 (x86_64 linux) hearth": registries read the part before the blank.
std::string user_agent(const std::string& version) {
  utsname system{};
  ::uname(&system);
  const std::string_view machine(system.machine);
  const std::string_view arch = machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
  return fmt::format("ollama/{} ({} linux) hearth", version, arch);
}

DownloadOptions with_agent(const RegistryOptions& options) {
  DownloadOptions download = options.download;
  if (download.user_agent.empty()) download.user_agent = user_agent(options.client_version);
  return download;
}

// A blob behind BASE/blobs/DIGEST.
class RegistryBlob final : public BlobSource {
 public:
  RegistryBlob(std::shared_ptr<RegistrySession> session, Layer layer)
      : session_(std::move(session)), layer_(std::move(layer)) {}

  Facts facts(HttpClient& client, const std::stop_token& stop) override {
    HttpRequest request;
    request.method = "HEAD";
    request.url = session_->address("blobs/" + layer_.digest.text());
    const HttpResponse response = session_->send(client, request, Redirects::any_host, stop);
    // Addresses signed for GET alone refuse a HEAD; then the manifest's word counts, as without a length.
    if (response.ok() && response.content_length()) return {*response.content_length(), {}, {}};
    if (response.status == 404 || layer_.size == 0) fail_on_response(response);
    return {layer_.size, {}, {}};
  }

  Place locate(HttpClient& client, const std::stop_token& stop) override {
    HttpRequest request;
    request.url = session_->address("blobs/" + layer_.digest.text());
    // A registry that serves the content itself begins to send it here: only the head is wanted.
    request.on_headers = [](const HttpResponse& response) { return !response.ok(); };
    const HttpResponse response = session_->send(client, request, Redirects::same_host, stop);
    if (response.redirect()) return {session_->follow(request.url, response).text, {}};
    if (!response.ok()) fail_on_response(response);
    return {request.url.text, session_->authorization(request.url)};
  }

 private:
  std::shared_ptr<RegistrySession> session_;
  Layer layer_;
};

template <class Function>
auto with_patience(const DownloadOptions& options, const std::stop_token& stop, Function&& function) {
  for (unsigned tries = 1;; ++tries) {
    try {
      return function();
    } catch (const HttpFailure&) {
      if (tries >= std::min(3U, options.tries)) throw;
      pause_for(options.first_wait * (1 << (tries - 1)), stop);
    }
  }
}

Manifest fetch_manifest(RegistrySession& session, const ModelName& name, const DownloadOptions& options,
                        const std::stop_token& stop) {
  HttpClient client(http_options(options));
  HttpRequest request;
  request.url = session.address("manifests/" + name.tag);
  request.headers.push_back(fmt::format("Accept: {}", media::manifest));
  request.body_limit = largest_manifest;
  return with_patience(options, stop, [&] {
    HttpResponse response = session.send(client, request, Redirects::any_host, stop);
    if (response.status == 404) {
      throw Error(Code::not_found, "pull model manifest: file does not exist",
                  fmt::format("check the spelling of {}", name.short_display()));
    }
    if (!response.ok()) {
      try {
        fail_on_response(response);
      } catch (const HttpFailure&) {
        throw HttpFailure("pull model manifest: " + registry_error(response));
      } catch (const Error& error) {
        throw Error(error.code, "pull model manifest: " + error.message, error.remedy);
      }
    }
    return Manifest::parse(std::move(response.body));
  });
}

}  // namespace

Registry::Registry(Store& store, RegistryOptions options)
    : store_(store), options_(std::move(options)), downloads_(store, with_agent(options_)) {}

Registry::~Registry() = default;

void Registry::check_disk_space(const Manifest& manifest) const {
  uint64_t missing = 0;
  std::set<Digest> seen;
  manifest.for_each_blob([&](const Layer& layer) {
    if (!seen.insert(layer.digest).second || store_.blob_size(layer.digest) == layer.size) return;
    const uint64_t there = partial_bytes(store_.blob_path(layer.digest));
    missing = checked_add(missing, layer.size - std::min(there, layer.size)).value_or(UINT64_MAX);
  });
  if (missing == 0) return;
  make_folders(store_.blobs_folder());
  const uint64_t free = free_disk_bytes(store_.blobs_folder());
  if (missing <= free) return;
  throw Error(Code::io,
              fmt::format("not enough disk space in {}: {} bytes are missing, {} are free",
                          store_.blobs_folder().string(), missing, free),
              "free disk space or set OLLAMA_MODELS to another disk");
}

void Registry::fetch_layer(const Layer& layer, const std::shared_ptr<BlobSource>& source,
                           const OnTransferProgress& progress, const std::stop_token& stop) {
  TransferProgress line{"pulling " + layer.digest.brief(), layer.digest, 0, layer.size};
  const auto there = store_.blob_size(layer.digest);
  if (there && (layer.size == 0 || *there == layer.size)) {
    store_.touch(layer.digest);
    line.completed = line.total = *there;
    progress(line);
    return;
  }
  downloads_.fetch(
      layer.digest, layer.digest, source,
      [&](uint64_t completed, uint64_t total) {
        line.completed = completed;
        line.total = total;
        progress(line);
      },
      stop);
}

RemoteFile Registry::remote_weights(const ModelName& name, bool insecure, const std::stop_token& stop) {
  const auto session = std::make_shared<RegistrySession>(name, insecure, options_.key_file);
  const Manifest manifest = fetch_manifest(*session, name, downloads_.options(), stop);
  const Layer* weights = manifest.last(media::model);
  if (weights == nullptr) {
    throw Error(Code::unsupported, fmt::format("{} has no GGUF weights", name.short_display()),
                "use a model whose weights are a GGUF file");
  }
  return RemoteFile(std::make_shared<RegistryBlob>(session, *weights), downloads_.options());
}

void Registry::pull(const ModelName& name, bool insecure, const OnTransferProgress& progress,
                    const std::stop_token& stop) {
  progress({"pulling manifest"});
  const auto session = std::make_shared<RegistrySession>(name, insecure, options_.key_file);
  const Manifest manifest = fetch_manifest(*session, name, downloads_.options(), stop);
  const BlobHold hold = store_.hold(manifest.blobs());
  check_disk_space(manifest);
  std::set<Digest> done;
  manifest.for_each_blob([&](const Layer& layer) {
    if (!done.insert(layer.digest).second) return;
    fetch_layer(layer, std::make_shared<RegistryBlob>(session, layer), progress, stop);
  });
  progress({"verifying sha256 digest"});  // each was verified before it got its name
  progress({"writing manifest"});
  const bool replaces = store_.options().prune && store_.spelling(name);
  store_.write_manifest(name, manifest);
  if (replaces) progress({"removing unused layers"});
  progress({"success"});
}

}  // namespace hearth
