// NVIDIA: the driver is the right one, and something about its state is not.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "hardware/device_tables.h"
#include "hardware/rules/list.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

void no_address_space(Case& c, const Gpu& gpu) {
  // "NVRM: BAR1 is 0M @ 0x0 (PCI:0000:05:00.0)"
  const std::string line = c.log_line({"BAR1 is 0M", gpu.address});
  if (line.empty()) return;
  const bool virtual_machine = c.machine.processor.has("hypervisor");
  Fix fix = c.remedies.with_kernel_argument("pci=realloc");
  fix.text = std::string(virtual_machine
                             ? "in the settings of the virtual machine: q35 + OVMF with a large 64-bit "
                               "MMIO window; on bare metal, in the BIOS: enable \"Above 4G Decoding\" (and "
                               "disable CSM)"
                             : "in the BIOS: enable \"Above 4G Decoding\" (and disable CSM); in a VM: q35 + "
                               "OVMF with a large 64-bit MMIO window") +
             "; else " + fix.text;
  c.add({.code = "nv.bar1",
         .device = gpu.address,
         .sentence = fmt::format("The firmware gave the {} no address space (BAR1 is 0 MiB).", gpu.name),
         .fix = std::move(fix)});
}

void power_and_bus(Case& c, const Gpu& gpu) {
  if (!c.log_line({"necessary power cables", gpu.address}).empty()) {
    c.add({.code = "nv.power-cables",
           .device = gpu.address,
           .sentence = fmt::format("The power cables of the {} are not connected.", gpu.name),
           .fix = {"switch the machine off and plug them in", {}}});
  }
  if (!c.log_line({"fallen off the bus", gpu.address}).empty() || c.replied(gpu, "nvmlInit", 15)) {
    c.add({.code = "nv.lost",
           .device = gpu.address,
           .sentence =
               fmt::format("The {} has fallen off the bus (Xid 79): power, heat or the slot.", gpu.name),
           .fix = {"switch the machine off and on; if it repeats, look after power supply and riser", {}}});
  }
}

// What is asked for needs a login to a running service of the system.
void unified_memory(Case& c, const Gpu& gpu) {
  const NvidiaDriver& driver = c.machine.nvidia;
  if (driver.version.empty() || !driver.control.opens() || c.passed(gpu, "cuda")) return;
  if (c.machine.surroundings.contained()) return;  // rules/access.cpp
  if (!driver.uvm.exists) {
    c.add({.code = "nv.uvm-missing",
           .device = gpu.address,
           .sentence = "The module nvidia_uvm is not loaded: nvidia-smi works without it, CUDA does not.",
           .fix = {"(or `sudo nvidia-modprobe -u -c=0`); lasting by the second line:",
                   {"sudo modprobe nvidia_uvm",
                    "echo nvidia_uvm | sudo tee /etc/modules-load.d/nvidia-uvm.conf"}}});
    return;
  }
  if (!c.replied(gpu, "cuInit", 999) || c.log_line({"PM: suspend exit"}).empty() || driver.preserves_memory)
    return;
  Fix lasting = c.remedies.module_option("nvidia", "NVreg_PreserveVideoMemoryAllocations=1");
  Fix fix{
      "stop GPU programs first. Lasting: `options nvidia NVreg_PreserveVideoMemoryAllocations=1` in "
      "/etc/modprobe.d/nvidia.conf and `sudo systemctl enable nvidia-suspend nvidia-resume`",
      {"sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm",
       "sudo systemctl restart " + c.remedies.service()}};
  c.add({.code = "nv.uvm-after-suspend",
         .device = gpu.address,
         .sentence = "The UVM module did not survive the machine's suspend.",
         .fix = std::move(fix)});
}

void refusals(Case& c, const Gpu& gpu) {
  if (c.replied(gpu, "cuInit", 802)) {
    c.add({.code = "nv.fabric-manager",
           .device = gpu.address,
           .sentence = "The NVSwitch fabric is not set up.",
           .fix = {"the fabric manager must be of the driver's version" +
                       (c.machine.nvidia.version.empty() ? "" : " (" + c.machine.nvidia.version + ")"),
                   {"sudo systemctl enable --now nvidia-fabricmanager"}}});
  }
  if (c.replied(gpu, "cuCtxCreate", 46) || c.replied(gpu, "cuInit", 46)) {
    c.add({.code = "nv.exclusive",
           .device = gpu.address,
           .sentence = "Another program has the GPU for itself (exclusive compute mode), or it is cut into "
                       "instances of "
                       "which none exists (MIG).",
           .fix = {"back to the shared mode", {"sudo nvidia-smi -c 0"}}});
  }
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

void nvidia_state(Case& c) {
  for (const Gpu* gpu : c.gpus(Vendor::nvidia)) {
    no_address_space(c, *gpu);
    power_and_bus(c, *gpu);
    unified_memory(c, *gpu);
    refusals(c, *gpu);
  }
}

// Libraries of "forward compatibility" exist for cards of the data centre only; elsewhere they answer 804.
void nvidia_library(Case& c) {
  const LibraryFile& cuda = c.machine.libraries.cuda;
  for (const Gpu* gpu : c.gpus(Vendor::nvidia)) {
    std::string path = cuda.path.find("/compat/") != std::string::npos ? cuda.path : "";
    for (const ProbeVerdict* v : c.about(*gpu, "cuda")) {
      if (v->library.find("/compat/") != std::string::npos) path = v->library;
    }
    const bool refused = c.replied(*gpu, "cuInit", 804);
    if (path.empty() || c.passed(*gpu, "cuda") || (!refused && nvidia_datacenter(gpu->name))) continue;
    const std::string folder = folder_of(path);
    Fix fix{fmt::format("take {} out of LD_LIBRARY_PATH / ld.so.conf", folder), {}};
    const std::string search = c.machine.variable("LD_LIBRARY_PATH");
    if (search.find(folder) != std::string::npos) {
      std::string rest;
      for (const std::string& word : words_in(search, ":")) {
        if (word != folder) rest += (rest.empty() ? "" : ":") + word;
      }
      fix.commands.push_back(rest.empty() ? "unset LD_LIBRARY_PATH" : "export LD_LIBRARY_PATH=" + rest);
    } else {
      fix.commands.push_back(
          fmt::format("sudo sed -i '\\|^{}$|d' /etc/ld.so.conf.d/*.conf && sudo ldconfig", folder));
    }
    c.add({.code = "nv.compat-lib",
           .device = gpu->address,
           .sentence =
               fmt::format("A forward-compatibility library was picked ({}), which the {} does not support.",
                           path, gpu->name),
           .fix = std::move(fix),
           .result = "tried again with the driver's own library path"});
  }
  if (!cuda.path.empty() && !cuda.on_loader_path && cuda.path.starts_with("/run/opengl-driver/")) {
    for (const Gpu* gpu : c.gpus(Vendor::nvidia)) {
      c.add({.code = "nixos.driver-path",
             .device = gpu->address,
             .severity = Severity::note,
             .sentence = fmt::format("libcuda.so.1 is not on the loader's path; hearth takes it from {}.",
                                     folder_of(cuda.path)),
             .fix = {"none for hearth. Other programs: `LD_LIBRARY_PATH=/run/opengl-driver/lib` in the unit, "
                     "or the "
                     "flake's module",
                     {}}});
    }
  }
}

}  // namespace hearth
