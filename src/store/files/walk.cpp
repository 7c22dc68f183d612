#include "store/files/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace hearth {
namespace fs = std::filesystem;
namespace {

constexpr int levels = 4;  // host, namespace, model, tag

using Accept = std::function<bool(int level, const std::string& leaf)>;

std::vector<std::string> leaves_of(const fs::path& folder, std::vector<std::string>& problems) {
  std::vector<std::string> leaves;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    leaves.push_back(entries->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory) {
    problems.push_back(fmt::format("cannot read the folder {}: {}", folder.string(), error.message()));
  }
  std::sort(leaves.begin(), leaves.end());
  return leaves;
}

// Depth is bounded by `levels`, so links in a circle end too.
void walk(const fs::path& root, const fs::path& relative, int level, const Accept& accept, Walk& into) {
  if (level == levels) {
    std::error_code error;
    const bool file = fs::is_regular_file(root / relative, error);
    if (error && error != std::errc::no_such_file_or_directory) {
      into.problems.push_back(
          fmt::format("cannot examine {}: {}", (root / relative).string(), error.message()));
    }
    if (const auto name = ModelName::from_path(relative); file && name) into.names.push_back(*name);
    return;
  }
  for (const std::string& leaf : leaves_of(root / relative, into.problems)) {
    if (leaf.starts_with('.') || !accept(level, leaf)) continue;
    walk(root, relative / leaf, level + 1, accept, into);
  }
}

}  // namespace

Walk walk_manifests(const fs::path& manifests) {
  Walk found;
  walk(
      manifests, {}, 0, [](int, const std::string&) { return true; }, found);
  return found;
}

std::optional<ModelName> find_manifest(const fs::path& manifests, const ModelName& name) {
  std::error_code error;
  if (fs::is_regular_file(manifests / name.path(), error)) return name;
  const std::string* const parts[levels] = {&name.host, &name.space, &name.model, &name.tag};
  Walk found;
  walk(
      manifests, {}, 0,
      [&](int level, const std::string& leaf) { return equal_ignoring_case(leaf, *parts[level]); }, found);
  if (found.names.empty()) return std::nullopt;
  ModelName stored = found.names.front();
  stored.scheme = name.scheme;
  return stored;
}

}  // namespace hearth
