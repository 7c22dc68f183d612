#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hardware/system_view.h"

// What is in a machine, read without any vendor's library; nothing is judged here.
namespace hearth {

enum class Vendor : uint8_t { amd, nvidia, intel, other };
std::string_view to_string(Vendor vendor) noexcept;

// A node in /dev, or the lack of one.
struct DeviceNode {
  std::string path = {};
  bool exists = false;
  uint32_t mode = 0, uid = 0, gid = 0;
  int open_error = 0;  // errno of opening it for reading and writing; ENOENT where it does not exist

  bool opens() const noexcept { return exists && open_error == 0; }
};

struct KfdNode {
  uint32_t number = 0;
  uint32_t gfx_target_version = 0;  // decimal 100300; 0 = a processor
  uint32_t simd_count = 0, simd_per_cu = 0;
  uint32_t vendor = 0, device = 0;
  uint32_t location = 0, domain = 0;  // location: bus·256 + device·8 + function
  uint32_t render_minor = 0;
  uint64_t vram = 0;        // its banks together
  bool id_readable = true;  // gpu_id; false: the device cgroup forbids the node

  bool gpu() const noexcept { return gfx_target_version != 0; }
  std::string address() const;  // "0000:03:00.0"
};

// amdgpu's figures, bytes; 0 = not told.
struct AmdMemory {
  uint64_t vram_total = 0, vram_used = 0, visible_vram = 0, gtt_total = 0, gtt_used = 0;
};

// /proc/driver/nvidia/gpus/<address>/information
struct NvidiaEntry {
  std::string model = {}, uuid = {};
  int minor = -1;
};

struct Gpu {
  std::string address = {};  // "0000:03:00.0"
  Vendor vendor = Vendor::other;
  uint32_t vendor_id = 0, device_id = 0, revision = 0, class_code = 0;
  std::string driver = {};             // of the kernel, bound to it; empty = none
  std::string card = {}, render = {};  // "card0", "renderD128"; empty = none
  DeviceNode render_node = {};         // of `render`
  bool display_class = true;           // false: a processing accelerator

  std::string name = {};         // of the table, else what the driver calls it, else the ids
  bool known = false;            // is in the tables
  std::string gfx = {};          // "gfx1100"
  bool gfx_from_kernel = false;  // the KFD says so; else the table does
  uint32_t compute = 0;          // compute capability × 10: 86
  bool integrated = false;
  uint32_t compute_units = 0;  // 0 = not told

  std::optional<KfdNode> kfd = {};
  AmdMemory memory = {};
  std::optional<NvidiaEntry> nvidia = {};
  std::string unique_id = {};  // of an AMD card, as ROCR_VISIBLE_DEVICES names it
  std::string power = {};      // runtime_status

  // A part of a processor that is there to have a screen: two compute units.
  bool display_only() const noexcept;
};

struct NvidiaDriver {
  std::string version = {};                                // of the loaded kernel module; empty = none
  bool open_flavour = false;                               // the open kernel modules
  bool preserves_memory = false, params_readable = false;  // PreserveVideoMemoryAllocations
  DeviceNode control = {}, uvm = {};                       // /dev/nvidiactl, /dev/nvidia-uvm
  std::vector<DeviceNode> nodes = {};                      // /dev/nvidia0 …

  uint32_t branch() const noexcept;  // 580 of "580.95.05"
};

// A shared library as the loader would find it.
struct LibraryFile {
  std::string path = {};        // empty: nowhere
  std::string target = {};      // where its link leads, e.g. "libcuda.so.580.95.05"
  bool on_loader_path = false;  // false: in a folder that only hearth looks into
};

struct Libraries {
  LibraryFile cuda = {}, nvml = {}, hip = {}, hsa = {}, vulkan = {};
};

struct VulkanDrivers {
  std::vector<std::string> manifests = {};  // "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json"
};

enum class Container : uint8_t { none, docker, podman, lxc, kubernetes, other };
std::string_view to_string(Container container) noexcept;
enum class Distribution : uint8_t { unknown, debian, ubuntu, fedora, arch, suse, nixos, alpine };

// Where the process lives.
struct Whereabouts {
  Container container = Container::none;
  std::string container_id = {};
  bool wsl = false, jetson = false, selinux_enforcing = false, devices_hidden = false, kubernetes = false;
  std::string unit = {};  // of systemd, "hearth.service"; empty = not started by it
  Distribution distribution = Distribution::unknown;
  std::string distribution_name = {};  // "Debian GNU/Linux 12 (bookworm)"
  std::vector<std::string> kernel_arguments = {};
  uint32_t kernel_major = 0, kernel_minor = 0;
  std::optional<uint32_t> render_group = {};  // gid of "render" in /etc/group

  bool contained() const noexcept { return container != Container::none; }
  // The kernel's version is known, and this or later.
  bool kernel_since(uint32_t major, uint32_t minor) const noexcept;
};

struct Processor {
  std::string model = {};
  std::vector<std::string> flags = {};
  bool known = false;        // /proc/cpuinfo was readable
  uint32_t logical = 0;      // of the machine
  std::string allowed = {};  // the process's affinity, "0-7"
  uint32_t allowed_count = 0;
  double quota = 0;               // processors; 0 = none
  std::string quota_folder = {};  // which cgroup
  uint64_t throttled = 0;         // nr_throttled there

  bool has(std::string_view flag) const noexcept;
};

struct MemoryFacts {
  uint64_t total = 0, available = 0, swap = 0;  // bytes; 0 = not told
  uint64_t limit = 0;                           // the tightest cgroup's; 0 = none
  std::string limit_folder = {};
};

struct Inventory {
  SystemName system = {};
  Account account = {};
  Environment environment = {};
  KernelLog log = {};          // its relevant lines
  std::vector<Gpu> gpus = {};  // by address
  std::vector<KfdNode> kfd_nodes = {};
  DeviceNode kfd = {};       // /dev/kfd
  bool kfd_present = false;  // the kernel has the topology
  DeviceNode dxg = {};       // /dev/dxg of WSL
  NvidiaDriver nvidia = {};
  Libraries libraries = {};
  VulkanDrivers vulkan = {};
  Whereabouts surroundings = {};
  Processor processor = {};
  MemoryFacts memory = {};
  uint64_t ttm_pages_limit = 0;

  const Gpu* gpu_at(std::string_view address) const noexcept;
  // HEARTH_<name>, else OLLAMA_<name>, without blanks and quotes; empty = not set.
  std::string setting(const std::string& name) const;
  // The variable as it is; empty = not set.
  std::string variable(const std::string& name) const;
};

Inventory take_inventory(const SystemView& system);

// 100302 → "gfx1032", 90010 → "gfx90a": minor and stepping are written in hexadecimal.
std::string gfx_name(uint32_t gfx_target_version);

}  // namespace hearth
