// NVIDIA: which driver owns the card, and whether this driver knows it.
#include <fmt/format.h>

#include <algorithm>

#include "hardware/device_tables.h"
#include "hardware/rules/list.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

using Flavour = Remedies::Flavour;

// Current branches have it; a card that they dropped needs its last one.
constexpr uint32_t current_branch = 580;

uint32_t branch_for(const Gpu& gpu) {
  const uint32_t last = last_nvidia_branch(gpu.compute);
  return last == 0 ? current_branch : last;
}

std::string last_for(const Gpu& gpu) {
  const uint32_t last = last_nvidia_branch(gpu.compute);
  if (last == 0) return fmt::format("branch {}", current_branch);
  return fmt::format("branch {} (the last one for {})", last, nvidia_family(gpu.compute));
}

Flavour flavour_for(const Gpu& gpu) {
  if (gpu.compute >= 100) return Flavour::open;  // Blackwell has no other
  return gpu.compute != 0 && gpu.compute < 75 ? Flavour::closed : Flavour::any;
}

// Not closed in name where the distribution has only one kind of package.
Fix install_driver(const Case& c, const Gpu& gpu) {
  const Flavour flavour = flavour_for(gpu);
  return c.remedies.nvidia_driver(branch_for(gpu), flavour == Flavour::closed ? Flavour::any : flavour,
                                  false);
}

void nouveau(Case& c, const Gpu& gpu) {
  Fix fix = install_driver(c, gpu);
  std::vector<std::string> commands;
  for (const std::string& line : fix.commands) {
    if (line != "sudo reboot") commands.push_back(line);
  }
  fix.text = fmt::format(
                 "install the NVIDIA driver, {}, and blacklist nouveau (`echo 'blacklist nouveau' | sudo tee "
                 "/etc/modprobe.d/blacklist-nouveau.conf`, rebuild the initramfs, reboot)",
                 last_for(gpu)) +
             (c.remedies.is(Distribution::nixos) ? "; " + fix.text : "");
  if (!c.remedies.is(Distribution::nixos)) {
    commands.emplace_back("echo 'blacklist nouveau' | sudo tee /etc/modprobe.d/blacklist-nouveau.conf");
    commands.push_back(c.remedies.rebuild_initramfs());
  }
  commands.emplace_back("sudo reboot");
  fix.commands = std::move(commands);
  c.add(
      {.code = "nv.nouveau",
       .device = gpu.address,
       .sentence = fmt::format("The open nouveau driver owns the {}; CUDA is impossible with it.", gpu.name),
       .fix = std::move(fix),
       .result = "Vulkan by NVK if its probe passes, else the CPU"});
}

// "… supported through the NVIDIA 580.xx Legacy drivers": the branch, 0 = it does not say so.
uint32_t legacy_branch(const std::string& log) {
  constexpr std::string_view sign = "supported through the NVIDIA ";
  const size_t at = log.find(sign);
  if (at == std::string::npos) return 0;
  const std::string_view rest = std::string_view(log).substr(at + sign.size());
  return static_cast<uint32_t>(number_or(rest.substr(0, rest.find('.')), 0) & 0xffff);
}

bool dropped(Case& c, const Gpu& gpu, const std::string& log) {
  const uint32_t branch = legacy_branch(log);
  const uint32_t last = last_nvidia_branch(gpu.compute);
  if (branch == 0 || gpu.nvidia || (last != 0 && last != branch)) return false;
  if (last == 0 && log.find(gpu.name) == std::string::npos) return false;
  const std::string_view families = branch == 580   ? "Maxwell, Pascal and Volta"
                                    : branch == 470 ? "Kepler"
                                                    : "Fermi";
  c.add({.code = "nv.branch-dropped",
         .device = gpu.address,
         .sentence =
             fmt::format("The installed driver is too new for the {}: branches after {} no longer know {}.",
                         gpu.name, branch, families),
         .fix = c.remedies.nvidia_driver(branch, Flavour::any, true)});
  return true;
}

bool named_by(const std::string& log, const Gpu& gpu) {
  const std::string id = fmt::format("{:04x}:{:04x}", gpu.vendor_id, gpu.device_id);
  return log.find(gpu.address) != std::string::npos || log.find(id) != std::string::npos;
}

bool open_module(Case& c, const Gpu& gpu, const std::string& log) {
  const bool told = log.find("not supported by open nvidia.ko") != std::string::npos;
  const bool too_old = gpu.compute != 0 && gpu.compute < 75;
  if (gpu.nvidia || !c.machine.nvidia.open_flavour) return false;
  if (!(told && (named_by(log, gpu) || too_old)) && !too_old) return false;
  const uint32_t branch = c.machine.nvidia.branch();
  const uint32_t last = last_nvidia_branch(gpu.compute);
  Fix fix = c.remedies.nvidia_driver(last != 0 ? std::min(branch, last) : branch, Flavour::closed, false);
  fix.text = "the proprietary module instead of the open one: " + fix.text;
  c.add({.code = "nv.open-module",
         .device = gpu.address,
         .sentence = fmt::format("The open kernel modules of the driver need Turing or newer; the {} is {}.",
                                 gpu.name, nvidia_family(gpu.compute)),
         .fix = std::move(fix)});
  return true;
}

