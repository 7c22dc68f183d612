#include "device/vulkan/manifests.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace hearth::vulkan {
namespace {

namespace fs = std::filesystem;

// Of a manifest at most; real ones have some hundred bytes.
constexpr size_t most_bytes = 1 << 16;

std::vector<fs::path> manifests() {
  std::vector<fs::path> found;
  for (const char* name : {"VK_DRIVER_FILES", "VK_ICD_FILENAMES"}) {
    const char* value = std::getenv(name);
    const std::string list = value != nullptr ? value : "";
    for (size_t at = 0; at < list.size();) {
      const size_t end = std::min(list.find(':', at), list.size());
      if (end > at) found.emplace_back(list.substr(at, end - at));
      at = end + 1;
    }
  }
  if (!found.empty()) return found;
  for (const char* folder : {"/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d",
                             "/run/opengl-driver/share/vulkan/icd.d"}) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().extension() == ".json") found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// What a manifest names as its library; empty if it is none.
std::string library_of(const fs::path& manifest) {
  std::ifstream in(manifest, std::ios::binary);
  std::string text(most_bytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
  boost::system::error_code bad;
  const boost::json::value parsed = boost::json::parse(text, bad);
  if (bad || !parsed.is_object()) return {};
  const auto* icd = parsed.as_object().if_contains("ICD");
  const auto* path =
      icd != nullptr && icd->is_object() ? icd->as_object().if_contains("library_path") : nullptr;
  if (path == nullptr || !path->is_string()) return {};
  const std::string library(path->as_string());
  // A name is looked for where the linker looks; a relative path begins at the manifest.
  const bool relative = library.find('/') != std::string::npos && library.front() != '/';
  return relative ? (manifest.parent_path() / library).string() : library;
}

}  // namespace

std::string drivers_that_do_not_load() {
  std::vector<std::string> broken;
  for (const fs::path& manifest : manifests()) {
    const std::string library = library_of(manifest);
    if (library.empty()) continue;
    void* handle =
        dlopen(library.c_str(), RTLD_LAZY | RTLD_LOCAL);  // stays: some drivers do not survive dlclose
    if (handle != nullptr) continue;
    const char* said = dlerror();
    std::string reason = said != nullptr ? said : "it does not load";
    if (reason.find("wrong ELF class") != std::string::npos) continue;  // for programs of 32 bits
    constexpr std::string_view missing = ": cannot open shared object file";
    if (const size_t end = reason.find(missing); end != std::string::npos)
      reason = reason.substr(0, end) + " is missing";
    broken.push_back(fmt::format("{} names {}, and {}", manifest.filename().string(), library, reason));
  }
  return fmt::format("{}", fmt::join(broken, "; "));
}

}  // namespace hearth::vulkan
