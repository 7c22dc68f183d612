#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "store/download.h"
#include "store/remote_file.h"
#include "store/store.h"

namespace hearth {

struct RegistryOptions {
  // The public registry judges by this version whether a program is new enough for a model.
  std::string client_version = "0.32.0";
  std::filesystem::path
      key_file{};              // id_ed25519; made when a registry first asks who we are. Empty: never signs
  DownloadOptions download{};  // user_agent is filled in here
};

// One line of the progress of a pull or push, in the words of Ollama: "pulling manifest", "pulling
// 0123456789ab" (with digest, completed and total), …, "success", which is always the last.
struct TransferProgress {
  std::string status;
  std::optional<Digest> digest{};
  uint64_t completed = 0, total = 0;  // bytes
};
using OnTransferProgress = std::function<void(const TransferProgress&)>;

// Pulls models into a store and pushes them, over the OCI distribution protocol: the public registry, hf.co
// and any plain registry. Calls block and may be made from several threads; pulls that need the same blob
// share its transfer. Errors of the registry are thrown with its own words: not_found ("pull model manifest:
// file does not exist"), bad_request ("unauthorized: access denied", "412: …"), io (network), cancelled.
class Registry {
 public:
  Registry(Store& store, RegistryOptions options);
  ~Registry();

  // `insecure` talks plain http; a name that says http:// without it is refused. The old model under the name
  // stays whole until the manifest is written as the last step, and a cancelled pull resumes where it
  // stopped.
  void pull(const ModelName& name, bool insecure, const OnTransferProgress& progress,
            const std::stop_token& stop);

  // True for an address of a file, https://…/NAME.gguf, rather than a name.
  static bool is_file_address(std::string_view text);
  // The name such a file gets: NAME:latest, with what a name cannot hold replaced. Throws Error(bad_request).
  static ModelName name_of_file(std::string_view address);

  // Fetches one GGUF file and installs it under `name` as a model of a single layer. `describe` reads the
  // configuration out of the finished file (in a child process: its content is not to be trusted); without it
  // only the format is noted. http:// addresses need `insecure`.
  using Describe = std::function<ModelConfig(const std::filesystem::path&)>;
  void pull_file(std::string_view address, const ModelName& name, bool insecure, const Describe& describe,
                 const OnTransferProgress& progress, const std::stop_token& stop);

  // The weights of a model, or a file at an address, to look at the beginning of without pulling it. Throw as
  // pulling does.
  RemoteFile remote_weights(const ModelName& name, bool insecure, const std::stop_token& stop);
  RemoteFile remote_file(std::string_view address, bool insecure);

  // Sends an installed model to the registry of its name. Throws also Error(not_found) if it is not
  // installed.
  void push(const ModelName& name, bool insecure, const OnTransferProgress& progress,
            const std::stop_token& stop);

  Downloads& downloads() noexcept { return downloads_; }

 private:
  void fetch_layer(const Layer& layer, const std::shared_ptr<BlobSource>& source,
                   const OnTransferProgress& progress, const std::stop_token& stop);
  void check_disk_space(const Manifest& manifest) const;

  Store& store_;
  RegistryOptions options_;
  Downloads downloads_;
};

}  // namespace hearth
