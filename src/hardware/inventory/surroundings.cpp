#include <algorithm>
#include <array>
#include <cctype>

#include "hardware/inventory/parts.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

struct Words {
  std::string_view word;
  Container container;
};

Container container_named(std::string_view text) {
  static constexpr std::array signs{Words{"kubepods", Container::kubernetes},
                                    Words{"docker", Container::docker},
                                    Words{"libpod", Container::podman},
                                    Words{"podman", Container::podman},
                                    Words{"lxc", Container::lxc},
                                    Words{"systemd-nspawn", Container::other},
                                    Words{"containerd", Container::other},
                                    Words{"oci", Container::other}};
  for (const Words& sign : signs) {
    if (text.find(sign.word) != std::string_view::npos) return sign.container;
  }
  return Container::none;
}

Container find_container(const SystemView& system, const Environment& environment) {
  if (environment.contains("KUBERNETES_SERVICE_HOST") ||
      system.node("/var/run/secrets/kubernetes.io/serviceaccount"))
    return Container::kubernetes;
  if (system.node("/run/.containerenv")) return Container::podman;
  if (system.node("/.dockerenv")) return Container::docker;
  const auto variable = environment.find("container");
  if (variable != environment.end()) {
    const Container named = container_named(variable->second);
    return named == Container::none ? Container::other : named;
  }
  const FileText manager = system.file("/run/systemd/container", 256);
  if (manager && container_named(manager.text) != Container::none) return container_named(manager.text);
  return container_named(system.file("/proc/self/cgroup").text);
}

// Docker mounts files of /var/lib/docker/containers/<id>/ into a container.
std::string find_container_id(const SystemView& system) {
  const FileText mounts = system.file("/proc/self/mountinfo");
  constexpr std::string_view sign = "/containers/";
  const size_t at = mounts.text.find(sign);
  if (at == std::string::npos) return {};
  const std::string_view rest = std::string_view(mounts.text).substr(at + sign.size());
  size_t length = 0;
  while (length < rest.size() && std::isxdigit(static_cast<unsigned char>(rest[length])) != 0) ++length;
  return length < 12 ? std::string() : std::string(rest.substr(0, 12));
}

// The unit is the last part of the control group's path; a shell in a session has a scope there.
std::string find_unit(const SystemView& system) {
  const FileText groups = system.file("/proc/self/cgroup");
  for (const std::string_view line : lines_in(groups.text)) {
    const std::string_view leaf = line.substr(line.rfind('/') + 1);
    if (leaf.ends_with(".service") && !leaf.starts_with("user@")) return std::string(leaf);
  }
  return {};
}

// PrivateDevices=yes leaves these in /dev, and nothing of hardware.
bool only_pseudo_devices(const SystemView& system) {
  static constexpr std::array<std::string_view, 20> pseudo{
      "null", "zero",  "full",   "random", "urandom", "tty",  "ptmx",      "pts",     "shm",     "mqueue",
      "fd",   "stdin", "stdout", "stderr", "log",     "core", "hugepages", "console", "initctl", "char"};
  const std::vector<std::string> names = system.list("/dev");
  const auto is_pseudo = [&](const std::string& name) {
    return std::find(pseudo.begin(), pseudo.end(), name) != pseudo.end();
  };
  return !names.empty() && std::all_of(names.begin(), names.end(), is_pseudo);
}

std::string unquoted(const std::optional<std::string>& value) {
  if (!value) return {};
  std::string_view text = *value;
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    text = text.substr(1, text.size() - 2);
  return std::string(text);
}

Distribution distribution_of(std::string_view os_release) {
  struct Id {
    std::string_view id;
    Distribution distribution;
  };
  static constexpr std::array ids{Id{"nixos", Distribution::nixos},   Id{"ubuntu", Distribution::ubuntu},
                                  Id{"debian", Distribution::debian}, Id{"fedora", Distribution::fedora},
                                  Id{"rhel", Distribution::fedora},   Id{"centos", Distribution::fedora},
                                  Id{"arch", Distribution::arch},     Id{"suse", Distribution::suse},
                                  Id{"opensuse", Distribution::suse}, Id{"alpine", Distribution::alpine}};
  const std::string own = unquoted(value_of(os_release, "ID"));
  const std::string like = unquoted(value_of(os_release, "ID_LIKE"));
  for (const std::string* text : {&own, &like}) {
    for (const Id& id : ids) {
      if (text->find(id.id) != std::string::npos) return id.distribution;
    }
  }
  return Distribution::unknown;
}

void read_kernel_version(const std::string& release, Whereabouts& s) {
  const std::vector<std::string> parts = words_in(release, ".-+ ");
  if (parts.size() < 2) return;
  const uint64_t major = number_or(parts[0], 0), minor = number_or(parts[1], 0);
  if (major == 0 || major > 1000 || minor > 1000) return;
  s.kernel_major = static_cast<uint32_t>(major);
  s.kernel_minor = static_cast<uint32_t>(minor);
}

std::optional<uint32_t> group_of(const SystemView& system, std::string_view name) {
  const FileText groups = system.file("/etc/group");
  for (const std::string_view line : lines_in(groups.text)) {
    const std::vector<std::string> parts = words_in(line, ":");
    if (parts.size() < 3 || parts[0] != name) continue;
    const auto gid = parse_number(parts[2]);
    if (gid && *gid <= UINT32_MAX) return static_cast<uint32_t>(*gid);
  }
  return std::nullopt;
}

}  // namespace

bool Whereabouts::kernel_since(uint32_t major, uint32_t minor) const noexcept {
  return kernel_major != 0 && (kernel_major > major || (kernel_major == major && kernel_minor >= minor));
}

Whereabouts read_surroundings(const SystemView& system, const Environment& environment) {
  Whereabouts s;
  s.container = find_container(system, environment);
  if (s.contained()) s.container_id = find_container_id(system);
  const std::string release = system.name().release;
  s.wsl = release.find("icrosoft") != std::string::npos || environment.contains("WSL_DISTRO_NAME");
  s.jetson = system.node("/etc/nv_tegra_release").has_value();
  s.selinux_enforcing = trimmed(system.file("/sys/fs/selinux/enforce", 256).text) == "1";
  if (!s.contained()) s.unit = find_unit(system);
  s.devices_hidden = !s.unit.empty() && only_pseudo_devices(system);
  const FileText os = system.file("/etc/os-release", 8192);
  s.distribution = distribution_of(os.text);
  s.distribution_name = unquoted(value_of(os.text, "PRETTY_NAME"));
  s.kernel_arguments = words_in(system.file("/proc/cmdline", 8192).text);
  read_kernel_version(release, s);
  s.render_group = group_of(system, "render");
  return s;
}

}  // namespace hearth
