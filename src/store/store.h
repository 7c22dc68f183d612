#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "store/digest.h"
#include "store/manifest.h"
#include "store/name.h"

namespace hearth {

struct StoreOptions {
  std::filesystem::path root;        // OLLAMA_MODELS; made when something is first written
  bool prune = true;                 // false (OLLAMA_NOPRUNE): nothing is removed but by remove()
  std::chrono::seconds grace{3600};  // unreferenced files younger than this are never pruned
  std::function<void(const std::string&)> warn{};  // told what is skipped and why, one line each
};

// A model in the store, under the spelling it was first written with.
struct InstalledModel {
  ModelName name;
  Manifest manifest;
  ModelConfig config;
  std::chrono::system_clock::time_point modified;  // of the manifest
};

struct PruneReport {
  uint64_t files = 0, bytes = 0;  // removed
  bool skipped = false;           // NOPRUNE, or a manifest cannot be read so that nobody knows what is in use
};

class BlobHold;
class BlobWriter;

// The models on disk, in the layout of Ollama. All functions may be called from several threads at once.
// Files appear under their final name only when they are complete and flushed; a manifest is written after
// its blobs and removed before them. What is not readable is skipped with a warning in listings and an Error
// on use.
class Store {
 public:
  explicit Store(StoreOptions options);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // --- reading ---
  // All models that can be used, newest first.
  std::vector<InstalledModel> list() const;
  // None if there is no such model (case does not count). Throws Error(corrupt_file) if it cannot be read.
  std::optional<InstalledModel> find(const ModelName& name) const;
  // As above. Throws Error(not_found): "model 'NAME' not found".
  InstalledModel get(const ModelName& name) const;
  // The stored spelling of the name; none if it is not installed.
  std::optional<ModelName> spelling(const ModelName& name) const;
  std::filesystem::path blob_path(const Digest& digest) const;
  // Bytes; none if the blob is not there.
  std::optional<uint64_t> blob_size(const Digest& digest) const;
  // The bytes of a small blob (text, JSON). Throws Error(corrupt_file) if it is missing or above 64 MiB.
  std::string read_blob(const Digest& digest) const;

  // --- writing ---
  // Stores bytes as a blob; nothing is written if it is there, but its age begins anew. Throws Error:
  // bad_request ("digest mismatch …") if `expected` is another digest, io (full disk; leaves nothing behind).
  Layer add_blob(std::string_view bytes, std::string_view media_type,
                 const std::optional<Digest>& expected = {});
  // The same for the content of a file outside the store. Throws also not_found, cancelled.
  Layer add_file(const std::filesystem::path& file, std::string_view media_type,
                 const std::optional<Digest>& expected = {}, const std::stop_token& stop = {});
  // Keeps these blobs, there or still to come, from being removed while the hold lives: take it before
  // looking which blobs are there, drop it after the manifest is written.
  BlobHold hold(std::vector<Digest> digests);
  // Removes a blob that no manifest uses and nobody holds, as after a failed create.
  void remove_if_unused(const Digest& digest);
  // Makes a blob young again for prune(). No error if it is missing.
  void touch(const Digest& digest) const noexcept;
  // Installs the manifest under the name, byte for byte; an installed spelling that differs in case is kept.
  // The blobs of the manifest it replaces go if nothing else uses them. Throws Error: not_found if a blob is
  // missing.
  void write_manifest(const ModelName& name, const Manifest& manifest);
  // Throws Error(not_found): "model "FROM" not found". The same name twice does nothing.
  void copy(const ModelName& from, const ModelName& to);
  // Manifest, then its blobs that no other manifest uses, then folders that are empty now. Throws
  // Error(not_found).
  void remove(const ModelName& name);
  // For the start of the server: renames blobs of the old form, then removes files that no manifest uses and
  // that are older than the grace, leftovers of interrupted writes, and empty folders. Symbolic links stay.
  PruneReport prune();

  const StoreOptions& options() const noexcept { return options_; }
  std::filesystem::path blobs_folder() const { return options_.root / "blobs"; }
  std::filesystem::path manifests_folder() const { return options_.root / "manifests"; }

 private:
  friend class BlobHold;
  struct Used {
    std::set<Digest> digests;
    bool complete = true;  // false: something could not be read, so absence proves nothing
  };

  void warn(const std::string& line) const;
  InstalledModel read_model(const ModelName& stored) const;
  Manifest read_manifest(const ModelName& stored) const;
  void write_manifest_file(const std::filesystem::path& path, std::string_view bytes) const;
  Used used_blobs() const;
  void remove_unused(const std::vector<Digest>& digests) const;
  void rename_old_blobs() const;
  void prune_blobs(const Used& used, PruneReport& report) const;
  void prune_manifest_folder(const std::filesystem::path& folder, int depth, PruneReport& report) const;
  bool older_than_grace(const std::filesystem::path& path) const noexcept;

  StoreOptions options_;
  mutable std::mutex writing_;  // manifests are written and blobs removed one at a time
  std::multiset<Digest> held_;  // guarded by writing_
};

// See Store::hold. Must not outlive the store.
class BlobHold {
 public:
  BlobHold(BlobHold&& other) noexcept;
  BlobHold& operator=(BlobHold&&) = delete;
  ~BlobHold();

 private:
  friend class Store;
  BlobHold(Store& store, std::vector<Digest> digests);
  Store* store_;
  std::vector<Digest> digests_;
};

// A blob on its way into the store: a temporary file that is removed with the object unless finish() was
// reached.
class BlobWriter {
 public:
  // Throws Error(io).
  explicit BlobWriter(const Store& store);
  BlobWriter(BlobWriter&&) noexcept;
  BlobWriter& operator=(BlobWriter&&) = delete;
  ~BlobWriter();

  // Throws Error(io), a full disk among them.
  void write(std::string_view bytes);
  // Flushes and renames. Throws Error(bad_request): "digest mismatch, …" if the bytes are not the expected
  // ones.
  Layer finish(std::string_view media_type, const std::optional<Digest>& expected = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What a model consists of, ready for loading: paths of large blobs, content of small ones.
struct ModelParts {
  std::filesystem::path model;  // GGUF weights; empty if the model is of another format
  std::string parent_model;     // display name of what it was derived from; may be empty
  std::vector<std::filesystem::path> projectors, adapters;
  std::filesystem::path draft;  // may be empty
  std::optional<std::string> prompt_template, system;
  json::object params;   // options by name; numbers may be floats where integers are meant
  json::array messages;  // {role, content, …}
  std::vector<std::string> licenses;
};

// Layers of unknown type are ignored. Throws Error(corrupt_file) if a blob is missing or does not parse.
ModelParts read_parts(const Store& store, const InstalledModel& model);

}  // namespace hearth
