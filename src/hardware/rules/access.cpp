// What keeps this process from a device that the kernel has ready: missing nodes, rights, sandboxes.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "hardware/rules/list.h"

namespace hearth {
namespace {

// Whether owner and mode alone would let the account open it.
bool rights_allow(const DeviceNode& node, const Account& account) {
  if (account.uid == 0 && node.uid != 65534) return true;
  if (node.uid == account.uid) return (node.mode & 0600U) == 0600U;
  const bool member =
      std::find(account.groups.begin(), account.groups.end(), node.gid) != account.groups.end();
  if (member) return (node.mode & 060U) == 060U;
  return (node.mode & 06U) == 06U;
}

bool ready(const Gpu& gpu) { return !gpu.driver.empty() && gpu.driver != "vfio-pci"; }

bool any_ready(const Case& c) {
  return std::any_of(c.machine.gpus.begin(), c.machine.gpus.end(),
                     [](const Gpu& g) { return ready(g) && g.vendor != Vendor::other; });
}

std::string account_of(const Case& c) {
  return c.machine.account.name.empty() ? fmt::format("with uid {}", c.machine.account.uid)
                                        : c.machine.account.name;
}

const std::vector<std::string>& sandbox_lines() {
  static const std::vector<std::string> lines{"PrivateDevices=no",
                                              "DeviceAllow=char-nvidiactl rw",
                                              "DeviceAllow=char-nvidia-frontend rw",
                                              "DeviceAllow=char-nvidia-uvm rw",
                                              "DeviceAllow=char-drm rw",
                                              "DeviceAllow=char-kfd rw"};
  return lines;
}

void no_kfd(Case& c, const Gpu& gpu) {
  const Whereabouts& s = c.machine.surroundings;
  Fix fix;
  if (s.container == Container::kubernetes) {
    fix = {"give the pod the resource of AMD's device plugin: `resources: { limits: { amd.com/gpu: 1 } }`",
           {},
           true};
  } else if (s.container == Container::lxc) {
    fix = {
        "in the container's configuration on the host (Proxmox: /etc/pve/lxc/ID.conf): `dev0: "
        "/dev/kfd,gid=GID` "
        "and `dev1: /dev/dri/" +
            (gpu.render.empty() ? "renderD128" : gpu.render) +
            ",gid=GID`, where GID is the render group inside",
        {},
        true};
  } else {
    fix = c.remedies.container_with("--device /dev/kfd --device /dev/dri --group-add $(stat -c %g /dev/kfd)",
                                    "--device /dev/kfd --device /dev/dri --group-add keep-groups");
    if (s.container == Container::docker)
      fix.text +=
          " (the number is the group of /dev/kfd on the host, see: `stat -c %g /dev/kfd`; podman: `--device "
          "/dev/kfd --device /dev/dri --group-add keep-groups`)";
  }
  c.add({.code = "container.no-kfd",
         .device = gpu.address,
         .sentence = fmt::format("The container was started without the nodes of the {}: there is no {}.",
                                 gpu.name, c.machine.kfd.exists ? gpu.render_node.path : "/dev/kfd"),
         .fix = std::move(fix)});
}

void denied_in_container(Case& c, const Gpu& gpu, const DeviceNode& node) {
  const Whereabouts& s = c.machine.surroundings;
  if (rights_allow(node, c.machine.account)) {
    const bool told = !c.log_line({"avc:", "denied", node.path.substr(node.path.rfind('/') + 1)}).empty();
    if (!s.selinux_enforcing && !told) return no_kfd(c, gpu);  // the device cgroup
    c.add({.code = "selinux.denied",
           .device = gpu.address,
           .sentence =
               fmt::format("SELinux forbids containers to use devices: {} exists, its mode allows it, and "
                           "opening it is refused.",
                           node.path),
           .fix = {"on the host:", {"sudo setsebool -P container_use_devices=1"}, true}});
    return;
  }
  const bool unmapped = node.gid == 65534;
  const std::string flag = unmapped ? "--group-add keep-groups" : fmt::format("--group-add {}", node.gid);
  const std::string image = s.render_group ? fmt::format("the image's render group is {}", *s.render_group)
                                           : std::string("the image has no render group");
  c.add({.code = "container.gid-mismatch",
         .device = gpu.address,
         .sentence = fmt::format("{} belongs to group {} of the host, and this process is not in it: {}.",
                                 node.path, node.gid, image),
         .fix = c.remedies.container_with(flag, flag)});
}

void denied(Case& c, const Gpu& gpu, const DeviceNode& node) {
  if (c.machine.surroundings.contained()) return denied_in_container(c, gpu, node);
  const bool amd = gpu.vendor == Vendor::amd && gpu.kfd;
  const bool only_render = node.path != "/dev/kfd";
  c.add(
      {.code = amd ? "amd.kfd.no-permission" : "dri.no-permission",
       .device = gpu.address,
       .sentence = fmt::format("The GPU is fine; the account {} may not open {}{}.", account_of(c), node.path,
                               !only_render && gpu.render_node.exists && !gpu.render_node.opens()
                                   ? " and " + gpu.render_node.path
                                   : ""),
       .fix = c.remedies.join_groups(),
       .result = "the CPU until then"});
}

void look_at(Case& c, const Gpu& gpu, const DeviceNode& node) {
  if (c.only_for_a_screen(gpu)) return;
  if (node.opens() || c.found("systemd.private-devices", "")) return;
  const Whereabouts& s = c.machine.surroundings;
  const bool missing = !node.exists;
  if (s.contained() && (missing || node.open_error == EPERM)) return no_kfd(c, gpu);
  if (missing) {
    c.add({.code = node.path == "/dev/kfd" ? "amd.kfd.no-node" : "dri.no-node",
           .device = gpu.address,
           .sentence = fmt::format("The kernel drives the {}, but {} does not exist.", gpu.name, node.path),
           .fix = {"let udev make it", {"sudo udevadm trigger --action=add && sudo udevadm settle"}}});
  } else if (node.open_error == EACCES || node.open_error == EPERM) {
    denied(c, gpu, node);
  } else {
    c.add({.code = "device.does-not-open",
           .device = gpu.address,
           .sentence = fmt::format("Opening {} fails with error {}: the driver does not answer.", node.path,
                                   node.open_error),
           .fix = {"start the machine anew", {"sudo reboot"}}});
  }
}

Fix with_nvidia_runtime(const Case& c) {
  const std::string text =
      "install nvidia-container-toolkit on the host, then start the container with `--gpus all` or `--device "
      "nvidia.com/gpu=all` (CDI)";
  if (c.machine.surroundings.container == Container::kubernetes) {
    return {text + "; in Kubernetes by the device plugin: `resources: { limits: { nvidia.com/gpu: 1 } }`",
            {},
            true};
  }
  Fix fix = c.remedies.container_with("--gpus all", "--device nvidia.com/gpu=all");
  fix.text = text;
  return fix;
}

void nodes_taken_away(Case& c, const Gpu& gpu) {
  const Whereabouts& s = c.machine.surroundings;
  const char* tool = s.container == Container::podman ? "podman" : "docker";
  c.add({.code = "container.nvml-unknown",
         .device = gpu.address,
         .sentence = "A `systemctl daemon-reload` on the host took the devices from the container: the nodes "
                     "are there, "
                     "and opening them is forbidden.",
         .fix = {"restart the container now; lasting: use CDI (`--device nvidia.com/gpu=all`), or pass every "
                 "node with "
                 "`--device`, or `sudo nvidia-ctk system create-dev-char-symlinks --create-all` on the host",
                 {fmt::format("{} restart {}", tool, s.container_id.empty() ? "CONTAINER" : s.container_id)},
                 true}});
}

void nvidia_in_container(Case& c, const Gpu& gpu) {
  const NvidiaDriver& driver = c.machine.nvidia;
  const Libraries& libraries = c.machine.libraries;
  const std::string capabilities = c.machine.variable("NVIDIA_DRIVER_CAPABILITIES");
  if (!driver.control.exists) {
    c.add({.code = "container.no-nvidia",
           .device = gpu.address,
           .sentence =
               "The container was started without the NVIDIA runtime: the host's driver is loaded, and its "
               "nodes are not here.",
           .fix = with_nvidia_runtime(c)});
  } else if (driver.control.open_error == EPERM) {
    nodes_taken_away(c, gpu);
  } else if (!libraries.nvml.path.empty() && libraries.cuda.path.empty()) {
    const std::string flag = "-e NVIDIA_DRIVER_CAPABILITIES=compute,utility";
    Fix fix = c.remedies.container_with(flag, flag);
    fix.text = "add `graphics` for Vulkan; " + fix.text;
    c.add({.code = "container.capabilities",
           .device = gpu.address,
           .sentence = fmt::format("The container got only \"{}\" of the driver: libcuda is not among it.",
                                   capabilities.empty() ? "utility" : capabilities),
           .fix = std::move(fix)});
  } else if (!driver.uvm.exists) {
    c.add({.code = "container.no-uvm",
           .device = gpu.address,
           .sentence = "The container has no /dev/nvidia-uvm, without which CUDA does not start.",
           .fix = c.remedies.container_with("--gpus all", "--device /dev/nvidia-uvm")});
  }
}

void nvidia_on_host(Case& c, const Gpu& gpu) {
  const DeviceNode& control = c.machine.nvidia.control;
  if (!control.exists || control.open_error != EACCES) return;
  c.add({.code = "nv.no-permission",
         .device = gpu.address,
         .sentence = fmt::format("The account {} may not open /dev/nvidiactl.", account_of(c)),
         .fix = c.remedies.join_groups()});
}

}  // namespace

// A unit whose sandbox leaves nothing of the hardware in /dev, or a device policy without the nodes.
void systemd_sandbox(Case& c) {
  const Whereabouts& s = c.machine.surroundings;
  if (s.unit.empty() || s.contained() || !any_ready(c)) return;
  const auto forbidden = [](const DeviceNode& n) { return n.exists && n.open_error == EPERM; };
  const bool policy = forbidden(c.machine.kfd) || forbidden(c.machine.nvidia.control) ||
                      std::any_of(c.machine.gpus.begin(), c.machine.gpus.end(),
                                  [&](const Gpu& g) { return forbidden(g.render_node); });
  if (!s.devices_hidden && !policy) return;
  Fix fix = c.remedies.unit_lines(sandbox_lines());
  c.add({.code = "systemd.private-devices",
         .sentence =
             s.devices_hidden
                 ? fmt::format("The unit {} hides devices: /dev holds no hardware (PrivateDevices=yes).",
                               s.unit)
                 : fmt::format("The unit {} forbids the GPU's nodes (DevicePolicy= without them).", s.unit),
         .fix = std::move(fix)});
}

void amd_access(Case& c) {
  for (const Gpu* gpu : c.gpus(Vendor::amd)) {
    if (ready(*gpu) && gpu->kfd && gpu->kfd->gpu() && !c.passed(*gpu, "rocm"))
      look_at(c, *gpu, c.machine.kfd);
  }
}

// The render node is all that Vulkan needs.
void render_access(Case& c) {
  for (const Gpu& gpu : c.machine.gpus) {
    if (!ready(gpu) || gpu.vendor == Vendor::other || gpu.vendor == Vendor::nvidia) continue;
    if (gpu.render.empty() || c.passed(gpu, "vulkan")) continue;
    look_at(c, gpu, gpu.render_node);
  }
}

void nvidia_access(Case& c) {
  if (c.machine.nvidia.version.empty() || c.found("systemd.private-devices", "")) return;
  for (const Gpu* gpu : c.gpus(Vendor::nvidia)) {
    if (c.passed(*gpu, "cuda") || gpu->driver == "vfio-pci") continue;
    if (c.machine.surroundings.contained())
      nvidia_in_container(c, *gpu);
    else
      nvidia_on_host(c, *gpu);
  }
}

}  // namespace hearth