bool closed_module(Case& c, const Gpu& gpu, const std::string& log) {
  const bool told = log.find("requires use of the NVIDIA open kernel modules") != std::string::npos;
  if (!told || c.machine.nvidia.open_flavour || (gpu.compute != 0 && gpu.compute < 75)) return false;
  if (gpu.compute < 100 && !named_by(log, gpu)) return false;
  const uint32_t branch = c.machine.nvidia.branch();
  Fix fix = c.remedies.nvidia_driver(branch == 0 ? current_branch : branch, Flavour::open, false);
  fix.text = "the `-open` variant of the driver: " + fix.text;
  c.add({.code = "nv.closed-module-blackwell",
         .device = gpu.address,
         .sentence = fmt::format(
             "The {} works only with the open kernel modules; the closed ones are loaded.", gpu.name),
         .fix = std::move(fix)});
  return true;
}

void missing(Case& c, const Gpu& gpu) {
  if (!gpu.driver.empty() || gpu.nvidia || c.machine.surroundings.contained()) return;
  const bool loaded = !c.machine.nvidia.version.empty();
  if (loaded) return;
  Fix fix = install_driver(c, gpu);
  fix.text = fmt::format("install the NVIDIA driver, {}", last_for(gpu)) +
             (c.remedies.is(Distribution::nixos) ? "; " + fix.text : "");
  c.add({.code = "nv.driver-missing",
         .device = gpu.address,
         .sentence = fmt::format("No driver of the kernel has taken the {}.", gpu.name),
         .fix = std::move(fix)});
}

// The user-space libraries are of another version than the module.
bool mismatched(Case& c, const Gpu& gpu) {
  const NvidiaDriver& driver = c.machine.nvidia;
  if (driver.version.empty() || c.passed(gpu, "cuda")) return false;
  const bool told = c.replied(gpu, "cuInit", 803) || c.replied(gpu, "nvmlInit", 18);
  const std::string& target = c.machine.libraries.nvml.target;
  const size_t at = target.find(".so.");
  const std::string installed = at == std::string::npos ? "" : target.substr(at + 4);
  const bool differs = installed.find('.') != std::string::npos && !driver.version.starts_with(installed);
  if (!told && !(differs && !c.probed("cuda"))) return false;
  const std::string to = installed.empty() ? "" : " to " + installed;
  Fix fix{
      "reboot (or stop all GPU users, `sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo "
      "modprobe "
      "nvidia nvidia_uvm`)",
      {"sudo reboot"}};
  if (c.machine.surroundings.contained())
    fix = {"reboot the host, then start the container again", {"sudo reboot"}, true};
  c.add({.code = "nv.mismatch",
         .device = gpu.address,
         .sentence =
             fmt::format("The driver package was updated{}; the old kernel module ({}) is still loaded.", to,
                         driver.version),
         .fix = std::move(fix)});
  return true;
}

// Code of the build that the driver cannot read.
void too_old(Case& c, const Gpu& gpu) {
  const std::vector<const ProbeVerdict*> all = c.about(gpu, "cuda");
  for (const ProbeVerdict* v : all) {
    for (const DriverReply& r : v->replies) {
      if (r.code != 200 && r.code != 209 && r.code != 222) continue;
      const uint32_t branch = c.machine.nvidia.branch();
      if (r.code == 209 && (branch == 0 || branch >= 570)) continue;
      Fix fix = c.remedies.nvidia_driver(branch_for(gpu), Flavour::any, false);
      fix.text =
          fmt::format(
              "install driver ≥ 570, e.g. {}; with hearth's own module (floor 525) this must not occur: "
              "report it",
              last_nvidia_branch(gpu.compute) != 0 ? "580 (last branch for this card)" : "580") +
          (c.remedies.is(Distribution::nixos) ? "; " + fix.text : "");
      c.add({.code = "nv.driver-too-old",
             .device = gpu.address,
             .sentence = fmt::format("The driver ({}) cannot read this build's kernels: {}.",
                                     branch == 0 ? "unknown" : std::to_string(branch),
                                     r.text.empty() ? fmt::format("code {}", r.code) : r.text),
             .fix = std::move(fix)});
      return;
    }
  }
}

}  // namespace

void nvidia_driver(Case& c) {
  const std::string log = c.joined_log("NVRM:");
  for (const Gpu* gpu : c.gpus(Vendor::nvidia)) {
    if (gpu->driver == "vfio-pci") continue;
    if (gpu->driver == "nouveau")
      nouveau(c, *gpu);
    else if (!dropped(c, *gpu, log) && !open_module(c, *gpu, log) && !closed_module(c, *gpu, log) &&
             !mismatched(c, *gpu))
      missing(c, *gpu);
    too_old(c, *gpu);
  }
}

// The last driver for these cards speaks CUDA 11.
void kepler(Case& c) {
  for (const Gpu* gpu : c.gpus(Vendor::nvidia)) {
    if (gpu->compute < 30 || gpu->compute >= 50 || gpu->driver != "nvidia") continue;
    c.add({.code = "nv.kepler",
           .device = gpu->address,
           .severity = Severity::warning,
           .sentence =
               fmt::format("CUDA 12 cannot address Kepler (compute capability {}.{}), and driver 470 is the "
                           "last one for it.",
                           gpu->compute / 10, gpu->compute % 10),
           .fix = {"none in the driver", {}},
           .result =
               "a CUDA 11 build of the module if one is installed, else Vulkan 1.2 if its probe passes, else "
               "the CPU"});
  }
}

}  // namespace hearth
