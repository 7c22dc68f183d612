#include "support/data.h"

#include <algorithm>
#include <cstdlib>

#include "base/file.h"

namespace hearth::test {

std::filesystem::path case_file(const std::string& name) {
  return std::filesystem::path(HEARTH_SOURCE_DIR) / "tests" / "cases" / name;
}

std::filesystem::path source_dir() { return HEARTH_SOURCE_DIR; }

std::filesystem::path build_dir() { return HEARTH_BINARY_DIR; }

std::filesystem::path reference_dir() {
  const std::filesystem::path dir = HEARTH_REFERENCE_DIR;
  return std::filesystem::exists(dir / "README.md") ? dir : std::filesystem::path();
}

std::string no_reference() {
  return "the reference data is not beside this checkout; configure with -DHEARTH_REFERENCE_DIR=... to run "
         "this test";
}

Json read_json(const std::filesystem::path& path) {
  json::parse_options options;
  options.max_depth = 64;
  return json::parse(read_file(path), {}, options);
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                            const std::string& extension) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return bytes;
}

}  // namespace hearth::test
