#include "hardware/remedies.h"

#include <fmt/format.h>

namespace hearth {
namespace {

constexpr const char* reboot = "sudo reboot";

const char* rebuild_boot_loader(Distribution d) {
  return d == Distribution::arch   ? "sudo grub-mkconfig -o /boot/grub/grub.cfg"
         : d == Distribution::suse ? "sudo grub2-mkconfig -o /boot/grub2/grub.cfg"
                                   : "sudo update-grub";
}

void add_debian(Fix& fix, uint32_t branch, Remedies::Flavour flavour, bool hold) {
  if (branch == 470) {
    fix.commands.emplace_back("sudo apt install nvidia-tesla-470-driver");
    return;
  }
  // NVIDIA's own repository for Debian has a package that keeps to a branch.
  fix.commands.push_back(fmt::format("sudo apt install nvidia-driver-pinning-{}", branch));
  const bool open = flavour == Remedies::Flavour::open;
  fix.commands.emplace_back(open ? "sudo apt install nvidia-open" : "sudo apt install nvidia-driver");
  if (hold) fix.commands.emplace_back("sudo apt-mark hold nvidia-driver");
}

}  // namespace

Fix operator+(Fix first, const Fix& second) {
  if (!second.text.empty()) first.text += (first.text.empty() ? "" : "; ") + second.text;
  first.commands.insert(first.commands.end(), second.commands.begin(), second.commands.end());
  first.on_host = first.on_host || second.on_host;
  return first;
}

std::string Remedies::service() const {
  const std::string& unit = machine_.surroundings.unit;
  if (unit.empty() || machine_.surroundings.contained()) return "hearth";
  return unit.substr(0, unit.size() - std::string_view(".service").size());
}

std::string Remedies::rebuild_initramfs() const {
  switch (machine_.surroundings.distribution) {
    case Distribution::fedora:
    case Distribution::suse: return "sudo dracut --force";
    case Distribution::arch: return "sudo mkinitcpio -P";
    case Distribution::alpine: return "sudo mkinitfs";
    case Distribution::nixos: return "sudo nixos-rebuild boot";
    default: return "sudo update-initramfs -u";
  }
}

Fix Remedies::without_kernel_argument(const std::string& word) const {
  const std::string text =
      fmt::format("remove `{}` from the kernel command line, update the boot loader, reboot", word);
  switch (machine_.surroundings.distribution) {
    case Distribution::nixos:
      return {text + " (in configuration.nix: `boot.kernelParams`)", {"sudo nixos-rebuild boot", reboot}};
    case Distribution::fedora:
      return {text, {fmt::format("sudo grubby --update-kernel=ALL --remove-args={}", word), reboot}};
    default:
      return {text,
              {fmt::format("sudo sed -i 's/ *\\b{}\\b//' /etc/default/grub", word),
               rebuild_boot_loader(machine_.surroundings.distribution), reboot}};
  }
}

Fix Remedies::with_kernel_argument(const std::string& words) const {
  const std::string text =
      fmt::format("add `{}` to the kernel command line, update the boot loader, reboot", words);
  switch (machine_.surroundings.distribution) {
    case Distribution::nixos:
      return {fmt::format("in configuration.nix: `boot.kernelParams = [ \"{}\" ];`", words),
              {"sudo nixos-rebuild boot", reboot}};
    case Distribution::fedora:
      return {text, {fmt::format("sudo grubby --update-kernel=ALL --args='{}'", words), reboot}};
    default:
      return {text,
              {fmt::format("sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{} /' /etc/default/grub", words),
               rebuild_boot_loader(machine_.surroundings.distribution), reboot}};
  }
}

Fix Remedies::module_option(const std::string& module, const std::string& option) const {
  const std::string line = fmt::format("options {} {}", module, option);
  if (is(Distribution::nixos)) {
    return {fmt::format("in configuration.nix: `boot.extraModprobeConfig = \"{}\";`", line),
            {"sudo nixos-rebuild boot", reboot}};
  }
  return {fmt::format("`{}` in /etc/modprobe.d/{}.conf, rebuild the initramfs, reboot", line, module),
          {fmt::format("echo '{}' | sudo tee /etc/modprobe.d/{}.conf", line, module), rebuild_initramfs(),
           reboot}};
}

Fix Remedies::install(const Packages& p) const {
  switch (machine_.surroundings.distribution) {
    case Distribution::debian: return {"", {fmt::format("sudo apt install {}", p.debian)}};
    case Distribution::ubuntu: return {"", {fmt::format("sudo apt install {}", p.ubuntu)}};
    case Distribution::fedora: return {"", {fmt::format("sudo dnf install {}", p.fedora)}};
    case Distribution::arch: return {"", {fmt::format("sudo pacman -S {}", p.arch)}};
    case Distribution::suse: return {"", {fmt::format("sudo zypper install {}", p.suse)}};
    case Distribution::nixos:
      return {fmt::format("in configuration.nix: `{}`", p.nixos), {"sudo nixos-rebuild switch"}};
    default:
      return {
          fmt::format("Debian/Ubuntu `sudo apt install {}`, Fedora `sudo dnf install {}`, Arch `sudo pacman "
                      "-S {}`, NixOS `{}`",
                      p.debian, p.fedora, p.arch, p.nixos),
          {}};
  }
}

Fix Remedies::unit_lines(const std::vector<std::string>& lines) const {
  if (is(Distribution::nixos)) {
    std::string text = fmt::format("in configuration.nix, `systemd.services.{}.serviceConfig`:", service());
    for (const std::string& line : lines) text += fmt::format(" `{}`", line);
    return {text, {"sudo nixos-rebuild switch"}};
  }
  // The command line of `systemctl edit` opens an editor; this writes what it would.
  const std::string folder = fmt::format("/etc/systemd/system/{}.service.d", service());
  Fix fix{fmt::format("`sudo systemctl edit {}` and enter `[Service]` `{}`; or, without an editor:",
                      service(), fmt::join(lines, "` `")),
          {fmt::format("sudo mkdir -p {}", folder),
           fmt::format("printf '%s\\n' '[Service]' '{}' | sudo tee {}/devices.conf", fmt::join(lines, "' '"),
                       folder),
           "sudo systemctl daemon-reload"}};
  for (const std::string& line : restart()) fix.commands.push_back(line);
  return fix;
}

Fix Remedies::drop_variable(const std::string& name) const {
  const Whereabouts& s = machine_.surroundings;
  if (s.contained()) return {fmt::format("start the container without `-e {}`", name), {}, true};
  if (!s.unit.empty()) {
    return {
        fmt::format("`sudo systemctl edit {0}` and delete the line that sets {1}; or, to the same effect:",
                    service(), name),
        unit_lines({"UnsetEnvironment=" + name}).commands};
  }
  return {fmt::format(
              "where the service has it, `sudo systemctl edit {}` and delete the line that sets {}; here:",
              service(), name),
          {"unset " + name}};
}

Fix Remedies::set_variable(const std::string& name, const std::string& value) const {
  const std::string pair = name + "=" + value;
  if (machine_.surroundings.contained()) return container_with("-e " + pair, "-e " + pair);
  if (!machine_.surroundings.unit.empty()) return unit_lines({"Environment=" + pair});
  return {"", {"export " + pair}};
}

Fix Remedies::join_groups() const {
  const std::string& user = machine_.account.name;
  if (is(Distribution::nixos)) {
    return {
        fmt::format("in configuration.nix: `users.users.{}.extraGroups = [ \"render\" \"video\" ];`", user),
        {"sudo nixos-rebuild switch", "sudo systemctl restart " + service()}};
  }
  // Accounts of DynamicUser= have no entry that usermod could change.
  const bool dynamic = machine_.account.uid >= 61184 && machine_.account.uid <= 65519;
  if (dynamic) return unit_lines({"SupplementaryGroups=render video"});
  Fix fix{"", {fmt::format("sudo usermod -aG render,video {}", user), "sudo systemctl restart " + service()}};
  if (machine_.surroundings.unit.empty()) fix.text = "a login shell needs a new login besides";
  return fix;
}

Fix Remedies::container_with(const std::string& docker, const std::string& podman) const {
  switch (machine_.surroundings.container) {
    case Container::podman:
      return {"start the container so:", {fmt::format("podman run {} …", podman)}, true};
    case Container::docker:
      return {"start the container so:", {fmt::format("docker run {} …", docker)}, true};
    default:
      return {fmt::format("docker: `docker run {} …`; podman: `podman run {} …`", docker, podman), {}, true};
  }
}

Fix Remedies::nixos_nvidia(uint32_t branch, Flavour flavour) const {
  std::string text = "in configuration.nix:";
  if (branch == 580 || branch == 470 || branch == 390) {
    text += fmt::format(
        " `hardware.nvidia.package = config.boot.kernelPackages.nvidiaPackages.legacy_{}; "
        "hardware.nvidia.open = "
        "false;`",
        branch);
  } else {
    text += fmt::format(" `hardware.nvidia.open = {};`", flavour == Flavour::open ? "true" : "false");
  }
  return {text, {"sudo nixos-rebuild boot", reboot}};
}

Fix Remedies::other_nvidia(uint32_t branch, Flavour flavour, bool hold) const {
  const char* kind = flavour == Flavour::open     ? "the open"
                     : flavour == Flavour::closed ? "the proprietary"
                                                  : "the";
  return {fmt::format("install {} NVIDIA driver of branch {}{}, reboot", kind, branch,
                      hold ? " and hold the package" : ""),
          {}};
}

Fix Remedies::nvidia_driver(uint32_t branch, Flavour flavour, bool hold) const {
  if (is(Distribution::nixos)) return nixos_nvidia(branch, flavour);
  Fix fix = other_nvidia(branch, flavour, hold);
  if (is(Distribution::ubuntu)) {
    const char* kind = flavour == Flavour::open ? "-open" : flavour == Flavour::closed ? "-server" : "";
    const std::string package = fmt::format("nvidia-driver-{}{}", branch, kind);
    fix.commands.push_back("sudo apt install " + package);
    if (hold) fix.commands.push_back("sudo apt-mark hold " + package);
  } else if (is(Distribution::debian)) {
    add_debian(fix, branch, flavour, hold);
  } else if (is(Distribution::fedora)) {
    const bool legacy = branch <= 580;
    fix.commands.push_back(legacy ? fmt::format("sudo dnf install akmod-nvidia-{}xx", branch)
                                  : "sudo dnf install akmod-nvidia");
  } else if (is(Distribution::arch)) {
    fix.commands.push_back(flavour == Flavour::open ? "sudo pacman -S nvidia-open-dkms"
                                                    : fmt::format("yay -S nvidia-{}xx-dkms", branch));
  }
  if (!fix.commands.empty()) fix.commands.push_back(reboot);
  return fix;
}

}  // namespace hearth
