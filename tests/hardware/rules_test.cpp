// What one recorded machine each does not show: every variable, every distribution, what must not be said.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "hardware/record.h"
#include "hardware/report.h"

namespace hearth {
namespace {

Report examined(const std::string& text) {
  const Record record = Record::parse("hearth-machine 1\n" + text);
  return examine(take_inventory(*recorded_system(record)), record.verdicts, record.wanted);
}

const Finding* find(const Report& report, const std::string& code) {
  const auto at = std::find_if(report.findings.begin(), report.findings.end(),
                               [&](const Finding& f) { return f.code == code; });
  return at == report.findings.end() ? nullptr : &*at;
}

std::string fix_of(const Report& report, const std::string& code) {
  const Finding* f = find(report, code);
  return f == nullptr ? "no such finding"
                      : fmt::format("{}\n{}", f->fix.text, fmt::join(f->fix.commands, "\n"));
}

TEST(Rules, EveryBooleanAndEveryWrongWordIsFound) {
  for (const char* name : {"FLASH_ATTENTION", "SCHED_SPREAD", "NOPRUNE", "VULKAN", "IGPU_ENABLE",
                           "GO_TEMPLATE", "NOHISTORY", "DEBUG", "DEBUG_LOG_REQUESTS"}) {
    for (const char* word : {"off", "no", "none", "disable", "disabled", "n", "OFF", "\" No \""}) {
      for (const char* prefix : {"OLLAMA_", "HEARTH_"}) {
        const Report report = examined(fmt::format("env {}{}={}\n", prefix, name, word));
        EXPECT_NE(fix_of(report, "config.bool").find(fmt::format("export {}{}=0", prefix, name)),
                  std::string::npos)
            << prefix << name << "=" << word;
        EXPECT_EQ(report.exit_code(), 1);
      }
    }
    for (const char* fine : {"0", "1", "false", "true", "yes", "on", ""}) {
      EXPECT_EQ(find(examined(fmt::format("env OLLAMA_{}={}\n", name, fine)), "config.bool"), nullptr)
          << name << "=" << fine;
    }
  }
}

TEST(Rules, ASwitchOfFlashAttentionIsNeverSilent) {
  for (const char* off : {"0", "false", "F", " 'no' "}) {
    const Report report = examined(fmt::format("env OLLAMA_FLASH_ATTENTION={}\n", off));
    const Finding* f = find(report, "config.flash-attention");
    // Words that Ollama takes for a yes have a finding already, which says so there.
    if (f == nullptr) f = find(report, "config.bool");
    ASSERT_NE(f, nullptr) << off;
    EXPECT_NE((f->sentence + f->result).find("two passes over the keys"), std::string::npos) << f->sentence;
  }
  for (const char* on : {"1", "true", "on", "", "whatever"}) {
    const Report report = examined(fmt::format("env OLLAMA_FLASH_ATTENTION={}\n", on));
    EXPECT_EQ(find(report, "config.flash-attention"), nullptr) << on;
  }
  // The other variable wins, and another one's finding does not hide it.
  const Report both =
      examined("env OLLAMA_FLASH_ATTENTION=1\nenv HEARTH_FLASH_ATTENTION=0\nenv OLLAMA_VULKAN=off\n");
  ASSERT_NE(find(both, "config.flash-attention"), nullptr);
  EXPECT_EQ(find(both, "config.flash-attention")->sentence.find("HEARTH_FLASH_ATTENTION=0"), 0U);
}

TEST(Rules, ADeviceThatWasMeasuredOnABusyMachineSaysSo) {
  const auto line = [](const char* load) {
    const Report report = examined(fmt::format(
        "verdict "
        "{{\"backend\":\"cpu\",\"outcome\":\"passed\",\"device\":\"cpu\",\"kind\":\"cpu\",\"taken\":5,"
        "\"rates\":{{\"memory_gbs\":20{}}}}}\n",
        load));
    const std::string text = to_text(report, {false, 0, 100});
    const Json json = to_json(report);
    EXPECT_EQ(text.find("measured while busy") != std::string::npos,
              json.at("devices").at(0).as_object().contains("measured_busy"));
    return text;
  };
  EXPECT_EQ(line("").find("busy"), std::string::npos);
  EXPECT_EQ(line(",\"others\":0.04").find("busy"), std::string::npos);
  EXPECT_NE(line(",\"others\":0.5,\"stolen\":0.1")
                .find("measured while busy: others took 50 % of the processors, the host 10 %"),
            std::string::npos);
}

TEST(Rules, ASettingIsMendedWhereItWasMade) {
  const std::string wrong = "env OLLAMA_VULKAN=off\n";
  EXPECT_NE(fix_of(examined(wrong + "node /.dockerenv - 0755 0 0\n"), "config.bool")
                .find("docker run -e OLLAMA_VULKAN=0"),
            std::string::npos);
  EXPECT_NE(
      fix_of(examined(wrong + "file /proc/self/cgroup = 0::/system.slice/ollama.service\n"), "config.bool")
          .find("ollama.service.d"),
      std::string::npos);
}

const std::string unbound =
    "file /proc/cmdline = quiet nomodeset\nfile /sys/bus/pci/devices/0000:03:00.0/class = 0x030000\n"
    "file /sys/bus/pci/devices/0000:03:00.0/vendor = 0x1002\nfile /sys/bus/pci/devices/0000:03:00.0/device = "
    "0x744c\n";

TEST(Rules, TheKernelCommandLineIsMendedAsTheDistributionDoesIt) {
  const auto with = [](const std::string& id) {
    return fix_of(examined(unbound + "file /etc/os-release\n| ID=" + id + "\n"), "amd.driver-unbound");
  };
  EXPECT_NE(with("debian").find("sudo update-grub"), std::string::npos);
  EXPECT_NE(with("fedora").find("sudo grubby --update-kernel=ALL --remove-args=nomodeset"),
            std::string::npos);
  EXPECT_NE(with("arch").find("sudo grub-mkconfig -o /boot/grub/grub.cfg"), std::string::npos);
  EXPECT_NE(with("nixos").find("boot.kernelParams"), std::string::npos);
}

// In Docker with a card of NVIDIA the host's other devices are seen in sysfs: the screen's part is no
// problem.
TEST(Rules, APartForTheScreenIsNoProblemBesideACard) {
  const Report report = examined(
      "node /.dockerenv - 0755 0 0\naccount root 0 0\n"
      "file /sys/bus/pci/devices/0000:0c:00.0/class = 0x030000\nfile "
      "/sys/bus/pci/devices/0000:0c:00.0/vendor = 0x1002\n"
      "file /sys/bus/pci/devices/0000:0c:00.0/device = 0x164e\n"
      "link /sys/bus/pci/devices/0000:0c:00.0/driver -> ../amdgpu\ndir "
      "/sys/bus/pci/devices/0000:0c:00.0/drm/renderD129\n"
      "file /sys/bus/pci/devices/0000:01:00.0/class = 0x030000\nfile "
      "/sys/bus/pci/devices/0000:01:00.0/vendor = 0x10de\n"
      "file /sys/bus/pci/devices/0000:01:00.0/device = 0x2504\nlink /sys/bus/pci/devices/0000:01:00.0/driver "
      "-> ../nvidia\n"
      "verdict "
      "{\"backend\":\"cuda\",\"device\":\"cuda0\",\"key\":\"0000:01:00.0\",\"kind\":\"discrete\",\"outcome\":"
      "\"passed\"}\n");
  EXPECT_EQ(report.exit_code(), 0);
  EXPECT_FALSE(report.gpu_idle());
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].code, "amd.display-igpu-ignored");
}

