// AMD: what the kernel says of the card before any library is asked.
#include <fmt/format.h>

#include <algorithm>

#include "hardware/rules/list.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

const char* stops_driver(const std::string& word) {
  static constexpr const char* words[] = {"nomodeset", "amdgpu.modeset=0", "modprobe.blacklist=amdgpu"};
  for (const char* w : words) {
    if (word == w) return w;
  }
  return nullptr;
}

// "Direct firmware load for amdgpu/gc_11_5_1_pfp.bin failed" → the file.
std::string missing_firmware(const Case& c, const Gpu& gpu) {
  constexpr std::string_view sign = "Direct firmware load for ";
  const std::string line = c.log_line({sign, "amdgpu/", "failed", gpu.address});
  if (line.empty()) return {};
  const size_t begin = line.find(sign) + sign.size();
  return line.substr(begin, line.find(' ', begin) - begin);
}

void firmware(Case& c, const Gpu& gpu, const std::string& file) {
  const Remedies::Packages packages{
      "firmware-amd-graphics", "linux-firmware",         "linux-firmware",
      "linux-firmware",        "kernel-firmware-amdgpu", "hardware.enableRedistributableFirmware = true;"};
  Fix fix = c.remedies.install(packages);
  fix.text =
      "install or upgrade the `linux-firmware` package (Debian: `firmware-amd-graphics`), rebuild the "
      "initramfs, reboot" +
      (fix.text.empty() ? "" : "; " + fix.text);
  if (!c.remedies.is(Distribution::nixos)) fix.commands.push_back(c.remedies.rebuild_initramfs());
  fix.commands.emplace_back("sudo reboot");
  c.add({.code = "amd.firmware-missing",
         .device = gpu.address,
         .sentence = fmt::format("The firmware files of the {} are not installed: the driver looked for {}.",
                                 gpu.name, file),
         .fix = std::move(fix)});
}

void unbound(Case& c, const Gpu& gpu) {
  for (const std::string& word : c.machine.surroundings.kernel_arguments) {
    if (const char* sign = stops_driver(word)) {
      c.add({.code = "amd.driver-unbound",
             .device = gpu.address,
             .sentence = fmt::format(
                 "The amdgpu driver was told not to start: `{}` is on the kernel command line.", sign),
             .fix = c.remedies.without_kernel_argument(sign)});
      return;
    }
  }
  c.add({.code = "amd.driver-missing",
         .device = gpu.address,
         .sentence = fmt::format("No driver of the kernel has taken the {}{}.", gpu.name,
                                 gpu.known ? "" : ", which may be newer than this kernel"),
         .fix = {"load the driver; if it does not know the card, a newer kernel does",
                 {"sudo modprobe amdgpu"}}});
}

// "skipped device 1002:67df, PCI rejects atomics 730<0": firmware present < firmware that needs no atomics,
// 0 = there is none.
void atomics(Case& c, const Gpu& gpu) {
  const std::string id = fmt::format("{:04x}:{:04x}", gpu.vendor_id, gpu.device_id);
  constexpr std::string_view sign = "PCI rejects atomics ";
  const std::string line = c.log_line({sign, id});
  if (line.empty()) return;
  const std::vector<std::string> numbers = words_in(line.substr(line.find(sign) + sign.size()), "< \t");
  const uint64_t has = numbers.empty() ? 0 : number_or(numbers[0], 0);
  const uint64_t wants = numbers.size() < 2 ? 0 : number_or(numbers[1], 0);
  if (wants == 0) {
    c.add({.code = "amd.kfd.no-atomics",
           .device = gpu.address,
           .severity = Severity::warning,
           .sentence = "The slot or board has no PCIe atomics, so ROCm cannot use this card. Vulkan can.",
           .fix = {"none is needed for Vulkan; for ROCm: a slot wired to the CPU, or another board", {}},
           .result = "used through Vulkan"});
    return;
  }
  Fix fix = c.remedies.install({"firmware-amd-graphics", "linux-firmware", "linux-firmware", "linux-firmware",
                                "kernel-firmware-amdgpu", "hardware.enableRedistributableFirmware = true;"});
  fix.text =
      "update `linux-firmware`, rebuild the initramfs, reboot" + (fix.text.empty() ? "" : "; " + fix.text);
  fix.commands.push_back(c.remedies.rebuild_initramfs());
  fix.commands.emplace_back("sudo reboot");
  c.add({.code = "amd.firmware-old-atomics",
         .device = gpu.address,
         .severity = Severity::warning,
         .sentence = fmt::format("The card's compute firmware {} is older than {}, which works without PCIe "
                                 "atomics: until then ROCm cannot use it. Vulkan can.",
                                 has, wants),
         .fix = std::move(fix),
         .result = "used through Vulkan"});
}

}  // namespace

void amd_kernel(Case& c) {
  for (const Gpu* gpu : c.gpus(Vendor::amd)) {
    if (const std::string file = missing_firmware(c, *gpu); !file.empty() && gpu->render.empty()) {
      firmware(c, *gpu, file);
    } else if (gpu->driver.empty()) {
      unbound(c, *gpu);
    } else if (!gpu->kfd) {
      atomics(c, *gpu);
    }
  }
}

void amd_watchdog(Case& c) {
  for (const Gpu* gpu : c.gpus(Vendor::amd)) {
    const std::string line = c.log_line({"ring ", "timeout", gpu->address});
    if (line.empty()) continue;
    const size_t begin = line.find("ring ") + 5;
    const std::string ring = line.substr(begin, line.find(' ', begin) - begin);
    Fix fix = c.remedies.with_kernel_argument("amdgpu.lockup_timeout=10000,60000,10000,10000");
    fix.text = "none normally: hearth restarts the worker with shorter jobs. If it repeats, " + fix.text +
               ", and report the model";
    fix.commands.clear();  // nothing to be run as a matter of course
    c.add({.code = "amd.ring-timeout",
           .device = gpu->address,
           .severity = Severity::warning,
           .sentence =
               fmt::format("A job ran longer than the driver's watchdog allows (ring {}), and the driver "
                           "reset the GPU.",
                           ring),
           .fix = std::move(fix),
           .result = "the worker is started again with shorter jobs"});
  }
}

// Cards that are kept for virtual machines.
void passthrough(Case& c) {
  for (const Gpu& gpu : c.machine.gpus) {
    if (gpu.driver != "vfio-pci" || gpu.vendor == Vendor::other) continue;
    const char* module = gpu.vendor == Vendor::amd      ? "amdgpu"
                         : gpu.vendor == Vendor::nvidia ? "nvidia"
                                                        : "i915";
    c.add({.code = "pci.vfio",
           .device = gpu.address,
           .severity = Severity::note,
           .sentence = fmt::format("The {} is kept for a virtual machine: vfio-pci owns it.", gpu.name),
           .fix = {"run hearth in that machine, or give the card back to its driver",
                   {fmt::format("echo {0} | sudo tee /sys/bus/pci/devices/{0}/driver/unbind", gpu.address),
                    fmt::format("echo {} | sudo tee /sys/bus/pci/devices/{}/driver_override", module,
                                gpu.address),
                    fmt::format("echo {} | sudo tee /sys/bus/pci/drivers_probe", gpu.address)}}});
  }
}

}  // namespace hearth
