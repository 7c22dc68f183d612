#include "hardware/policy.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

constexpr uint64_t gib = uint64_t{1} << 30;

Gpu card(const std::string& address, Vendor vendor, const std::string& gfx = "", bool integrated = false) {
  Gpu gpu;
  gpu.address = address;
  gpu.vendor = vendor;
  gpu.driver = vendor == Vendor::nvidia ? "nvidia" : "amdgpu";
  gpu.gfx = gfx;
  gpu.known = true;
  gpu.integrated = integrated;
  return gpu;
}

ProbeVerdict passed(const std::string& backend, const std::string& device, const std::string& key, double gbs,
                    double prompt = 1000, const std::string& kind = "discrete") {
  ProbeVerdict v;
  v.backend = backend;
  v.device = device;
  v.key = key;
  v.kind = kind;
  v.outcome = ProbeOutcome::passed;
  v.memory.total = 16 * gib;
  v.rates = {gbs, prompt, 100};
  return v;
}

std::string used(const DeviceChoice& choice) {
  std::string out;
  for (const ChosenDevice& d : choice.use) out += (out.empty() ? "" : " ") + d.device;
  return out;
}
std::string left(const DeviceChoice& choice) {
  std::string out;
  for (const ChosenDevice& d : choice.left) out += (out.empty() ? "" : " ") + d.device + ":" + d.cause;
  return out;
}

const std::string first = "0000:01:00.0", second = "0000:02:00.0", inside = "0000:0c:00.0";

Inventory machine_of(std::vector<Gpu> gpus) {
  Inventory machine;
  machine.gpus = std::move(gpus);
  return machine;
}

TEST(Policy, WithoutVerdictsTheCpuIsUsed) {
  EXPECT_EQ(used(choose_devices(machine_of({card(first, Vendor::amd)}), {}, {})), "cpu");
}

TEST(Policy, FasterCardsComeFirstAndTheCpuLast) {
  const Inventory machine = machine_of({card(first, Vendor::nvidia), card(second, Vendor::amd)});
  EXPECT_EQ(
      used(choose_devices(
          machine, {passed("vulkan", "vulkan0", first, 300), passed("vulkan", "vulkan1", second, 800)}, {})),
      "vulkan1 vulkan0 cpu");
}

TEST(Policy, ACardIsUsedThroughItsBestBackendOnce) {
  const Inventory machine = machine_of({card(first, Vendor::nvidia)});
  ProbeVerdict cuda = passed("cuda", "cuda0", first, 300);
  const ProbeVerdict vulkan = passed("vulkan", "vulkan0", first, 310);
  const DeviceChoice both = choose_devices(machine, {vulkan, cuda}, {});
  EXPECT_EQ(used(both), "cuda0 cpu");
  EXPECT_EQ(left(both), "vulkan0:device.duplicate");
  cuda.outcome = ProbeOutcome::crashed;
  EXPECT_EQ(used(choose_devices(machine, {vulkan, cuda}, {})), "vulkan0 cpu");
}

TEST(Policy, OfTwoVulkanDriversTheOpenOneIsUsed) {
  const Inventory machine = machine_of({card(first, Vendor::amd)});
  ProbeVerdict amdvlk = passed("vulkan", "vulkan0", first, 300),
               radv = passed("vulkan", "vulkan1", first, 290);
  amdvlk.driver = "AMDVLK 2025.Q2.1";
  radv.driver = "RADV Mesa 25.0";
  EXPECT_EQ(used(choose_devices(machine, {amdvlk, radv}, {})), "vulkan1 cpu");
}

TEST(Policy, IntegratedGpusAreUsedWhereTheyWin) {
  const Inventory machine = machine_of({card(inside, Vendor::amd, "gfx1103", true)});
  const ProbeVerdict cpu = passed("cpu", "cpu", "", 60, 900, "cpu");
  const auto with = [&](double gbs, double prompt) {
    return choose_devices(machine, {passed("vulkan", "vulkan0", inside, gbs, prompt, "integrated"), cpu}, {});
  };
  EXPECT_EQ(used(with(62, 4000)), "vulkan0 cpu");  // prompts
  EXPECT_EQ(used(with(80, 500)), "vulkan0 cpu");   // generation
  EXPECT_EQ(left(with(62, 950)), "vulkan0:igpu.slower");
  const DeviceChoice unmeasured =
      choose_devices(machine, {passed("vulkan", "vulkan0", inside, 80, 4000, "integrated")}, {});
  EXPECT_EQ(left(unmeasured), "vulkan0:igpu.not-measured");
}

TEST(Policy, DisplayPartsNeverStandBesideACard) {
  const Inventory machine =
      machine_of({card(first, Vendor::amd, "gfx1100"), card(inside, Vendor::amd, "gfx1036", true)});
  const std::vector<ProbeVerdict> verdicts{passed("vulkan", "vulkan0", inside, 90, 5000, "integrated"),
                                           passed("vulkan", "vulkan1", first, 800),
                                           passed("cpu", "cpu", "", 60, 900, "cpu")};
  EXPECT_EQ(used(choose_devices(machine, verdicts, {})), "vulkan1 cpu");
  EXPECT_EQ(left(choose_devices(machine, verdicts, {})), "vulkan0:igpu.display-only");
  EXPECT_EQ(used(choose_devices(machine, verdicts, {{"OLLAMA_IGPU_ENABLE", "1"}})), "vulkan1 vulkan0 cpu");
  EXPECT_EQ(left(choose_devices(machine, verdicts, {{"OLLAMA_IGPU_ENABLE", "0"}})), "vulkan0:env.igpu-off");
}

