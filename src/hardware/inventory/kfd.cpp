#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "hardware/inventory/parts.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

const std::string nodes_folder = "/sys/class/kfd/kfd/topology/nodes";

uint32_t small(std::string_view text, std::string_view key) {
  const uint64_t value = value_number(text, key);
  return value > UINT32_MAX ? 0 : static_cast<uint32_t>(value);
}

// Banks of kinds 1 and 2 are video memory, visible and not.
uint64_t bank_bytes(const SystemView& system, const std::string& folder) {
  uint64_t sum = 0;
  for (const std::string& bank : system.list(folder + "/mem_banks")) {
    const FileText text = system.file(fmt::format("{}/mem_banks/{}/properties", folder, bank));
    const uint64_t kind = value_number(text.text, "heap_type");
    const uint64_t bytes = value_number(text.text, "size_in_bytes");
    if ((kind == 1 || kind == 2) && bytes < (uint64_t{1} << 48)) sum += bytes;
  }
  return sum;
}

}  // namespace

std::string KfdNode::address() const {
  return fmt::format("{:04x}:{:02x}:{:02x}.{}", domain, (location >> 8) & 0xff, (location >> 3) & 0x1f,
                     location & 7);
}

std::vector<KfdNode> read_kfd(const SystemView& system) {
  constexpr uint64_t most = 4096;
  std::vector<KfdNode> out;
  for (const std::string& name : system.list(nodes_folder)) {
    const auto number = parse_number(name);
    if (!number || *number > most) continue;
    const std::string folder = fmt::format("{}/{}", nodes_folder, name);
    const FileText text = system.file(folder + "/properties");
    KfdNode node;
    node.number = static_cast<uint32_t>(*number);
    node.gfx_target_version = small(text.text, "gfx_target_version");
    node.simd_count = small(text.text, "simd_count");
    node.simd_per_cu = small(text.text, "simd_per_cu");
    node.vendor = small(text.text, "vendor_id");
    node.device = small(text.text, "device_id");
    node.location = small(text.text, "location_id");
    node.domain = small(text.text, "domain");
    node.render_minor = small(text.text, "drm_render_minor");
    if (node.gpu()) {
      node.vram = bank_bytes(system, folder);
      const FileText id = system.file(folder + "/gpu_id");
      node.id_readable = id.error == ENOENT || (id && !trimmed(id.text).empty());
    }
    out.push_back(node);
  }
  std::sort(out.begin(), out.end(), [](const KfdNode& a, const KfdNode& b) { return a.number < b.number; });
  return out;
}

std::string gfx_name(uint32_t version) {
  return fmt::format("gfx{}{:x}{:x}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace hearth
