#include "worker/probe/driver.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <array>
#include <filesystem>

namespace hearth::probe {
namespace {

// Where drivers lie that the loader's path does not name: NixOS, WSL, distributions' folders, Jetson,
// Kubernetes' device plugin, ROCm's own prefix.
constexpr std::array own_folders{"/run/opengl-driver/lib",
                                 "/usr/lib/wsl/lib",
                                 "/usr/lib/x86_64-linux-gnu",
                                 "/usr/lib/aarch64-linux-gnu",
                                 "/usr/lib64",
                                 "/usr/lib",
                                 "/usr/lib/aarch64-linux-gnu/nvidia",
                                 "/usr/lib/aarch64-linux-gnu/tegra",
                                 "/usr/local/nvidia/lib64",
                                 "/opt/rocm/lib",
                                 "/opt/rocm/hip/lib"};

std::string path_of(void* handle) {
  link_map* map = nullptr;
  if (::dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr || map->l_name == nullptr) return {};
  std::error_code ignored;
  const std::filesystem::path real = std::filesystem::canonical(map->l_name, ignored);
  return ignored ? std::string(map->l_name) : real.string();
}

}  // namespace

DriverLibrary::DriverLibrary(const std::vector<std::string>& names, const ProbeQuestion& question) {
  std::vector<std::string> folders = question.driver_folders;
  if (folders.empty()) folders.assign(own_folders.begin(), own_folders.end());
  std::vector<std::string> tried;
  for (const std::string& name : names) {
    if (!question.own_libraries_only) tried.push_back(name);
    for (const std::string& folder : folders) {
      const std::string path = fmt::format("{}/{}", folder, name);
      std::error_code ignored;
      if (std::filesystem::exists(path, ignored)) tried.push_back(path);
    }
  }
  for (const std::string& path : tried) {
    handle_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) {
      path_ = path_of(handle_);
      return;
    }
    // A file that is there but does not load is the cause; that others are missing is none.
    const char* why = ::dlerror();
    const bool missing =
        why == nullptr || std::string_view(why).find("No such file") != std::string_view::npos;
    if (!missing && trouble_.empty()) trouble_ = why;
  }
  if (trouble_.empty())
    trouble_ = fmt::format("{} is neither on the loader's path nor in the drivers' folders", names.front());
}

void* DriverLibrary::symbol(const char* name) const {
  return handle_ != nullptr ? ::dlsym(handle_, name) : nullptr;
}

}  // namespace hearth::probe
