#include <fmt/format.h>

#include <algorithm>

#include "hardware/device_tables.h"
#include "hardware/inventory/parts.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

const std::string pci_folder = "/sys/bus/pci/devices";

uint64_t number_in(const SystemView& system, const std::string& path, int base = 10) {
  return number_or(system.file(path, 256).text, 0, base);
}

std::string leaf(const std::optional<std::string>& target) {
  return target ? target->substr(target->rfind('/') + 1) : std::string();
}

Vendor vendor_of(uint32_t id) {
  if (id == 0x1002 || id == 0x1022) return Vendor::amd;
  if (id == 0x10de) return Vendor::nvidia;
  return id == 0x8086 ? Vendor::intel : Vendor::other;
}

void read_drm(const SystemView& system, const std::string& folder, Gpu& gpu) {
  for (const std::string& name : system.list(folder + "/drm")) {
    if (name.starts_with("renderD")) gpu.render = name;
    if (name.starts_with("card") && gpu.card.empty()) gpu.card = name;
  }
  if (!gpu.render.empty()) gpu.render_node = look_at_node(system, "/dev/dri/" + gpu.render);
}

void read_amd_memory(const SystemView& system, const std::string& folder, AmdMemory& m) {
  m.vram_total = number_in(system, folder + "/mem_info_vram_total");
  m.vram_used = number_in(system, folder + "/mem_info_vram_used");
  m.visible_vram = number_in(system, folder + "/mem_info_vis_vram_total");
  m.gtt_total = number_in(system, folder + "/mem_info_gtt_total");
  m.gtt_used = number_in(system, folder + "/mem_info_gtt_used");
}

// Where no table knows the chip: a part of the processor has little memory of its own and much of the
// system's, and no name of a maker of memory.
bool looks_integrated(const SystemView& system, const std::string& folder, const AmdMemory& m) {
  constexpr uint64_t gib = uint64_t{1} << 30;
  if (system.node(folder + "/mem_info_vram_vendor") || system.node(folder + "/board_info")) return false;
  return m.vram_total != 0 && m.vram_total <= 4 * gib && m.gtt_total >= 8 * gib &&
         m.gtt_total >= 4 * m.vram_total;
}

// An old kernel calls Renoir 90002, which is another chip's number.
bool trust_table(const AmdDevice* device, uint32_t version) {
  return device != nullptr && device->gfx == "gfx90c" && version == 90002;
}

void explain_amd(const SystemView& system, const std::string& folder, Gpu& gpu) {
  const AmdDevice* device = find_amd(gpu.device_id);
  gpu.known = device != nullptr;
  if (device != nullptr) {
    gpu.name = device->name;
    gpu.gfx = device->gfx;
  }
  if (gpu.kfd && gpu.kfd->gpu() && !trust_table(device, gpu.kfd->gfx_target_version)) {
    gpu.gfx = gfx_name(gpu.kfd->gfx_target_version);
    gpu.gfx_from_kernel = true;
  }
  read_amd_memory(system, folder, gpu.memory);
  gpu.integrated =
      device != nullptr ? device->family == AmdClass::apu : looks_integrated(system, folder, gpu.memory);
  if (gpu.kfd && gpu.kfd->simd_count != 0) {
    const uint32_t per_cu =
        gpu.kfd->simd_per_cu != 0 ? gpu.kfd->simd_per_cu : (gpu.kfd->gfx_target_version >= 100000 ? 2 : 4);
    gpu.compute_units = gpu.kfd->simd_count / per_cu;
  }
  gpu.unique_id = trimmed(system.file(folder + "/unique_id", 256).text);
}

void explain_nvidia(Gpu& gpu) {
  const NvidiaDevice* device = find_nvidia(gpu.device_id);
  const NvidiaChip* chip = find_nvidia_chip(gpu.device_id);
  gpu.known = device != nullptr || chip != nullptr;
  if (device != nullptr) {
    gpu.name = device->name;
    gpu.compute = device->compute;
  } else if (chip != nullptr) {
    gpu.name = fmt::format("NVIDIA {} GPU ({})", nvidia_family(chip->compute), chip->chip);
    gpu.compute = chip->compute;
  }
  if (gpu.nvidia && !gpu.nvidia->model.empty()) gpu.name = gpu.nvidia->model;
}

void explain_intel(Gpu& gpu) {
  const IntelDevice* device = find_intel(gpu.device_id);
  gpu.known = device != nullptr;
  if (device != nullptr) gpu.name = device->name;
  gpu.integrated = gpu.address.ends_with(":00:02.0");
}

std::optional<NvidiaEntry> read_nvidia_entry(const SystemView& system, const std::string& address) {
  const FileText text = system.file(fmt::format("/proc/driver/nvidia/gpus/{}/information", address));
  if (!text) return std::nullopt;
  NvidiaEntry entry;
  entry.model = value_of(text.text, "Model").value_or("");
  entry.uuid = value_of(text.text, "GPU UUID").value_or("");
  if (entry.uuid.find('?') != std::string::npos) entry.uuid.clear();  // the driver could not start it
  const auto minor = parse_number(value_of(text.text, "Device Minor").value_or(""));
  if (minor && *minor < 256) entry.minor = static_cast<int>(*minor);
  return entry;
}