TEST(Policy, DriversThatComputeOnTheCpuAreUsedOnlyByName) {
  const ProbeVerdict llvmpipe = passed("vulkan", "vulkan0", "ab12", 20, 10, "cpu");
  EXPECT_EQ(left(choose_devices({}, {llvmpipe}, {})), "vulkan0:vk.software");
  EXPECT_EQ(used(choose_devices({}, {llvmpipe}, {{"HEARTH_DEVICES", "vulkan0"}})), "vulkan0");
}

TEST(Policy, NamedDevicesAreUsedInTheOrderGiven) {
  const Inventory machine = machine_of({card(first, Vendor::nvidia), card(second, Vendor::amd)});
  const std::vector<ProbeVerdict> verdicts{passed("vulkan", "vulkan0", first, 300),
                                           passed("vulkan", "vulkan1", second, 800)};
  EXPECT_EQ(used(choose_devices(machine, verdicts, {{"HEARTH_DEVICES", "01:00.0, vulkan1,cpu"}})),
            "vulkan0 vulkan1 cpu");
  const DeviceChoice one = choose_devices(machine, verdicts, {{"HEARTH_DEVICES", "vulkan1 vulkan7"}});
  EXPECT_EQ(used(one), "vulkan1");
  EXPECT_EQ(left(one), "vulkan0:env.devices");
  EXPECT_EQ(one.unknown, std::vector<std::string>{"vulkan7"});
}

TEST(Policy, BackendsCanBeForcedAndSwitchedOff) {
  const Inventory machine = machine_of({card(first, Vendor::nvidia)});
  const std::vector<ProbeVerdict> verdicts{passed("cuda", "cuda0", first, 300),
                                           passed("vulkan", "vulkan0", first, 300)};
  EXPECT_EQ(used(choose_devices(machine, verdicts, {{"OLLAMA_LLM_LIBRARY", "vulkan"}})), "vulkan0 cpu");
  EXPECT_EQ(used(choose_devices(machine, verdicts, {{"OLLAMA_LLM_LIBRARY", "cpu_avx2"}})), "cpu");
  EXPECT_EQ(used(choose_devices(machine, {verdicts[1]}, {{"OLLAMA_VULKAN", "0"}})), "cpu");
  EXPECT_EQ(used(choose_devices(machine, {verdicts[1]}, {{"HEARTH_VULKAN", "1"}, {"OLLAMA_VULKAN", "0"}})),
            "vulkan0 cpu");
  EXPECT_EQ(used(choose_devices(machine, {verdicts[1]}, {{"GGML_VK_VISIBLE_DEVICES", "-1"}})), "cpu");
  EXPECT_EQ(used(choose_devices(machine, {verdicts[1]}, {{"GGML_VK_VISIBLE_DEVICES", "1,0"}})),
            "vulkan0 cpu");
}

TEST(Policy, VisibleDevicesHideCardsOfTheirVendorOnly) {
  Gpu a = card(first, Vendor::nvidia), b = card(second, Vendor::nvidia),
      c = card(inside, Vendor::amd, "gfx1100");
  a.nvidia = NvidiaEntry{"RTX 3060", "GPU-11112222-3333-4444-5555-666677778888", 0};
  b.nvidia = NvidiaEntry{"RTX 3060", "GPU-aaaabbbb-3333-4444-5555-666677778888", 1};
  c.kfd = KfdNode{.number = 1, .gfx_target_version = 110000};
  c.unique_id = "7b3c";
  const Inventory machine = machine_of({a, b, c});
  const auto visible = [&](const Environment& environment) {
    std::string out;
    for (const Gpu& gpu : machine.gpus) out += hidden_by(machine, environment, gpu).empty() ? 'x' : '-';
    return out;
  };
  EXPECT_EQ(visible({}), "xxx");
  EXPECT_EQ(visible({{"CUDA_VISIBLE_DEVICES", "1"}}), "-xx");
  EXPECT_EQ(visible({{"CUDA_VISIBLE_DEVICES", ""}}), "--x");
  EXPECT_EQ(visible({{"CUDA_VISIBLE_DEVICES", "-1"}}), "--x");
  EXPECT_EQ(visible({{"CUDA_VISIBLE_DEVICES", "0,7,1"}}), "x-x");  // what follows a wrong one is not selected
  EXPECT_EQ(visible({{"CUDA_VISIBLE_DEVICES", "gpu-AAAA"}}), "-xx");
  EXPECT_EQ(visible({{"ROCR_VISIBLE_DEVICES", "1"}}), "xx-");
  EXPECT_EQ(visible({{"ROCR_VISIBLE_DEVICES", "GPU-7b3c"}}), "xxx");
  EXPECT_EQ(visible({{"ROCR_VISIBLE_DEVICES", "0"}, {"HIP_VISIBLE_DEVICES", "1"}}), "xx-");
  EXPECT_EQ(visible({{"GPU_DEVICE_ORDINAL", "0"}}), "xxx");
}

TEST(Policy, WordsForYesAndNo) {
  for (const char* yes : {"1", "t", "TRUE", "yes", "On", " \"1\" "})
    EXPECT_TRUE(bool_in({{"OLLAMA_X", yes}}, "X", false)) << yes;
  for (const char* no : {"0", "f", "False", "no", "OFF"})
    EXPECT_FALSE(bool_in({{"OLLAMA_X", no}}, "X", true)) << no;
  EXPECT_TRUE(bool_in({{"OLLAMA_X", "disabled"}}, "X", true));
  EXPECT_FALSE(bool_in({{"OLLAMA_X", ""}}, "X", false));
}

}  // namespace
}  // namespace hearth
