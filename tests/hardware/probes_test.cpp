// All backends of a machine together: order, fall-back, overrides, cache, attempts.
#include "hardware/probes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <mutex>
#include <set>

#include "base/file.h"
#include "probe_support.h"

namespace hearth {
namespace {

using testing::HasSubstr;

class Machines : public testing::Test {
 protected:
  Machines() {
    test::link_modules(scratch.path, {"vulkan"});
    machine.folder = scratch.path / "state";
    machine.backends = {"vulkan"};
    machine.cpu = false;
    machine.module_folders = scratch.path.string();
    machine.threads = 1;
    machine.runner = test::quick_runner();
    machine.runner.progress = [this](const ProbeVerdict& v) {
      const std::lock_guard guard(lock);
      probed.insert(v.backend + " " + v.device);
    };
  }

  const ProbeVerdict* of(const MachineVerdicts& all, const std::string& backend,
                         const std::string& key) const {
    for (const ProbeVerdict& v : all.verdicts) {
      if (v.backend == backend && v.key == key) return &v;
    }
    return nullptr;
  }

  test::Scratch scratch{"machine"};
  MachineProbe machine;
  std::mutex lock;
  std::set<std::string> probed;
};

TEST_F(Machines, AreProbedOnceAndKnownThen) {
  const test::Variable kinds("HEARTH_FAKE_KINDS", "dic");
  machine.cpu = true;
  EXPECT_FALSE(cached_verdicts(machine).complete);
  const MachineVerdicts first = probe_machine(machine);
  ASSERT_EQ(first.verdicts.size(), 4U) << "the backend, two devices, the processor; no driver in software";
  for (const ProbeVerdict& v : first.verdicts) {
    EXPECT_TRUE(v.passed()) << v.backend << v.device << v.cause;
    EXPECT_GT(v.taken, 1'700'000'000);
    EXPECT_NE(v.kernel, "");
  }
  EXPECT_EQ(probed, (std::set<std::string>{"vulkan ", "vulkan vulkan0", "vulkan vulkan1", "cpu cpu"}));
  EXPECT_TRUE(first.notes.empty());
  probed.clear();
  const MachineVerdicts cached = cached_verdicts(machine);
  EXPECT_TRUE(cached.complete);
  EXPECT_EQ(cached.verdicts.size(), 4U);
  EXPECT_EQ(probe_machine(machine).verdicts.size(), 4U);
  EXPECT_TRUE(probed.empty());
  machine.again = true;
  machine.software = true;
  EXPECT_EQ(probe_machine(machine).verdicts.size(), 5U);
  EXPECT_EQ(probed.size(), 5U);
}

TEST_F(Machines, RatesOfABusyMachineAreMeasuredAgainWhenItIsIdle) {
  MachineVerdicts all = probe_machine(machine);
  for (const auto& entry : std::filesystem::directory_iterator(machine.folder)) {
    if (!entry.path().filename().string().starts_with("vulkan-0000:03")) continue;
    Json kept = json::parse(read_file(entry.path()));
    kept.at("verdict").at("rates") = json::object{{"memory_gbs", 0.001}, {"others", 0.75}};
    write_file_atomic(entry.path(), json::serialize(kept));
  }
  MachineVerdicts known = cached_verdicts(machine);
  ASSERT_TRUE(measured_busy(known));
  probed.clear();
  machine.idle = [] { return false; };
  EXPECT_FALSE(measure_again(machine, known));
  EXPECT_TRUE(measured_busy(known));
  EXPECT_TRUE(probed.empty());
  machine.idle = [] { return true; };
  EXPECT_TRUE(measure_again(machine, known));
  const ProbeVerdict* v = of(known, "vulkan", "0000:03:00.0");
  ASSERT_NE(v, nullptr);
  EXPECT_TRUE(v->passed());
  EXPECT_GT(v->rates.memory_gbs, 0.001);
  EXPECT_GT(v->rates.prompt_gflops, 0);
  EXPECT_EQ(v->variants.size(), of(all, "vulkan", "0000:03:00.0")->variants.size())
      << "what was checked is not checked again, and kept";
  const MachineVerdicts kept = cached_verdicts(machine);
  EXPECT_EQ(of(kept, "vulkan", "0000:03:00.0")->rates.memory_gbs, v->rates.memory_gbs);
  // A driver that dies now says nothing of what was found out before.
  known.verdicts = {*v};
  known.verdicts[0].rates.load.others = 0.75;
  const test::Variable fault("HEARTH_FAKE", "open=crash");
  EXPECT_FALSE(measure_again(machine, known));
  EXPECT_TRUE(known.verdicts[0].passed());
}

TEST_F(Machines, ADeviceThatFailsOnOneBackendIsTriedOnTheNext) {
  test::link_modules(scratch.path, {"rocm"});
  const std::string path = test::fakes("rocm");
  const test::Variable libraries("LD_LIBRARY_PATH", path), fault("HEARTH_FAKE_OVERRIDE", "");
  machine.backends = {"rocm", "vulkan"};
  MachineVerdicts all = probe_machine(machine);
  ASSERT_NE(of(all, "rocm", "0000:03:00.0"), nullptr);
  EXPECT_TRUE(of(all, "rocm", "0000:03:00.0")->passed());
  EXPECT_EQ(of(all, "vulkan", "0000:03:00.0"), nullptr) << "there was no need";
  EXPECT_TRUE(cached_verdicts(machine).complete);
  // ROCm's runtime crashes; Vulkan is left.
  const test::Variable crash("FAKE_HSA", "crash");
  machine.again = true;
  all = probe_machine(machine);
  EXPECT_EQ(of(all, "rocm", "")->outcome, ProbeOutcome::crashed);
  EXPECT_EQ(of(all, "rocm", "")->phase, "hsa_init");
  EXPECT_TRUE(of(all, "vulkan", "0000:03:00.0")->passed());
}

TEST_F(Machines, AreLeftWithWhatThereIsWhenAllBackendsFail) {
  const test::Variable fault("HEARTH_FAKE", "open=crash");
  machine.cpu = true;
  const MachineVerdicts all = probe_machine(machine);
  EXPECT_TRUE(of(all, "vulkan", "")->passed()) << "it lists its device";
  EXPECT_EQ(of(all, "vulkan", "0000:03:00.0")->outcome, ProbeOutcome::crashed);
  EXPECT_TRUE(of(all, "cpu", "cpu")->passed());
  probed.clear();
  EXPECT_EQ(probe_machine(machine).verdicts.size(), 3U);
  EXPECT_TRUE(probed.empty()) << "failures are kept too";
}

TEST_F(Machines, WithoutAModuleSaySo) {
  machine.module_folders = (scratch.path / "none").string();
  const MachineVerdicts all = probe_machine(machine);
  ASSERT_EQ(all.verdicts.size(), 1U);
  EXPECT_EQ(all.verdicts[0].outcome, ProbeOutcome::not_built);
  EXPECT_THAT(all.verdicts[0].cause,
              HasSubstr("there is no libhearth-vulkan.so in " + machine.module_folders));
}

TEST_F(Machines, ADeviceThatLacksSomethingIsNotOpened) {
  const test::Variable kinds("HEARTH_FAKE_KINDS", "l");
  machine.software = true;
  const MachineVerdicts all = probe_machine(machine);
  EXPECT_EQ(of(all, "vulkan", "0000:03:00.0")->outcome, ProbeOutcome::failed);
  EXPECT_EQ(of(all, "vulkan", "0000:03:00.0")->cause, "16-bit storage");
  EXPECT_EQ(probed.count("vulkan vulkan0"), 0U);
  EXPECT_TRUE(cached_verdicts(machine).complete);
}

// The fake device crashes unless the variable has the wanted value.
TEST_F(Machines, AnOverrideIsTriedWhereTheTablesKnowOneAndKeptIfItHelps) {
  test::link_modules(scratch.path, {"rocm"});
  const test::Variable libraries("LD_LIBRARY_PATH", test::fakes("rocm")),
      wanted("HEARTH_FAKE_OVERRIDE", "10.3.0");
  machine.backends = {"rocm"};
  MachineVerdicts all = probe_machine(machine);
  EXPECT_EQ(of(all, "rocm", "0000:03:00.0")->outcome, ProbeOutcome::crashed)
      << "unknown chip: nothing to try";
  machine.again = true;
  machine.gfx = {{"0000:03:00.0", "gfx1031"}};
  all = probe_machine(machine);
  ASSERT_NE(of(all, "rocm", "0000:03:00.0"), nullptr);
  const ProbeVerdict& v = *of(all, "rocm", "0000:03:00.0");
  EXPECT_TRUE(v.passed()) << v.cause;
  using Set = std::pair<std::string, std::string>;
  EXPECT_THAT(v.overrides, testing::Contains(Set("HSA_OVERRIDE_GFX_VERSION", "10.3.0")));
}

TEST_F(Machines, AnOverrideThatHarmsIsLeftOut) {
  test::link_modules(scratch.path, {"rocm"});
  const test::Variable libraries("LD_LIBRARY_PATH", test::fakes("rocm")),
      wanted("HEARTH_FAKE_OVERRIDE", "none"), set("HSA_OVERRIDE_GFX_VERSION", "10.3.0");
  machine.backends = {"rocm"};
  const MachineVerdicts all = probe_machine(machine);
  ASSERT_NE(of(all, "rocm", "0000:03:00.0"), nullptr);
  EXPECT_TRUE(of(all, "rocm", "0000:03:00.0")->passed());
  using Set = std::pair<std::string, std::string>;
  EXPECT_THAT(of(all, "rocm", "0000:03:00.0")->overrides,
              testing::Contains(Set("HSA_OVERRIDE_GFX_VERSION", "")));
}

// Two cards of which each wants another version, and a variable that suits the second one only.
TEST_F(Machines, EachCardKeepsItsOwnOverride) {
  test::link_modules(scratch.path, {"rocm"});
  const test::Variable libraries("LD_LIBRARY_PATH", test::fakes("rocm")), kinds("HEARTH_FAKE_KINDS", "dd"),
      wanted("HEARTH_FAKE_OVERRIDE", "none|11.0.0;10.3.0"), set("HSA_OVERRIDE_GFX_VERSION", "10.3.0");
  machine.backends = {"rocm"};
  machine.gfx = {{"0000:03:00.0", "gfx1100"}, {"0000:04:00.0", "gfx1031"}};
  machine.nodes = {{"0000:03:00.0", 1}, {"0000:04:00.0", 2}};
  const MachineVerdicts all = probe_machine(machine);
  using Set = std::pair<std::string, std::string>;
  const ProbeVerdict *first = of(all, "rocm", "0000:03:00.0"), *second = of(all, "rocm", "0000:04:00.0");
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_TRUE(first->passed()) << first->cause;
  EXPECT_EQ(first->overrides, (std::vector<Set>{{"HSA_OVERRIDE_GFX_VERSION_1", "11.0.0"}}))
      << "the variable that the second card needs is left alone";
  EXPECT_TRUE(second->passed()) << second->cause;
  EXPECT_TRUE(second->overrides.empty());
}

TEST_F(Machines, AnOverrideIsSetForItsNodeAlone) {
  test::link_modules(scratch.path, {"rocm"});
  const test::Variable libraries("LD_LIBRARY_PATH", test::fakes("rocm")), kinds("HEARTH_FAKE_KINDS", "dd"),
      wanted("HEARTH_FAKE_OVERRIDE", "none;10.3.0"), index("HSA_OVERRIDE_GFX_VERSION_0", "10.3.0");
  machine.backends = {"rocm"};
  machine.gfx = {{"0000:03:00.0", "gfx1100"}, {"0000:04:00.0", "gfx1031"}};
  machine.nodes = {{"0000:03:00.0", 1}, {"0000:04:00.0", 2}};
  const MachineVerdicts all = probe_machine(machine);
  using Set = std::pair<std::string, std::string>;
  ASSERT_TRUE(of(all, "rocm", "0000:04:00.0") != nullptr);
  EXPECT_TRUE(of(all, "rocm", "0000:04:00.0")->passed()) << of(all, "rocm", "0000:04:00.0")->cause;
  EXPECT_EQ(of(all, "rocm", "0000:04:00.0")->overrides,
            (std::vector<Set>{{"HSA_OVERRIDE_GFX_VERSION_2", "10.3.0"}}))
      << "node 0 is the processor: that variable reaches no card";
  EXPECT_TRUE(of(all, "rocm", "0000:03:00.0")->overrides.empty());
}

TEST_F(Machines, AnotherOverrideAsksForAnotherProbe) {
  test::link_modules(scratch.path, {"rocm"});
  const test::Variable libraries("LD_LIBRARY_PATH", test::fakes("rocm"));
  machine.backends = {"rocm"};
  machine.nodes = {{"0000:03:00.0", 1}};
  probe_machine(machine);
  EXPECT_TRUE(cached_verdicts(machine).complete);
  const test::Variable set("HSA_OVERRIDE_GFX_VERSION_1", "10.3.0");
  EXPECT_FALSE(cached_verdicts(machine).complete);
}

// What is set now, and what is tried for a card of a chip in a node.
TEST(OverrideChanges, TakeAwayWhatIsSetAndSetWhatIsKnown) {
  std::map<std::string, std::string> now;
  const auto variable = [&](const std::string& name) {
    const auto at = now.find(name);
    return at != now.end() ? std::optional(at->second) : std::nullopt;
  };
  using Tries = std::vector<EnvironmentChanges>;
  const std::string plain = "HSA_OVERRIDE_GFX_VERSION";
  EXPECT_EQ(override_changes("gfx1100", 1, variable), Tries{}) << "nothing is known to help";
  EXPECT_EQ(override_changes("", std::nullopt, variable), Tries{});
  EXPECT_EQ(override_changes("gfx1031", 1, variable), (Tries{{{plain + "_1", "10.3.0"}}}));
  EXPECT_EQ(override_changes("gfx1031", std::nullopt, variable), (Tries{{{plain, "10.3.0"}}}));
  now = {{plain, "11.0.0"}};
  EXPECT_EQ(override_changes("gfx1103", 2, variable),
            (Tries{{{plain + "_2", "11.0.3"}}, {{plain, std::nullopt}}, {{plain + "_2", "11.0.2"}}}));
  EXPECT_EQ(override_changes("", std::nullopt, variable), (Tries{{{plain, std::nullopt}}}));
  now = {{plain + "_2", "10.3.0"}};
  EXPECT_EQ(override_changes("gfx1031", 2, variable), (Tries{{{plain + "_2", std::nullopt}}}))
      << "the value that is known to work is the one that failed";
  now = {{plain, "x"}, {plain + "_2", "y"}};
  EXPECT_EQ(override_changes("gfx90c", 2, variable),
            (Tries{{{plain + "_2", "9.0.12"}},
                   {{plain + "_2", std::nullopt}, {plain, std::nullopt}},
                   {{plain + "_2", "9.0.0"}}}));
}

TEST_F(Machines, AFilterForNvidiaDoesNotReachAmd) {
  test::link_modules(scratch.path, {"rocm"});
  const test::Variable libraries("LD_LIBRARY_PATH", test::fakes("rocm")), filter("CUDA_VISIBLE_DEVICES", "1"),
      check("HEARTH_FAKE_NO_FILTER", "1");
  machine.backends = {"rocm"};
  const MachineVerdicts all = probe_machine(machine);
  EXPECT_TRUE(of(all, "rocm", "0000:03:00.0")->passed());
}

TEST_F(Machines, ACompatLibraryIsPassedOver) {
  const auto compat = scratch.path / "compat";
  std::filesystem::create_directory(compat);
  std::filesystem::copy_file(test::fakes("cuda/libcuda.so.1"), compat / "libcuda.so.1");
  const test::Variable libraries("LD_LIBRARY_PATH", compat.string()), answer("FAKE_CUDA", "cuInit=compat");
  machine.backends = {"cuda"};
  machine.driver_folders = {test::fakes("cuda")};
  MachineVerdicts all = probe_machine(machine);
  ASSERT_EQ(all.verdicts.size(), 3U);
  EXPECT_EQ(of(all, "cuda", "")->outcome, ProbeOutcome::not_built);
  EXPECT_THAT(of(all, "cuda", "")->library, HasSubstr("fakes/cuda/libcuda.so.1"));
  EXPECT_EQ(of(all, "cuda", "0000:0a:00.0")->outcome, ProbeOutcome::not_built);
  // Where there is no other, its answer is the cause.
  machine.driver_folders = {"/nowhere"};
  machine.again = true;
  all = probe_machine(machine);
  ASSERT_EQ(all.verdicts.size(), 1U);
  EXPECT_THAT(all.verdicts[0].cause, HasSubstr("cuInit answered 804"));
  EXPECT_EQ(all.verdicts[0].library, (compat / "libcuda.so.1").string());
}

TEST_F(Machines, AMachineThatWentDownIsNotTakenDownAgain) {
  probe_machine(machine);
  std::filesystem::path verdict_file;
  for (const auto& entry : std::filesystem::directory_iterator(machine.folder)) {
    if (entry.path().filename().string().starts_with("vulkan-0000:03")) verdict_file = entry.path();
  }
  std::filesystem::remove(verdict_file);
  const auto attempt = std::filesystem::path(verdict_file).replace_extension(".attempt");
  std::ofstream(attempt) << R"({"what":"vulkan vulkan0","begun":1750000000,"boot":"another","times":1})";
  probed.clear();
  MachineVerdicts all = probe_machine(machine);
  const ProbeVerdict* v = of(all, "vulkan", "0000:03:00.0");
  ASSERT_NE(v, nullptr);
  EXPECT_EQ(v->outcome, ProbeOutcome::crashed);
  EXPECT_THAT(v->cause, HasSubstr("the machine went down during an earlier attempt (" + attempt.string()));
  EXPECT_THAT(v->cause, HasSubstr("hearth doctor --probe"));
  EXPECT_TRUE(probed.empty());
  EXPECT_TRUE(cached_verdicts(machine).complete);
  machine.again = true;
  all = probe_machine(machine);
  EXPECT_TRUE(of(all, "vulkan", "0000:03:00.0")->passed());
  EXPECT_FALSE(std::filesystem::exists(attempt));
}

}  // namespace
}  // namespace hearth
