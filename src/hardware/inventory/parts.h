#pragma once

#include "hardware/inventory.h"

// One part of the inventory each.
namespace hearth {

DeviceNode look_at_node(const SystemView& system, const std::string& path);
std::vector<KfdNode> read_kfd(const SystemView& system);
// PCI devices, joined with the nodes and /proc/driver/nvidia; by address.
std::vector<Gpu> read_gpus(const SystemView& system, const std::vector<KfdNode>& kfd);
NvidiaDriver read_nvidia(const SystemView& system);
Libraries read_libraries(const SystemView& system, const Environment& environment);
VulkanDrivers read_vulkan(const SystemView& system);
Whereabouts read_surroundings(const SystemView& system, const Environment& environment);
Processor read_processor(const SystemView& system);
MemoryFacts read_memory(const SystemView& system);

// Folders of the process's control groups, from its own up to the root, where `controller` is ruled: version
// 2 and 1.
std::vector<std::string> cgroup_folders(const SystemView& system, const std::string& controller);

}  // namespace hearth
