#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "store/files/walk.h"
#include "store/store.h"

namespace hearth {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view partial_mark = "-partial";

struct BlobFile {
  fs::path path;
  uint64_t size = 0;
  int64_t modified = 0;            // seconds since 1970
  std::optional<Digest> digest{};  // none: the name is that of no blob
  bool partial = false;            // a download in progress or the state of one of its parts
};

// Plain files only: links and folders are somebody's arrangement.
std::optional<BlobFile> examine(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  BlobFile file{path, static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec};
  std::string leaf = path.filename().string();
  if (const size_t mark = leaf.find(partial_mark); mark != std::string::npos) {
    file.partial = true;
    leaf.resize(mark);
  }
  file.digest = Digest::parse(leaf);
  return file;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    paths.push_back(entry->path());
  }
  return paths;
}

}  // namespace

bool Store::older_than_grace(const fs::path& path) const noexcept {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return false;
  return ::time(nullptr) - info.st_mtim.tv_sec >= options_.grace.count();
}

void Store::rename_old_blobs() const {
  for (const fs::path& path : entries_of(blobs_folder())) {
    const std::string leaf = path.filename().string();
    if (!leaf.starts_with("sha256:")) continue;
    const fs::path wanted = blobs_folder() / ("sha256-" + leaf.substr(7));
    std::error_code error;
    if (!fs::exists(wanted, error)) fs::rename(path, wanted, error);
    if (error) warn(fmt::format("cannot rename {}: {}", path.string(), error.message()));
  }
}

void Store::prune_blobs(const Used& used, PruneReport& report) const {
  std::vector<BlobFile> files;
  std::map<Digest, int64_t> newest;  // the parts of a download are as young as the youngest of them
  for (const fs::path& path : entries_of(blobs_folder())) {
    auto file = examine(path);
    if (!file) continue;
    if (file->partial && file->digest) {
      int64_t& time = newest.try_emplace(*file->digest, file->modified).first->second;
      time = std::max(time, file->modified);
    }
    files.push_back(*std::move(file));
  }
  const int64_t now = ::time(nullptr);
  for (const BlobFile& file : files) {
    const bool wanted = file.digest && (used.digests.contains(*file.digest) || held_.contains(*file.digest));
    // The rest of a download whose blob is there serves nobody; one whose blob is missing can still repair
    // it.
    if (wanted && !(file.partial && blob_size(*file.digest))) continue;
    const int64_t modified = file.partial && file.digest ? newest.at(*file.digest) : file.modified;
    if (now - modified < options_.grace.count()) continue;
    // Looked at once more: a create in another program may have begun to use it.
    if (!file.partial && !older_than_grace(file.path)) continue;
    if (::unlink(file.path.c_str()) == 0) {
      ++report.files;
      report.bytes += file.size;
    } else if (errno != ENOENT) {
      warn(fmt::format("cannot remove {}: {}", file.path.string(), std::generic_category().message(errno)));
    }
  }
}

void Store::prune_manifest_folder(const fs::path& folder, int depth, PruneReport& report) const {
  for (const fs::path& path : entries_of(folder)) {
    std::error_code error;
    const fs::file_status status = fs::symlink_status(path, error);
    if (fs::is_directory(status) && depth < 3) {
      prune_manifest_folder(path, depth + 1, report);
      ::rmdir(path.c_str());  // succeeds on empty folders only
    } else if (fs::is_regular_file(status) && older_than_grace(path) &&
               path.filename().string().starts_with(temporary_manifest_prefix())) {
      if (::unlink(path.c_str()) == 0) ++report.files;
    }
  }
}

PruneReport Store::prune() {
  const std::lock_guard lock(writing_);
  PruneReport report;
  rename_old_blobs();
  if (!options_.prune) {
    report.skipped = true;
    return report;
  }
  const Used used = used_blobs();
  if (!used.complete) {
    report.skipped = true;
    return report;
  }
  prune_blobs(used, report);
  prune_manifest_folder(manifests_folder(), 0, report);
  return report;
}

}  // namespace hearth