void name_the_rest(Gpu& gpu) {
  if (!gpu.name.empty()) return;
  const char* who = gpu.vendor == Vendor::amd      ? "AMD"
                    : gpu.vendor == Vendor::nvidia ? "NVIDIA"
                    : gpu.vendor == Vendor::intel  ? "Intel"
                                                   : "";
  gpu.name =
      fmt::format("{}{}device {:04x}:{:04x}", who, *who != '\0' ? " " : "", gpu.vendor_id, gpu.device_id);
}

void explain(const SystemView& system, const std::string& folder, Gpu& gpu) {
  switch (gpu.vendor) {
    case Vendor::amd: explain_amd(system, folder, gpu); break;
    case Vendor::nvidia:
      gpu.nvidia = read_nvidia_entry(system, gpu.address);
      explain_nvidia(gpu);
      break;
    case Vendor::intel: explain_intel(gpu); break;
    case Vendor::other: break;
  }
  name_the_rest(gpu);
}

// Display controllers (03) and processing accelerators (12).
bool is_gpu_class(uint32_t code) { return code >> 16 == 0x03 || code >> 16 == 0x12; }

std::optional<KfdNode> node_at(const std::vector<KfdNode>& nodes, const std::string& address) {
  const auto at = std::find_if(nodes.begin(), nodes.end(),
                               [&](const KfdNode& n) { return n.gpu() && n.address() == address; });
  return at == nodes.end() ? std::nullopt : std::optional(*at);
}

std::optional<Gpu> read_pci(const SystemView& system, const std::string& address,
                            const std::vector<KfdNode>& kfd) {
  const std::string folder = pci_folder + "/" + address;
  Gpu gpu;
  gpu.class_code = static_cast<uint32_t>(number_in(system, folder + "/class", 16) & 0xffffff);
  if (!is_gpu_class(gpu.class_code)) return std::nullopt;
  gpu.address = address;
  gpu.display_class = gpu.class_code >> 16 == 0x03;
  gpu.vendor_id = static_cast<uint32_t>(number_in(system, folder + "/vendor", 16) & 0xffff);
  gpu.device_id = static_cast<uint32_t>(number_in(system, folder + "/device", 16) & 0xffff);
  gpu.revision = static_cast<uint32_t>(number_in(system, folder + "/revision", 16) & 0xff);
  gpu.vendor = vendor_of(gpu.vendor_id);
  gpu.driver = leaf(system.link(folder + "/driver"));
  gpu.power = trimmed(system.file(folder + "/power/runtime_status", 256).text);
  gpu.kfd = node_at(kfd, address);
  read_drm(system, folder, gpu);
  explain(system, folder, gpu);
  return gpu;
}

// Where the PCI bus is hidden (some sandboxes) the topology may still be seen.
Gpu from_kfd(const SystemView& system, const KfdNode& node) {
  Gpu gpu;
  gpu.address = node.address();
  gpu.vendor = Vendor::amd;
  gpu.vendor_id = 0x1002;
  gpu.device_id = node.device & 0xffff;
  gpu.driver = "amdgpu";
  gpu.kfd = node;
  if (node.render_minor != 0) {
    gpu.render = fmt::format("renderD{}", node.render_minor);
    gpu.render_node = look_at_node(system, "/dev/dri/" + gpu.render);
  }
  explain(system, "/sys/class/drm/" + gpu.render + "/device", gpu);
  return gpu;
}

}  // namespace

bool Gpu::display_only() const noexcept {
  return integrated && (gfx == "gfx1036" || (compute_units != 0 && compute_units <= 2));
}

DeviceNode look_at_node(const SystemView& system, const std::string& path) {
  DeviceNode node;
  node.path = path;
  const auto info = system.node(path);
  node.open_error = system.open_error(path);
  if (!info) return node;
  node.exists = true;
  node.mode = info->mode;
  node.uid = info->uid;
  node.gid = info->gid;
  return node;
}

std::vector<Gpu> read_gpus(const SystemView& system, const std::vector<KfdNode>& kfd) {
  std::vector<Gpu> out;
  for (const std::string& address : system.list(pci_folder)) {
    if (auto gpu = read_pci(system, address, kfd)) out.push_back(std::move(*gpu));
  }
  for (const KfdNode& node : kfd) {
    const auto is_it = [&](const Gpu& g) { return g.address == node.address(); };
    if (node.gpu() && std::none_of(out.begin(), out.end(), is_it)) out.push_back(from_kfd(system, node));
  }
  std::sort(out.begin(), out.end(), [](const Gpu& a, const Gpu& b) { return a.address < b.address; });
  return out;
}

}  // namespace hearth
