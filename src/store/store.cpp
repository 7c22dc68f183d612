#include "store/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "store/files/files.h"
#include "store/files/walk.h"

namespace hearth {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t largest_manifest = 16U << 20;
constexpr uint64_t largest_text_blob = 64U << 20;

std::chrono::system_clock::time_point modification_time(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec)));
}

Error not_installed(const ModelName& name) {
  return {Code::not_found, fmt::format("model '{}' not found", name.short_display()),
          "see the installed models with list, or pull it"};
}

// rmdir fails on folders that hold something and on symbolic links, which is what is wanted.
void remove_empty_parents(const fs::path& file, int levels) {
  fs::path folder = file.parent_path();
  for (int level = 0; level < levels && ::rmdir(folder.c_str()) == 0; ++level) folder = folder.parent_path();
}

}  // namespace

Store::Store(StoreOptions options) : options_(std::move(options)) {}

void Store::warn(const std::string& line) const {
  if (options_.warn) options_.warn(line);
}

fs::path Store::blob_path(const Digest& digest) const { return blobs_folder() / digest.file_name(); }

std::optional<uint64_t> Store::blob_size(const Digest& digest) const {
  struct stat info {};
  if (::stat(blob_path(digest).c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return static_cast<uint64_t>(info.st_size);
}

std::string Store::read_blob(const Digest& digest) const {
  try {
    return read_small_file(blob_path(digest), largest_text_blob);
  } catch (const Error& error) {
    if (error.code != Code::not_found) throw;
    throw Error(Code::corrupt_file, fmt::format("blob {} is missing from the model store", digest.text()),
                "pull or create the model again");
  }
}

std::optional<ModelName> Store::spelling(const ModelName& name) const {
  return find_manifest(manifests_folder(), name);
}

Manifest Store::read_manifest(const ModelName& stored) const {
  return Manifest::parse(read_small_file(manifests_folder() / stored.path(), largest_manifest));
}

InstalledModel Store::read_model(const ModelName& stored) const {
  InstalledModel model{
      stored, read_manifest(stored), {}, modification_time(manifests_folder() / stored.path())};
  if (model.manifest.config) model.config = ModelConfig::parse(read_blob(model.manifest.config->digest));
  return model;
}

std::vector<InstalledModel> Store::list() const {
  std::vector<InstalledModel> models;
  const Walk walk = walk_manifests(manifests_folder());
  for (const std::string& problem : walk.problems) warn(problem);
  for (const ModelName& name : walk.names) {
    try {
      models.push_back(read_model(name));
    } catch (const Error& error) {
      // Another program may have removed it between the walk and the reading.
      if (error.code == Code::not_found) continue;
      warn(fmt::format("model {} is skipped: {}", name.short_display(), error.message));
    }
  }
  std::stable_sort(models.begin(), models.end(),
                   [](const InstalledModel& a, const InstalledModel& b) { return a.modified > b.modified; });
  return models;
}

std::optional<InstalledModel> Store::find(const ModelName& name) const {
  const auto stored = spelling(name);
  if (!stored) return std::nullopt;
  try {
    return read_model(*stored);
  } catch (const Error& error) {
    if (error.code == Code::not_found) return std::nullopt;
    throw Error(error.code, fmt::format("model {}: {}", stored->short_display(), error.message),
                error.remedy);
  }
}

InstalledModel Store::get(const ModelName& name) const {
  if (auto model = find(name)) return *std::move(model);
  throw not_installed(name);
}

Layer Store::add_blob(std::string_view bytes, std::string_view media_type,
                      const std::optional<Digest>& expected) {
  BlobWriter writer(*this);
  writer.write(bytes);
  return writer.finish(media_type, expected);
}

Layer Store::add_file(const fs::path& file, std::string_view media_type,
                      const std::optional<Digest>& expected, const std::stop_token& stop) {
  const Descriptor source = Descriptor::open_for_reading(file);
  BlobWriter writer(*this);
  std::vector<char> chunk(1 << 20);
  while (const size_t got = source.read_some(chunk.data(), chunk.size())) {
    if (stop.stop_requested()) {
      throw Error(Code::cancelled, fmt::format("copying {} was cancelled", file.string()), "start it again");
    }
    writer.write({chunk.data(), got});
  }
  return writer.finish(media_type, expected);
}

void Store::touch(const Digest& digest) const noexcept {
  ::utimensat(AT_FDCWD, blob_path(digest).c_str(), nullptr, 0);
}

BlobHold Store::hold(std::vector<Digest> digests) { return {*this, std::move(digests)}; }

void Store::write_manifest_file(const fs::path& path, std::string_view bytes) const {
  const fs::path folder = path.parent_path();
  const fs::path temporary = folder / (temporary_manifest_prefix() + random_suffix());
  try {
    // A clean-up may take an empty folder away between the two calls: make it again.
    for (int attempt = 0;; ++attempt) {
      make_folders(folder);
      try {
        Descriptor file = Descriptor::create_new(temporary);
        file.write_all(bytes);
        file.flush();
        file.close();
        break;
      } catch (const Error& error) {
        if (error.code != Code::not_found || attempt == 3) throw;
      }
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_on_file(path, "replace", errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  fs::path parent = folder;
  for (int level = 0; level < 4; ++level, parent = parent.parent_path()) flush_folder(parent);
}

void Store::write_manifest(const ModelName& name, const Manifest& manifest) {
  const std::lock_guard lock(writing_);
  manifest.for_each_blob([&](const Layer& layer) {
    if (blob_size(layer.digest)) return;
    throw Error(Code::not_found,
                fmt::format("blob {} of model {} not found", layer.digest.text(), name.short_display()),
                "upload or pull it first");
  });
  const ModelName stored = spelling(name).value_or(name);
  fs::path path = manifests_folder() / stored.path();
  // A linked manifest is written where it lies, as the folders above it are.
  std::error_code none;
  if (fs::is_symlink(path, none)) path = fs::canonical(path);
  std::optional<Manifest> old;
  try {
    old = read_manifest(stored);
  } catch (const Error& error) {
    if (error.code != Code::not_found)
      warn(fmt::format("replacing {}: {}", stored.short_display(), error.message));
  }
  write_manifest_file(path, manifest.bytes);
  if (old && options_.prune) remove_unused(old->blobs());
}

void Store::copy(const ModelName& from, const ModelName& to) {
  const auto stored = spelling(from);
  if (!stored) {
    throw Error(Code::not_found, fmt::format("model \"{}\" not found", from.short_display()),
                "see the installed models with list");
  }
  if (from.matches(to)) return;
  const Manifest manifest = read_manifest(*stored);
  const BlobHold held = hold(manifest.blobs());
  write_manifest(to, manifest);
}

void Store::remove(const ModelName& name) {
  const std::lock_guard lock(writing_);
  const auto stored = spelling(name);
  if (!stored) throw not_installed(name);
  const fs::path path = manifests_folder() / stored->path();
  std::optional<Manifest> manifest;
  try {
    manifest = read_manifest(*stored);
  } catch (const Error& error) {
    warn(fmt::format("removing {}: {}", stored->short_display(), error.message));
  }
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) throw not_installed(name);
    fail_on_file(path, "remove", errno);
  }
  flush_folder(path.parent_path());  // else a crash could bring the manifest back without its blobs
  if (manifest) remove_unused(manifest->blobs());
  remove_empty_parents(path, 3);
}

Store::Used Store::used_blobs() const {
  Used used;
  const Walk walk = walk_manifests(manifests_folder());
  for (const std::string& problem : walk.problems) warn(problem);
  used.complete = walk.problems.empty();
  for (const ModelName& name : walk.names) {
    try {
      read_manifest(name).for_each_blob([&](const Layer& layer) { used.digests.insert(layer.digest); });
    } catch (const Error& error) {
      if (error.code == Code::not_found) continue;
      used.complete = false;
      warn(fmt::format("no blobs are removed while the manifest of {} cannot be read: {}",
                       name.short_display(), error.message));
    }
  }
  return used;
}

void Store::remove_unused(const std::vector<Digest>& digests) const {
  const Used used = used_blobs();
  if (!used.complete) return;
  for (const Digest& digest : digests) {
    if (used.digests.contains(digest) || held_.contains(digest)) continue;
    const fs::path path = blob_path(digest);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      warn(fmt::format("cannot remove {}: {}", path.string(), std::generic_category().message(errno)));
    }
  }
}

void Store::remove_if_unused(const Digest& digest) {
  const std::lock_guard lock(writing_);
  remove_unused({digest});
}

BlobHold::BlobHold(Store& store, std::vector<Digest> digests) : store_(&store), digests_(std::move(digests)) {
  const std::lock_guard lock(store_->writing_);
  store_->held_.insert(digests_.begin(), digests_.end());
}

BlobHold::BlobHold(BlobHold&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)), digests_(std::move(other.digests_)) {}

BlobHold::~BlobHold() {
  if (!store_) return;
  const std::lock_guard lock(store_->writing_);
  for (const Digest& digest : digests_) store_->held_.erase(store_->held_.find(digest));
}

}  // namespace hearth
