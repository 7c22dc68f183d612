#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "hardware/finding.h"
#include "hardware/inventory.h"
#include "hardware/policy.h"
#include "hardware/wanted.h"
#include "protocol/verdict.h"

// What `hearth doctor` says: a line per device, and the findings.
namespace hearth {

enum class DeviceUse : uint8_t {
  used,     // models run on it
  usable,   // works, or was not tried yet, and is not used
  refused,  // no backend can use it
  display   // no device for computing: a virtual machine's screen, a server's management chip
};
std::string_view to_string(DeviceUse use) noexcept;

struct DeviceLine {
  std::string name = {};     // "vulkan0", "cpu"; empty where no backend opens it
  std::string address = {};  // PCI address, else the driver's key; empty for the CPU
  std::string product = {};
  std::string facts = {};  // "gfx1100, amdgpu, 24.00 GiB"
  DeviceUse use = DeviceUse::usable;
  std::string cause = {};  // code of what keeps it from being used; empty = nothing does
  std::string why = {};    // one sentence without a full stop
  int64_t probed = 0;      // seconds since 1970; 0 = not
  std::string busy = {};   // where its rates are those of a busy machine: what others took meanwhile
};

struct Report {
  std::string system = {};               // "Debian GNU/Linux 12 (bookworm), Linux 6.8.0, docker"
  std::string memory = {};               // "31.10 GiB, 24.04 GiB available"
  std::vector<DeviceLine> devices = {};  // GPUs by address, then the CPU
  std::vector<Finding> findings = {};    // of each device, what blocks first on top; then the machine's
  DeviceChoice choice = {};

  // 0: nothing is lost. 1: something costs speed or memory, or will surprise. 2: a device or backend that is
  // there does not work, or nothing would.
  int exit_code() const noexcept;
  // There is a GPU for computing, and none is used or, unprobed, named in HEARTH_DEVICES.
  bool gpu_idle() const noexcept;
  size_t count(Severity severity) const noexcept;
};

Report examine(const Inventory& machine, const std::vector<ProbeVerdict>& verdicts,
               const Wanted& wanted = {});

Json to_json(const Report& report);

struct ReportStyle {
  bool colour = false;   // escape sequences and signs, as on a terminal
  uint32_t columns = 0;  // where lines are broken; 0 = nowhere
  int64_t now = 0;       // seconds since 1970, for the age of verdicts
};
std::string to_text(const Report& report, const ReportStyle& style);
// The lines about GPUs that are there and unused, as `serve` logs them; empty when there are none.
std::vector<std::string> idle_gpu_lines(const Report& report);

// All commands of the fixes, each once, as a shell script that says what each is for; those of the host, and
// reboots, as comments.
std::string fix_script(const Report& report);

}  // namespace hearth
