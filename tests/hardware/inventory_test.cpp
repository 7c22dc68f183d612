#include "hardware/inventory.h"

#include <gtest/gtest.h>

#include "hardware/device_tables.h"
#include "hardware/record.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

Inventory inventory_of(const std::string& text) {
  return take_inventory(*recorded_system(Record::parse("hearth-machine 1\n" + text)));
}

TEST(Inventory, GfxNamesAreWrittenInHexadecimal) {
  EXPECT_EQ(gfx_name(90012), "gfx90c");
  EXPECT_EQ(gfx_name(90010), "gfx90a");
  EXPECT_EQ(gfx_name(100300), "gfx1030");
  EXPECT_EQ(gfx_name(110003), "gfx1103");
  EXPECT_EQ(gfx_name(110501), "gfx1151");
  EXPECT_EQ(gfx_name(120001), "gfx1201");
}

TEST(Inventory, TablesAreConsistent) {
  std::string last;
  for (const AmdDevice& d : amd_devices()) {
    EXPECT_EQ(find_amd(d.device), &d) << d.name;  // no id twice
    EXPECT_TRUE(d.gfx.starts_with("gfx")) << d.name;
  }
  EXPECT_EQ(find_amd(0x1638)->gfx, "gfx90c");
  EXPECT_EQ(find_nvidia(0x102d)->compute, 37);
  EXPECT_EQ(find_nvidia_chip(0x2204)->compute, 86);
  EXPECT_EQ(find_nvidia_chip(0x1b38)->compute, find_nvidia(0x1b38)->compute);
  EXPECT_EQ(known_override("gfx1032"), "10.3.0");
  EXPECT_EQ(known_override("gfx1103"), "11.0.2");
  EXPECT_TRUE(known_override("gfx1010").empty());  // RDNA1 lacks what 10.3.0 promises
  EXPECT_EQ(last_nvidia_branch(35), 470U);
  EXPECT_EQ(last_nvidia_branch(61), 580U);
  EXPECT_EQ(last_nvidia_branch(75), 0U);
}

// Before the kernel knew Renoir by its own number.
TEST(Inventory, ARenoirThatAnOldKernelMisnamesIsKnown) {
  const Inventory m = inventory_of(
      "file /sys/bus/pci/devices/0000:06:00.0/class = 0x030000\nfile "
      "/sys/bus/pci/devices/0000:06:00.0/vendor = 0x1002\n"
      "file /sys/bus/pci/devices/0000:06:00.0/device = 0x1636\n"
      "file /sys/class/kfd/kfd/topology/nodes/1/properties\n| gfx_target_version 90002\n| location_id "
      "1536\n");
  ASSERT_EQ(m.gpus.size(), 1U);
  EXPECT_EQ(m.gpus[0].gfx, "gfx90c");
  EXPECT_TRUE(m.gpus[0].integrated);
}

TEST(Inventory, TheKernelsNumberWinsOverTheTable) {
  const Inventory m = inventory_of(
      "file /sys/bus/pci/devices/0001:c5:1f.3/class = 0x120000\nfile "
      "/sys/bus/pci/devices/0001:c5:1f.3/vendor = 0x1002\n"
      "file /sys/bus/pci/devices/0001:c5:1f.3/device = 0xffff\n"
      "file /sys/class/kfd/kfd/topology/nodes/3/properties\n| gfx_target_version 130000\n| location_id "
      "50683\n| domain 1\n"
      "| simd_count 160\n| simd_per_cu 2\n");
  ASSERT_EQ(m.gpus.size(), 1U);
  EXPECT_EQ(m.gpus[0].gfx, "gfx1300");
  EXPECT_FALSE(m.gpus[0].known);
  EXPECT_FALSE(m.gpus[0].display_class);
  EXPECT_EQ(m.gpus[0].compute_units, 80U);
  EXPECT_EQ(m.gpus[0].name, "AMD device 1002:ffff");
}

TEST(Inventory, ACardThatOnlyTheTopologyShowsIsListed) {
  const Inventory m = inventory_of(
      "file /sys/class/kfd/kfd/topology/nodes/1/properties\n| gfx_target_version 110000\n| location_id "
      "768\n| device_id "
      "29772\n| drm_render_minor 128\nnode /dev/dri/renderD128 c 0660 0 109\n");
  ASSERT_EQ(m.gpus.size(), 1U);
  EXPECT_EQ(m.gpus[0].address, "0000:03:00.0");
  EXPECT_EQ(m.gpus[0].name, "Radeon RX 7900 GRE/XT/XTX");
  EXPECT_TRUE(m.gpus[0].render_node.opens());
}

TEST(Inventory, UnknownPartsOfProcessorsAreToldByTheirMemory) {
  const std::string device =
      "file /sys/bus/pci/devices/0000:06:00.0/class = 0x030000\nfile "
      "/sys/bus/pci/devices/0000:06:00.0/vendor = 0x1002\n"
      "file /sys/bus/pci/devices/0000:06:00.0/device = 0xfff0\n"
      "file /sys/bus/pci/devices/0000:06:00.0/mem_info_vram_total = 536870912\n"
      "file /sys/bus/pci/devices/0000:06:00.0/mem_info_gtt_total = 16252928000\n";
  EXPECT_TRUE(inventory_of(device).gpus.at(0).integrated);
  EXPECT_FALSE(inventory_of(device + "file /sys/bus/pci/devices/0000:06:00.0/board_info = type : cem\n")
                   .gpus.at(0)
                   .integrated);
}

