#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hardware/finding.h"
#include "hardware/inventory.h"

// The same remedy has another spelling on every distribution and in every container: these are they.
namespace hearth {

class Remedies {
 public:
  explicit Remedies(const Inventory& machine) : machine_(machine) {}

  // The service that hearth is, or would be, "hearth".
  std::string service() const;
  std::vector<std::string> restart() const { return {"sudo systemctl restart " + service()}; }

  // "sudo update-initramfs -u" and the like.
  std::string rebuild_initramfs() const;
  // A word less, or more, on the kernel's command line, up to the reboot.
  Fix without_kernel_argument(const std::string& word) const;
  Fix with_kernel_argument(const std::string& words) const;
  // A file of options for a kernel module, up to the reboot.
  Fix module_option(const std::string& module, const std::string& option) const;

  struct Packages {
    std::string_view debian, ubuntu, fedora, arch, suse, nixos;  // nixos: a line of configuration.nix
  };
  // One command; a sentence with all names where the distribution is not known. Not for containers.
  Fix install(const Packages& packages) const;

  // Lines for the [Service] section of the unit.
  Fix unit_lines(const std::vector<std::string>& lines) const;
  // Not to set an environment variable any more, wherever it is set.
  Fix drop_variable(const std::string& name) const;
  // To give it another value.
  Fix set_variable(const std::string& name, const std::string& value) const;
  // Joining groups of the host.
  Fix join_groups() const;
  // Starting the container with other options.
  Fix container_with(const std::string& docker, const std::string& podman) const;
  // A driver of NVIDIA: its branch, and the flavour of its kernel modules; held, so that no upgrade replaces
  // it.
  enum class Flavour : uint8_t { any, open, closed };
  Fix nvidia_driver(uint32_t branch, Flavour flavour, bool hold) const;

  bool is(Distribution d) const noexcept { return machine_.surroundings.distribution == d; }

 private:
  Fix nixos_nvidia(uint32_t branch, Flavour flavour) const;
  Fix other_nvidia(uint32_t branch, Flavour flavour, bool hold) const;

  const Inventory& machine_;
};

// One fix after the other.
Fix operator+(Fix first, const Fix& second);

}  // namespace hearth