TEST(Rules, ACardOfAVirtualMachineIsNoProblem) {
  const Report report = examined(
      "file /sys/bus/pci/devices/0000:03:00.0/class = 0x030000\nfile "
      "/sys/bus/pci/devices/0000:03:00.0/vendor = 0x1002\n"
      "file /sys/bus/pci/devices/0000:03:00.0/device = 0x744c\nlink /sys/bus/pci/devices/0000:03:00.0/driver "
      "-> ../vfio-pci\n");
  EXPECT_EQ(report.exit_code(), 0);
  EXPECT_EQ(report.devices.at(0).cause, "pci.vfio");
}

TEST(Rules, TheScriptRunsWhatCanBeRunAndNothingElse) {
  const std::string script = fix_script(examined(unbound + "file /etc/os-release\n| ID=debian\n"));
  EXPECT_NE(script.find("\nsudo update-grub\n"), std::string::npos);
  EXPECT_EQ(script.find("\nsudo reboot"), std::string::npos);
  EXPECT_NE(script.find("\n# then: sudo reboot\n"), std::string::npos);
  EXPECT_NE(fix_script(examined("")).find("Nothing here can be done by a command"), std::string::npos);
}

TEST(Rules, AnUnreadableLogIsSaidWhereItMatters) {
  EXPECT_EQ(find(examined("log ! EPERM\n"), "log.unreadable"), nullptr);
  EXPECT_NE(find(examined("log ! EPERM\n" + unbound), "log.unreadable"), nullptr);
}

TEST(Rules, ANameThatNoDeviceHasIsAProblemOnceItWasLookedFor) {
  const std::string named = "env HEARTH_DEVICES=vulkan3\n";
  EXPECT_EQ(find(examined(named), "env.unknown-device"), nullptr);
  EXPECT_TRUE(idle_gpu_lines(examined(named + unbound)).empty());
  const Report probed = examined(named + "verdict {\"backend\":\"vulkan\",\"outcome\":\"no_loader\"}\n");
  EXPECT_NE(find(probed, "env.unknown-device"), nullptr);
  EXPECT_EQ(probed.exit_code(), 2);
  EXPECT_NE(find(examined("env HEARTH_DEVICES=fast\n"), "env.unknown-device"), nullptr);
}

TEST(Rules, IdleGpusAreToldWithReasonAndFix) {
  const Report report = examined(unbound + "file /etc/os-release\n| ID=debian\n");
  ASSERT_TRUE(report.gpu_idle());
  const std::string lines = fmt::format("{}", fmt::join(idle_gpu_lines(report), "\n"));
  for (const char* part : {"Radeon RX 7900", "0000:03:00.0", "nomodeset", "[amd.driver-unbound]",
                           "sudo update-grub", "hearth doctor"})
    EXPECT_NE(lines.find(part), std::string::npos) << part << " is not in\n" << lines;
  EXPECT_TRUE(idle_gpu_lines(examined("")).empty());
}

}  // namespace
}  // namespace hearth