TEST(Inventory, QuotasOfAllAncestorsCount) {
  const Inventory v2 = inventory_of(
      "file /proc/self/cgroup = 0::/a/b/c\nfile /sys/fs/cgroup/a/b/c/cpu.max = max 100000\n"
      "file /sys/fs/cgroup/a/b/cpu.max = 765000 100000\nfile /sys/fs/cgroup/a/cpu.max = 900000 100000\n"
      "file /sys/fs/cgroup/a/memory.max = 4294967296\nfile /sys/fs/cgroup/a/b/memory.max = max\n");
  EXPECT_DOUBLE_EQ(v2.processor.quota, 7.65);
  EXPECT_EQ(v2.processor.quota_folder, "/sys/fs/cgroup/a/b");
  EXPECT_EQ(v2.memory.limit, 4294967296U);
  const Inventory v1 = inventory_of(
      "file /proc/self/cgroup\n| 4:cpu,cpuacct:/x\n| 5:memory:/x\nfile "
      "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us = 50000\n"
      "file /sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us = 100000\nfile "
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us = -1\n"
      "file /sys/fs/cgroup/memory/x/memory.limit_in_bytes = 9223372036854771712\n");
  EXPECT_DOUBLE_EQ(v1.processor.quota, 0.5);
  EXPECT_EQ(v1.memory.limit, 0U);
}

TEST(Inventory, SignsOfSurroundings) {
  EXPECT_EQ(inventory_of("node /.dockerenv - 0755 0 0\n").surroundings.container, Container::docker);
  EXPECT_EQ(inventory_of("node /run/.containerenv - 0755 0 0\n").surroundings.container, Container::podman);
  EXPECT_EQ(inventory_of("env container=lxc\n").surroundings.container, Container::lxc);
  EXPECT_EQ(inventory_of("env KUBERNETES_SERVICE_HOST=1\n").surroundings.container, Container::kubernetes);
  EXPECT_EQ(inventory_of("file /proc/self/cgroup = 3:cpu:/docker/abc\n").surroundings.container,
            Container::docker);
  EXPECT_EQ(inventory_of("file /proc/self/cgroup = 0::/user.slice/x.scope\n").surroundings.container,
            Container::none);
  EXPECT_EQ(inventory_of("file /proc/self/cgroup = 0::/system.slice/ollama.service\n").surroundings.unit,
            "ollama.service");
  EXPECT_EQ(inventory_of("file /proc/self/cgroup = 0::/user.slice/user@1000.service\n").surroundings.unit,
            "");
  EXPECT_TRUE(inventory_of("uname 5.15.167.4-microsoft-standard-WSL2 x86_64\n").surroundings.wsl);
  EXPECT_TRUE(inventory_of("uname 6.10.0-x x86_64\n").surroundings.kernel_since(6, 10));
  EXPECT_FALSE(inventory_of("uname 6.9.12 x86_64\n").surroundings.kernel_since(6, 10));
  EXPECT_FALSE(inventory_of("").surroundings.kernel_since(1, 0));
}

TEST(Inventory, NvidiasModuleAndItsFlavour) {
  const NvidiaDriver closed = inventory_of(
                                  "file /proc/driver/nvidia/version\n| NVRM version: NVIDIA UNIX x86_64 "
                                  "Kernel Module  570.211.01  Tue\n")
                                  .nvidia;
  EXPECT_EQ(closed.version, "570.211.01");
  EXPECT_EQ(closed.branch(), 570U);
  EXPECT_FALSE(closed.open_flavour);
  const NvidiaDriver open = inventory_of(
                                "file /proc/driver/nvidia/version\n| NVRM version: NVIDIA UNIX Open Kernel "
                                "Module for x86_64  580.95.05  Release\n")
                                .nvidia;
  EXPECT_EQ(open.version, "580.95.05");
  EXPECT_TRUE(open.open_flavour);
}

TEST(SysfsText, NumbersAndListsAreStrict) {
  EXPECT_EQ(parse_number(" 42\n"), 42U);
  EXPECT_EQ(parse_number("0x1002\n", 16), 0x1002U);
  EXPECT_FALSE(parse_number("-1"));
  EXPECT_FALSE(parse_number("18446744073709551616"));
  EXPECT_FALSE(parse_number("4 2"));
  EXPECT_EQ(count_list("0-3,8,10-11"), 7U);
  EXPECT_EQ(count_list("0-99999999999,x,5-2"), 65536U);
  EXPECT_EQ(value_of("a b\nMemTotal:  5 kB\n", "MemTotal"), "5 kB");
  EXPECT_FALSE(value_of("MemTotals: 5\n", "MemTotal"));
}

}  // namespace
}  // namespace hearth
