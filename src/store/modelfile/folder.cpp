#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "store/files/files.h"
#include "store/modelfile.h"

namespace hearth {
namespace fs = std::filesystem;
namespace {

struct Pattern {
  std::string_view begin, end;
  bool nested;             // also one folder below
  std::string_view magic;  // what the content begins with; empty: not looked at
};

// In order of preference; `GGUF` files may be called .bin.
constexpr std::string_view zip_magic = "PK\x03\x04";
constexpr Pattern weights[] = {
    {"model", ".safetensors", true, ""},
    {"consolidated", ".safetensors", true, ""},
    {"pytorch_model", ".bin", false, zip_magic},
    {"consolidated", ".pth", false, zip_magic},
    {"", ".gguf", false, "GGUF"},
    {"", ".bin", false, "GGUF"},
};

bool matches(const fs::path& path, const Pattern& pattern) {
  const std::string leaf = path.filename().string();
  if (leaf.size() < pattern.begin.size() + pattern.end.size()) return false;
  if (!leaf.starts_with(pattern.begin) || !leaf.ends_with(pattern.end)) return false;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  if (pattern.magic.empty()) return true;
  char start[4] = {};
  const size_t got = Descriptor::open_for_reading(path).read_at(start, sizeof start, 0);
  return std::string_view(start, got) == pattern.magic;
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error) fail_on_file(folder, "read the folder", error.value());
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::vector<fs::path> matching(const std::vector<fs::path>& entries, const Pattern& pattern) {
  std::vector<fs::path> found;
  for (const fs::path& entry : entries) {
    std::error_code error;
    if (matches(entry, pattern)) {
      found.push_back(entry);
    } else if (pattern.nested && fs::is_directory(entry, error)) {
      for (const fs::path& inner : sorted_entries(entry)) {
        if (matches(inner, pattern)) found.push_back(inner);
      }
    }
  }
  return found;
}

}  // namespace

std::vector<fs::path> files_of_folder(const fs::path& folder) {
  const std::vector<fs::path> entries = sorted_entries(folder);
  std::vector<fs::path> files;
  for (const Pattern& pattern : weights) {
    files = matching(entries, pattern);
    if (!files.empty()) break;
  }
  if (files.empty()) {
    throw Error(Code::bad_request, fmt::format("no model files in {}", folder.string()),
                "name a folder with safetensors or GGUF files");
  }
  for (const fs::path& entry : entries) {
    const std::string leaf = entry.filename().string();
    std::error_code error;
    const bool beside = leaf.ends_with(".json") || leaf == "chat_template.jinja" || leaf == "tokenizer.model";
    if (beside && fs::is_regular_file(entry, error)) files.push_back(entry);
  }
  return files;
}

}  // namespace hearth
