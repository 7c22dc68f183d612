// Every way in which a backend can fail, in each of its phases: real children, a fake module.
#include "hardware/probe_child.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "probe_support.h"

namespace hearth {
namespace {

using testing::HasSubstr;

ProbeQuestion fake_question() {
  ProbeQuestion q;
  q.backend = q.device = "fake";
  q.device = "fake0";
  q.key = "0000:03:00.0";
  q.folders = test::fakes("modules");
  q.threads = 1;
  return q;
}

ProbeVerdict probe_fake(const std::string& faults, const ProbeRunner& runner = test::quick_runner()) {
  ProbeQuestion q = fake_question();
  q.seconds = runner.limits.variant_seconds;
  q.sweep_bytes = runner.limits.sweep_bytes;
  return run_probe_child(q, {{"HEARTH_FAKE", faults}}, runner).verdict;
}

TEST(ProbeChild, ADeviceThatWorksPasses) {
  ProbeRunner runner = test::quick_runner();
  runner.limits.variant_seconds = 30;
  std::vector<std::string> phases;
  runner.progress = [&](const ProbeVerdict& v) {
    if (phases.empty() || phases.back() != v.phase) phases.push_back(v.phase);
  };
  const ProbeVerdict v = probe_device(fake_question(), {{"HEARTH_FAKE", ""}}, runner);
  EXPECT_TRUE(v.passed()) << v.phase << ": " << v.cause;
  EXPECT_EQ(v.device, "fake0");
  EXPECT_EQ(v.driver, "fake 1.0");
  EXPECT_EQ(v.name, "Fake \xef\xbf\xbd device");
  EXPECT_EQ(v.kind, "discrete");
  EXPECT_EQ(v.memory.total, 8ULL << 30) << "the heaps of the device alone";
  EXPECT_EQ(v.memory.heaps.size(), 2U);
  EXPECT_GT(v.rates.memory_gbs, 0);
  EXPECT_GT(v.rates.prompt_gflops, 0);
  EXPECT_GT(v.rates.generation_gflops, 0);
  EXPECT_EQ(v.stderr_tail, "");
  for (const VariantVerdict& variant : v.variants) {
    EXPECT_TRUE(variant.passed) << variant.kernel << " d" << variant.head_size << " " << variant.k << ": "
                                << variant.cause;
  }
  EXPECT_GE(v.variants.size(), 30U);
  for (const char* phase : {"load module", "enumerate", "open", "allocate", "matmul F16", "attend d128 q8_0",
                            "sweep", "timing of prompts"}) {
    EXPECT_THAT(phases, testing::Contains(phase));
  }
}

TEST(ProbeChild, TheProcessorPasses) {
  ProbeQuestion q;
  q.backend = "cpu";
  ProbeRunner runner = test::quick_runner();
  runner.limits.variant_seconds = 30;
  const ProbeVerdict v = probe_device(q, {}, runner);
  EXPECT_TRUE(v.passed()) << v.phase << ": " << v.cause;
  EXPECT_EQ(v.device, "cpu");
  EXPECT_GT(v.memory.usable, 0U);
  EXPECT_GT(v.rates.memory_gbs, 0);
}

struct Failure {
  const char* faults;
  const char* phase;  // reached
  ProbeOutcome outcome;
  const char* cause;  // part of it
  int signal = 0, exit_code = 0;
};

std::ostream& operator<<(std::ostream& out, const Failure& f) { return out << f.faults; }

class EachFailure : public testing::TestWithParam<Failure> {};

TEST_P(EachFailure, HasItsVerdict) {
  const Failure& f = GetParam();
  const ProbeVerdict v = probe_fake(f.faults);
  EXPECT_EQ(v.phase, f.phase);
  EXPECT_EQ(to_string(v.outcome), to_string(f.outcome)) << v.cause << "\n" << v.stderr_tail;
  EXPECT_THAT(v.cause, HasSubstr(f.cause));
  EXPECT_EQ(v.signal, f.signal);
  EXPECT_EQ(v.exit_code, f.exit_code);
  EXPECT_LE(v.stderr_tail.size(), 4096U);
}

constexpr auto failed = ProbeOutcome::failed, crashed = ProbeOutcome::crashed;

INSTANTIATE_TEST_SUITE_P(
    Crashes, EachFailure,
    testing::Values(Failure{"create=crash", "load module", crashed, "killed by signal 11", 11},
                    Failure{"devices=crash", "enumerate", crashed, "killed by signal 11", 11},
                    Failure{"open=abort", "open", crashed, "killed by signal 6", 6},
                    Failure{"refuse=crash", "allocate", crashed, "killed by signal 11", 11},
                    Failure{"workspace=crash", "allocate", crashed, "killed by signal 11", 11},
                    Failure{"reserve=crash", "allocate", crashed, "killed by signal 11", 11},
                    Failure{"load=abort", "allocate", crashed, "killed by signal 6", 6},
                    Failure{"prepare=crash", "allocate", crashed, "killed by signal 11", 11},
                    Failure{"run=crash", "matmul F16", crashed, "killed by signal 11", 11},
                    Failure{"results=crash", "matmul F16", crashed, "killed by signal 11", 11},
                    Failure{"create=exit", "load module", crashed, "exit code 3", 0, 3},
                    Failure{"devices=leave", "enumerate", crashed, "exit code 0", 0, 0},
                    Failure{"run=exit", "matmul F16", crashed, "exit code 3", 0, 3}));

INSTANTIATE_TEST_SUITE_P(
    Exceptions, EachFailure,
    testing::Values(Failure{"create=missing", "load module", ProbeOutcome::no_loader,
                            "fake driver is not there"},
                    Failure{"create=odd", "load module", failed, "threw something that is no error"},
                    Failure{"devices=throw", "enumerate", failed, "the fake device is lost"},
                    Failure{"devices=standard", "enumerate", failed, "a standard exception"},
                    Failure{"open=throw", "open", failed, "the fake device is lost"},
                    Failure{"open=odd", "open", failed, "threw something that is no error"},
                    Failure{"reserve=memory", "allocate", failed, "bad_alloc"},
                    Failure{"load=standard", "allocate", failed, "a standard exception"},
                    Failure{"prepare=throw", "allocate", failed, "the fake device is lost"},
                    Failure{"run=throw", "matmul F16", failed, "the fake device is lost"},
                    Failure{"results=odd", "matmul F16", failed, "threw something that is no error"}));

INSTANTIATE_TEST_SUITE_P(
    WrongAnswers, EachFailure,
    testing::Values(Failure{"devices=wrong", "enumerate", failed, "does not list the device any more"},
                    Failure{"open=wrong", "open", failed, "opened no device"},
                    Failure{"refuse=wrong", "allocate", failed, "refuses everything"},
                    Failure{"reserve=wrong", "allocate", failed, "MiB were planned"},
                    Failure{"prepare=wrong", "allocate", failed, "prepared no program"},
                    Failure{"results=wrong", "matmul F16", failed, "matmul F16 is wrong: row 0 column 0 is"},
                    Failure{"results=nan", "matmul F16", failed, "is no number"},
                    Failure{"results=short", "matmul F16", failed, "gave 1 numbers instead of"},
                    Failure{"attend_d128_f16=wrong", "attend d128 f16", failed,
                            "no variant of attention gave a right result"}));

INSTANTIATE_TEST_SUITE_P(
    Memory, EachFailure,
    testing::Values(Failure{"create=leak", "load module", failed, "took more than 512 MiB"},
                    Failure{"devices=leak", "enumerate", failed, "took more than 512 MiB"},
                    Failure{"open=leak", "open", failed, "took more than 512 MiB"},
                    Failure{"reserve=leak", "allocate", failed, "took more than 512 MiB"},
                    Failure{"run=leak", "matmul F16", failed, "took more than 512 MiB"},
                    Failure{"results=drip", "sweep", failed, "the backend leaks"}));

INSTANTIATE_TEST_SUITE_P(
    Garbage, EachFailure,
    testing::Values(Failure{"create=flood", "load module", failed, "printed more than 1 MiB"},
                    Failure{"devices=flood", "enumerate", failed, "printed more than 1 MiB"},
                    Failure{"open=flood", "open", failed, "printed more than 1 MiB"},
                    Failure{"reserve=flood", "allocate", failed, "printed more than 1 MiB"},
                    Failure{"results=flood", "matmul F16", failed, "printed more than 1 MiB"},
                    Failure{"create=babble", "load module", failed, "garbage"},
                    Failure{"devices=babble", "enumerate", failed, "garbage"},
                    Failure{"open=babble", "open", failed, "garbage"},
                    Failure{"prepare=babble", "allocate", failed, "garbage"},
                    Failure{"run=babble", "matmul F16", failed, "garbage"}));

TEST(ProbeChild, OneThatPrintsABitOfGarbageIsNotTheWorseForIt) {
  const ProbeVerdict v = probe_fake("create=print,open=print");
  EXPECT_TRUE(v.passed()) << v.cause;
  const ProbeVerdict lost = probe_fake("devices=print,open=throw");
  EXPECT_EQ(lost.cause, "the fake device is lost");
  EXPECT_EQ(lost.stderr_tail.size(), 4096U);
  for (const char c : lost.stderr_tail) EXPECT_TRUE(c < 0 || c >= ' ' || c == '\n' || c == '\t');
}

// They wait for their limit side by side.
TEST(ProbeChild, OneThatHangsIsEndedInWhateverPhase) {
  ProbeRunner runner = test::quick_runner();
  runner.limits.phase = std::chrono::milliseconds(1500);
  const std::vector<std::pair<const char*, const char*>> cases{
      {"create=hang", "load module"}, {"devices=hang", "enumerate"}, {"open=hang", "open"},
      {"refuse=hang", "allocate"},    {"reserve=hang", "allocate"},  {"load=hang", "allocate"},
      {"prepare=hang", "allocate"},   {"run=hang", "matmul F16"},    {"results=hang", "matmul F16"}};
  std::vector<std::future<ProbeVerdict>> verdicts;
  for (const auto& [fault, phase] : cases)
    verdicts.push_back(
        std::async(std::launch::async, [&, f = std::string(fault)] { return probe_fake(f, runner); }));
  for (size_t i = 0; i < cases.size(); ++i) {
    const ProbeVerdict v = verdicts[i].get();
    EXPECT_EQ(v.outcome, ProbeOutcome::timed_out) << cases[i].first;
    EXPECT_EQ(v.phase, cases[i].second);
    EXPECT_EQ(v.cause, "no answer within 1.5 s");
  }
}

TEST(ProbeChild, OneThatDawdlesIsEndedByTheLimitOnAll) {
  ProbeRunner runner = test::quick_runner();
  runner.limits.all = std::chrono::milliseconds(1);
  runner.limits.phase = std::chrono::milliseconds(30000);
  const ProbeVerdict v = probe_fake("", runner);
  EXPECT_EQ(v.outcome, ProbeOutcome::timed_out);
  EXPECT_EQ(v.cause, "no answer within 0.001 s");
}

TEST(ProbeChild, ACancelledOneIsEnded) {
  std::atomic<bool> cancelled{true};
  ProbeRunner runner = test::quick_runner();
  runner.cancelled = &cancelled;
  EXPECT_EQ(probe_fake("create=hang", runner).cause, "cancelled");
}

TEST(ProbeChild, AVariantThatFailsIsReportedAndTheOthersGoOn) {
  ProbeRunner runner = test::quick_runner();
  runner.limits.variant_seconds = 30;
  const ProbeVerdict v = probe_device(
      fake_question(), {{"HEARTH_FAKE", "attend_d64_q8_0=crash,attend_d256_f16=wrong,attend_d96_q4_0=throw"}},
      runner);
  EXPECT_TRUE(v.passed()) << v.cause;
  std::map<std::string, std::string> causes;
  size_t stand_ins = 0;
  for (const VariantVerdict& variant : v.variants) {
    if (!variant.passed) causes[fmt::format("{} {}", variant.head_size, variant.k)] = variant.cause;
    stand_ins += variant.kernel == two_pass_kernel ? 1 : 0;
  }
  EXPECT_EQ(stand_ins, 3U) << "two passes are tried where one has failed, and only there";
  ASSERT_EQ(causes.size(), 3U);
  EXPECT_THAT(causes["64 q8_0"], HasSubstr("killed by signal 11"));
  EXPECT_THAT(causes["256 f16"], HasSubstr("wrong: row 0 column 0"));
  EXPECT_THAT(causes["96 q4_0"], HasSubstr("the fake device is lost"));
}

// What stands in for a variant may kill the child as well, and may be all that is left.
TEST(ProbeChild, TwoPassesStandInForARunningSoftmax) {
  ProbeRunner runner = test::quick_runner();
  runner.limits.variant_seconds = 30;
  const ProbeVerdict v =
      probe_device(fake_question(),
                   {{"HEARTH_FAKE",
                     "attend_d64_f16=crash,attend-two-pass_d64_f16=crash,attend_d128_q8_0=wrong,"
                     "attend_d128_f16=throw,attend-two-pass_d128_f16=nan"}},
                   runner);
  EXPECT_TRUE(v.passed()) << v.phase << ": " << v.cause;
  std::map<std::string, const VariantVerdict*> found;
  for (const VariantVerdict& variant : v.variants)
    found[fmt::format("{} {} {}", variant.kernel, variant.head_size, variant.k)] = &variant;
  const auto cause = [&](const std::string& name) {
    return found.contains(name) ? found[name]->cause : "none";
  };
  EXPECT_THAT(cause("attend 64 f16"), HasSubstr("killed by signal 11"));
  EXPECT_THAT(cause("attend-two-pass 64 f16"), HasSubstr("killed by signal 11"));
  EXPECT_THAT(cause("attend 128 q8_0"), HasSubstr("wrong"));
  EXPECT_EQ(cause("attend-two-pass 128 q8_0"), "");
  EXPECT_THAT(cause("attend 128 f16"), HasSubstr("the fake device is lost"));
  EXPECT_THAT(cause("attend-two-pass 128 f16"), HasSubstr("is no number"));
  EXPECT_EQ(cause("attend-two-pass 128 q4_0"), "none") << "nothing failed there";
}

TEST(ProbeChild, AProductThatKillsTheChildIsLeftOutAndTheOthersGoOn) {
  ProbeRunner runner = test::quick_runner();
  runner.limits.variant_seconds = 30;
  const ProbeVerdict v =
      probe_device(fake_question(),
                   {{"HEARTH_FAKE", "matmul_Q5_K=crash,matmul_Q3_K=throw,timing_of_prompts=print"}}, runner);
  EXPECT_TRUE(v.passed()) << v.phase << ": " << v.cause;
  std::map<std::string, std::string> causes;
  for (const VariantVerdict& variant : v.variants) {
    if (!variant.passed) causes[variant.kernel] = variant.cause;
  }
  ASSERT_EQ(causes.size(), 2U);
  EXPECT_THAT(causes["matmul Q5_K"], HasSubstr("killed by signal 11"));
  EXPECT_THAT(causes["matmul Q3_K"], HasSubstr("the fake device is lost"));
}

TEST(ProbeChild, AProgramThatIsNoneIsACrash) {
  ProbeRunner runner = test::quick_runner();
  runner.program = "/nowhere/hearth";
  const ProbeVerdict v = probe_fake("", runner);
  EXPECT_EQ(v.outcome, ProbeOutcome::crashed);
  EXPECT_EQ(v.exit_code, 127);
  EXPECT_EQ(v.phase, "start");
}

// Vendors' drivers, as far as they can be asked.
ProbeReport ask(const std::string& backend, const EnvironmentChanges& environment) {
  ProbeQuestion q;
  q.backend = backend;
  q.list = true;
  q.folders = "/nowhere";
  return run_probe_child(q, environment, test::quick_runner());
}

TEST(ProbeChild, CudaIsAskedAsFarAsItAnswersWithoutAModule) {
  const ProbeReport r = ask("cuda", {{"LD_LIBRARY_PATH", test::fakes("cuda")}});
  EXPECT_EQ(r.verdict.outcome, ProbeOutcome::not_built);
  EXPECT_EQ(r.verdict.cause, "this build has no CUDA module; used through Vulkan");
  EXPECT_EQ(r.verdict.driver, "nvidia 580.119.02");
  EXPECT_THAT(r.verdict.library, HasSubstr("fakes/cuda/libcuda.so.1"));
  ASSERT_EQ(r.devices.size(), 2U);
  const ProbeVerdict& p40 = r.devices[1];
  EXPECT_EQ(p40.device, "cuda1");
  EXPECT_EQ(p40.name, "Tesla P40");
  EXPECT_EQ(p40.key, "0000:0b:00.0");
  EXPECT_EQ(p40.memory.total, 24ULL << 30);
  EXPECT_EQ(p40.memory.usable, 23ULL << 30);
  EXPECT_THAT(p40.features, testing::Contains("compute 6.1"));
  EXPECT_THAT(p40.features, testing::Contains("uuid 02020202020202020202020202020202"));
  EXPECT_EQ(p40.outcome, ProbeOutcome::not_built);
}

TEST(ProbeChild, CudasAnswersAreKept) {
  for (const int code : {100, 304, 802, 803, 804, 999}) {
    const ProbeReport r = ask("cuda", {{"LD_LIBRARY_PATH", test::fakes("cuda")},
                                       {"FAKE_CUDA", fmt::format("cuInit={},nvmlInit_v2=18", code)}});
    EXPECT_EQ(r.verdict.outcome, failed);
    EXPECT_EQ(r.verdict.phase, "cuInit");
    ASSERT_EQ(r.verdict.replies.size(), 2U);
    EXPECT_EQ(r.verdict.replies[0].call, "nvmlInit_v2");
    EXPECT_EQ(r.verdict.replies[0].text, "Driver/library version mismatch");
    EXPECT_EQ(r.verdict.replies[1].code, code);
    EXPECT_THAT(r.verdict.cause, HasSubstr(fmt::format("cuInit answered {}: ", code)));
    EXPECT_TRUE(r.devices.empty());
  }
}

TEST(ProbeChild, CudasDriverMayDieToo) {
  const EnvironmentChanges path{{"LD_LIBRARY_PATH", test::fakes("cuda")}};
  const auto with = [&](const char* fault) {
    EnvironmentChanges e = path;
    e.emplace_back("FAKE_CUDA", fault);
    return e;
  };
  const ProbeVerdict crash = ask("cuda", with("cuInit=crash")).verdict;
  EXPECT_EQ(crash.outcome, crashed);
  EXPECT_EQ(crash.signal, 11);
  EXPECT_EQ(crash.phase, "cuInit");
  EXPECT_EQ(crash.stderr_tail, "the fake driver starts");
  EXPECT_EQ(ask("cuda", with("cuDeviceGetCount=exit")).verdict.phase, "cuDeviceGetCount");
  ProbeRunner runner = test::quick_runner();
  runner.limits.phase = std::chrono::milliseconds(500);
  ProbeQuestion q;
  q.backend = "cuda";
  q.list = true;
  const ProbeVerdict hung = run_probe_child(q, with("cuDeviceGetName=hang"), runner).verdict;
  EXPECT_EQ(hung.outcome, ProbeOutcome::timed_out);
  EXPECT_EQ(hung.phase, "describe devices");
}

TEST(ProbeChild, RocmIsAskedAsFarAsItAnswersWithoutAModule) {
  const EnvironmentChanges path{{"LD_LIBRARY_PATH", test::fakes("rocm")}};
  const ProbeReport r = ask("rocm", path);
  EXPECT_EQ(r.verdict.outcome, ProbeOutcome::not_built);
  ASSERT_EQ(r.devices.size(), 1U) << "the processor is no device of it";
  EXPECT_EQ(r.devices[0].name, "AMD Radeon RX 6700 XT");
  EXPECT_EQ(r.devices[0].key, "0000:03:00.0");
  EXPECT_EQ(r.devices[0].memory.total, 12ULL << 30);
  EXPECT_THAT(r.devices[0].features, testing::Contains("gfx1031"));
  EnvironmentChanges bad = path;
  bad.emplace_back("HSA_OVERRIDE_GFX_VERSION", "gfx1030");
  const ProbeVerdict v = ask("rocm", bad).verdict;
  EXPECT_EQ(v.outcome, failed);
  EXPECT_EQ(v.cause, "hsa_init answered 4104: HSA_STATUS_ERROR_OUT_OF_RESOURCES");
}

TEST(ProbeChild, AVendorWithoutLibrariesIsNamed) {
  for (const char* backend : {"cuda", "rocm"}) {
    const ProbeReport r = ask(backend, {});
    // A machine with the vendor's driver answers; the others say what is missing.
    if (r.verdict.outcome != ProbeOutcome::no_loader) continue;
    EXPECT_EQ(r.verdict.phase, "load library");
    EXPECT_THAT(r.verdict.cause, HasSubstr("is not there: "));
  }
}

}  // namespace
}  // namespace hearth
