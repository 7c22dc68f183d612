#include "hardware/inventory.h"

#include "hardware/inventory/parts.h"
#include "hardware/relevant.h"
#include "hardware/sysfs_text.h"

namespace hearth {

std::string_view to_string(Vendor vendor) noexcept {
  switch (vendor) {
    case Vendor::amd: return "amd";
    case Vendor::nvidia: return "nvidia";
    case Vendor::intel: return "intel";
    case Vendor::other: break;
  }
  return "other";
}

std::string_view to_string(Container container) noexcept {
  switch (container) {
    case Container::none: return "none";
    case Container::docker: return "docker";
    case Container::podman: return "podman";
    case Container::lxc: return "lxc";
    case Container::kubernetes: return "kubernetes";
    case Container::other: break;
  }
  return "container";
}

const Gpu* Inventory::gpu_at(std::string_view address) const noexcept {
  for (const Gpu& gpu : gpus) {
    if (gpu.address == address) return &gpu;
  }
  return nullptr;
}

std::string Inventory::variable(const std::string& name) const {
  const auto at = environment.find(name);
  return at == environment.end() ? std::string() : at->second;
}

std::string Inventory::setting(const std::string& name) const {
  for (const char* prefix : {"HEARTH_", "OLLAMA_"}) {
    std::string_view value = {};
    const auto at = environment.find(prefix + name);
    if (at != environment.end()) value = trimmed(at->second);
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
      value = trimmed(value.substr(1, value.size() - 2));
    if (!value.empty()) return std::string(value);
  }
  return {};
}

Inventory take_inventory(const SystemView& system) {
  Inventory out;
  out.system = system.name();
  out.account = system.account();
  out.environment = system.environment();
  KernelLog log = system.kernel_log();
  out.log.error = log.error;
  for (std::string& line : log.lines) {
    if (relevant_log_line(line)) out.log.lines.push_back(std::move(line));
  }
  out.kfd_nodes = read_kfd(system);
  out.kfd_present = !out.kfd_nodes.empty();
  out.kfd = look_at_node(system, "/dev/kfd");
  out.dxg = look_at_node(system, "/dev/dxg");
  out.gpus = read_gpus(system, out.kfd_nodes);
  out.nvidia = read_nvidia(system);
  out.libraries = read_libraries(system, out.environment);
  out.vulkan = read_vulkan(system);
  out.surroundings = read_surroundings(system, out.environment);
  out.processor = read_processor(system);
  out.memory = read_memory(system);
  out.ttm_pages_limit = number_or(system.file("/sys/module/ttm/parameters/pages_limit", 256).text, 0);
  return out;
}

}  // namespace hearth
