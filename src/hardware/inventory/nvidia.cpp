#include <algorithm>
#include <array>
#include <cctype>

#include "hardware/inventory/parts.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

bool is_version(std::string_view word) {
  const auto fits = [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; };
  return word.find('.') != std::string_view::npos && word.size() < 32 &&
         std::all_of(word.begin(), word.end(), fits) &&
         std::isdigit(static_cast<unsigned char>(word[0])) != 0;
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.211.01  Tue …", or "… Open Kernel Module for x86_64
// …".
void read_version(const SystemView& system, NvidiaDriver& driver) {
  const FileText text = system.file("/proc/driver/nvidia/version", 4096);
  const std::vector<std::string_view> lines = lines_in(text.text);
  if (lines.empty()) return;
  driver.open_flavour = lines.front().find("Open Kernel Module") != std::string_view::npos;
  for (const std::string& word : words_in(lines.front())) {
    if (driver.version.empty() && is_version(word)) driver.version = word;
  }
}

bool is_card_node(const std::string& name) {
  return name.starts_with("nvidia") && name.size() > 6 && name.size() < 10 &&
         std::all_of(name.begin() + 6, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::vector<std::string> loader_folders(const SystemView& system, const Environment& environment) {
  std::vector<std::string> folders;
  const auto path = environment.find("LD_LIBRARY_PATH");
  if (path != environment.end()) folders = words_in(path->second, ":");
  for (const std::string& name : system.list("/etc/ld.so.conf.d")) {
    const FileText text = system.file("/etc/ld.so.conf.d/" + name, 4096);
    for (const std::string_view line : lines_in(text.text)) {
      if (trimmed(line).starts_with("/")) folders.emplace_back(trimmed(line));
    }
  }
  for (const char* folder :
       {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}) {
    folders.emplace_back(folder);
  }
  constexpr size_t most = 64;
  if (folders.size() > most) folders.resize(most);
  return folders;
}

LibraryFile look(const SystemView& system, const std::string& folder, const char* name) {
  LibraryFile found;
  const std::string path = folder + "/" + name;
  if (!system.node(path)) return found;
  found.path = path;
  found.target = system.link(path).value_or("");
  return found;
}

LibraryFile find_library(const SystemView& system, const std::vector<std::string>& loader,
                         std::initializer_list<const char*> names) {
  for (const std::string& folder : loader) {
    for (const char* name : names) {
      LibraryFile found = look(system, folder, name);
      found.on_loader_path = true;
      if (!found.path.empty()) return found;
    }
  }
  for (const char* folder : {"/run/opengl-driver/lib", "/usr/lib/wsl/lib", "/opt/rocm/lib"}) {
    for (const char* name : names) {
      LibraryFile found = look(system, folder, name);
      if (!found.path.empty()) return found;
    }
  }
  return {};
}

}  // namespace

uint32_t NvidiaDriver::branch() const noexcept {
  return static_cast<uint32_t>(number_or(std::string_view(version).substr(0, version.find('.')), 0));
}

NvidiaDriver read_nvidia(const SystemView& system) {
  NvidiaDriver driver;
  read_version(system, driver);
  const FileText params = system.file("/proc/driver/nvidia/params");
  const auto preserve = value_of(params.text, "PreserveVideoMemoryAllocations");
  driver.params_readable = preserve.has_value();
  driver.preserves_memory = preserve && *preserve == "1";
  driver.control = look_at_node(system, "/dev/nvidiactl");
  driver.uvm = look_at_node(system, "/dev/nvidia-uvm");
  for (const std::string& name : system.list("/dev")) {
    if (is_card_node(name)) driver.nodes.push_back(look_at_node(system, "/dev/" + name));
  }
  return driver;
}

Libraries read_libraries(const SystemView& system, const Environment& environment) {
  const std::vector<std::string> loader = loader_folders(system, environment);
  Libraries out;
  out.cuda = find_library(system, loader, {"libcuda.so.1"});
  out.nvml = find_library(system, loader, {"libnvidia-ml.so.1"});
  out.hip = find_library(system, loader, {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so"});
  out.hsa = find_library(system, loader, {"libhsa-runtime64.so.1", "libhsa-runtime64.so"});
  out.vulkan = find_library(system, loader, {"libvulkan.so.1"});
  return out;
}

VulkanDrivers read_vulkan(const SystemView& system) {
  VulkanDrivers out;
  for (const char* folder : {"/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d",
                             "/run/opengl-driver/share/vulkan/icd.d"}) {
    for (const std::string& name : system.list(folder)) {
      if (name.ends_with(".json")) out.manifests.push_back(std::string(folder) + "/" + name);
    }
  }
  return out;
}

}  // namespace hearth
