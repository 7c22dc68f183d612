#include "cli/devices.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace hearth {
namespace {

ProbeVerdict verdict(const std::string& backend, const std::string& kind) {
  ProbeVerdict v;
  v.backend = backend;
  v.device = backend == "cpu" ? "cpu" : backend + "0";
  v.key = backend == "cpu" ? "cpu" : "0000:03:00.0";
  v.kind = kind;
  v.outcome = ProbeOutcome::passed;
  v.rates = {backend == "cpu" ? 40.0 : 400.0, 9000, 700};
  return v;
}

KnownDevices known(std::vector<ProbeVerdict> verdicts, Environment environment = {}) {
  KnownDevices d;
  d.inventory.environment = std::move(environment);
  d.known.verdicts = std::move(verdicts);
  d.choice = choose_devices(d.inventory, d.known.verdicts, d.inventory.environment);
  return d;
}

TEST(UseDevices, PutsTheChosenOnesIntoALoadWithWhatIsKnownOfThem) {
  LoadRequest load;
  load.devices = {"old"};
  use_devices(known({verdict("vulkan", "discrete"), verdict("cpu", "cpu")}), load);
  EXPECT_EQ(load.devices, (std::vector<std::string>{"vulkan0", "cpu"}));
  ASSERT_EQ(load.budgets.size(), 2U);
  EXPECT_EQ(load.budgets[0].device, "vulkan0");
  EXPECT_GT(load.budgets[0].rates.memory, 300e9);
  EXPECT_FALSE(load.budgets[0].maps_weights);
  EXPECT_GT(load.budgets[1].rates.memory, 30e9);
  EXPECT_TRUE(load.budgets[1].maps_weights);
  EXPECT_TRUE(load.environment.empty());
}

TEST(UseDevices, LeavesTheCpuAloneWhereNothingIsKnown) {
  LoadRequest load;
  use_devices(known({}), load);
  EXPECT_TRUE(load.devices.empty());
  EXPECT_TRUE(load.budgets.empty());
}

TEST(UseDevices, HandsOnTheEnvironmentThatMadeTheProbePass) {
  ProbeVerdict rocm = verdict("rocm", "discrete");
  rocm.overrides = {{"HSA_OVERRIDE_GFX_VERSION", "10.3.0"}};
  LoadRequest load;
  use_devices(known({rocm}), load);
  using Set = std::pair<std::string, std::string>;
  EXPECT_EQ(load.environment,
            (std::vector<Set>{{"CUDA_VISIBLE_DEVICES", ""}, {"HSA_OVERRIDE_GFX_VERSION", "10.3.0"}}));
}

TEST(UseDevices, AvoidsWhatCameOutWrong) {
  ProbeVerdict v = verdict("vulkan", "discrete");
  v.variants = {{"attend", 128, "f16", "f16", true, ""},
                {"attend", 256, "f16", "f16", false, "wrong: row 0 column 0 is 7 instead of 1"},
                {"attend", 64, "q8_0", "q8_0", false, "not tried: time was up"},
                {"matmul Q4_K", 0, "", "", false, "no kernel"}};
  LoadRequest load;
  use_devices(known({v}), load);
  ASSERT_EQ(load.avoid.size(), 1U);
  EXPECT_EQ(load.avoid[0].device, "vulkan0");
  EXPECT_EQ(load.avoid[0].head_size, 256U);
  EXPECT_EQ(load.avoid[0].type, KvType::f16);
  EXPECT_FALSE(load.avoid[0].two_pass);
  v.variants.push_back({"attend-two-pass", 256, "f16", "f16", true, ""});
  LoadRequest stood_in;
  use_devices(known({v}), stood_in);
  ASSERT_EQ(stood_in.avoid.size(), 1U);
  EXPECT_TRUE(stood_in.avoid[0].two_pass);
  ASSERT_EQ(load.avoid_products.size(), 1U);
  EXPECT_EQ(load.avoid_products[0].device, "vulkan0");
  EXPECT_EQ(load.avoid_products[0].type, "Q4_K");
  EXPECT_EQ(load.avoid_products[0].cause, "no kernel");
}

TEST(UseDevices, TriesWhatIsNamedProbedOrNot) {
  ::setenv("HEARTH_DEVICES", "vulkan7, cpu", 1);
  LoadRequest load;
  use_devices(known({verdict("vulkan", "discrete")}, {{"HEARTH_DEVICES", "vulkan7, cpu"}}), load);
  ::unsetenv("HEARTH_DEVICES");
  EXPECT_EQ(load.devices, (std::vector<std::string>{"vulkan7", "cpu"}));
  EXPECT_TRUE(load.budgets.empty());
}

TEST(WorthProbing, IsAMachineWithAGpu) {
  Inventory machine;
  Gpu screen;
  screen.vendor = Vendor::other;  // of a virtual machine
  machine.gpus = {screen};
  const bool here = worth_probing(Inventory{});  // a render node of the machine that runs the test
  EXPECT_EQ(worth_probing(machine), here);
  machine.gpus[0].vendor = Vendor::amd;
  EXPECT_TRUE(worth_probing(machine));
  machine.gpus.clear();
  machine.environment = {{"HEARTH_BACKENDS", "/opt/modules"}};
  EXPECT_TRUE(worth_probing(machine)) << "somebody names modules";
  machine.environment.clear();
  machine.dxg.exists = true;
  EXPECT_TRUE(worth_probing(machine));
}

}  // namespace
}  // namespace hearth
