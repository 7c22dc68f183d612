// Every fault in every phase of a probe: the phases are those that a healthy device goes through, so that a
// new one is in the table at once. Real children, a fake module; each child computes what its phase needs and
// skips the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "hardware/probe_child.h"
#include "probe_support.h"

namespace hearth {
namespace {

using testing::HasSubstr;

constexpr const char* first_product = "matmul F16";
constexpr const char* first_attention = "attend d128 f16";

ProbeQuestion fake_question() {
  ProbeQuestion q;
  q.backend = "fake";
  q.device = "fake0";
  q.key = "0000:03:00.0";
  q.folders = test::fakes("modules");
  q.threads = 1;
  return q;
}

bool is_variant(const std::string& phase) {
  return phase.starts_with("attend ") || (phase.starts_with("matmul ") && phase != first_product);
}
bool is_rate(const std::string& phase) { return phase == "sweep" || phase.starts_with("timing "); }

// The phases of a healthy device, in order.
const std::vector<std::string>& phases() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> seen;
    ProbeRunner runner = test::quick_runner();
    runner.limits.variant_seconds = 30;
    runner.progress = [&](const ProbeVerdict& v) {
      if (seen.empty() || seen.back() != v.phase) seen.push_back(v.phase);
    };
    probe_device(fake_question(), {{"HEARTH_FAKE", ""}}, runner);
    return seen;
  }();
  return all;
}

// The calls of a module that a phase makes first: where the fake misbehaves.
std::vector<std::string> hooks_of(const std::string& phase) {
  static const std::map<std::string, std::vector<std::string>> calls{
      {"load module", {"create"}},
      {"enumerate", {"devices"}},
      {"open", {"open"}},
      {"allocate", {"refuse", "resident", "workspace", "reserve", "load", "prepare"}}};
  if (const auto at = calls.find(phase); at != calls.end()) return at->second;
  std::string hook = phase;
  std::replace(hook.begin(), hook.end(), ' ', '_');
  return {hook};
}

struct Expected {
  ProbeOutcome outcome = ProbeOutcome::passed;
  std::string cause = {};  // part of it, of the verdict or, `variant`, of the variant alone
  int signal = 0, exit_code = 0;
  bool variant = false;
};

// What ends the child, whatever it was doing.
std::optional<Expected> deadly(const std::string& fault) {
  using Outcome = ProbeOutcome;
  static const std::map<std::string, Expected> all{
      {"crash", {Outcome::crashed, "killed by signal 11", 11, 0}},
      {"abort", {Outcome::crashed, "killed by signal 6", 6, 0}},
      {"exit", {Outcome::crashed, "exit code 3", 0, 3}},
      {"leave", {Outcome::crashed, "exit code 0", 0, 0}},
      {"hang", {Outcome::timed_out, "no answer within", 0, 0}},
      {"leak", {Outcome::failed, "took more than", 0, 0}},
      {"flood", {Outcome::failed, "printed more than 1 MiB", 0, 0}},
      {"babble", {Outcome::failed, "garbage", 0, 0}}};
  const auto at = all.find(fault);
  return at != all.end() ? std::optional(at->second) : std::nullopt;
}

// What a call answers in the wrong way; empty: nobody looks at its answer.
std::string wrong_answer(const std::string& hook, const std::string& fault) {
  static const std::map<std::string, std::string> calls{{"devices", "does not list the device any more"},
                                                        {"open", "opened no device"},
                                                        {"refuse", "refuses everything"},
                                                        {"reserve", "MiB were planned"},
                                                        {"prepare", "prepared no program"}};
  if (hook.starts_with("matmul_") || hook.starts_with("attend_"))
    return fault == "wrong" ? "wrong: row 0 column " : fault == "nan" ? "is no number" : "gave 1 numbers";
  // A timing counts seconds and not numbers, but a step with too few of them is none.
  if (hook == "sweep" || hook.starts_with("timing_")) return fault == "short" ? "gave 1 numbers" : "";
  const auto at = calls.find(hook);
  return fault == "wrong" && at != calls.end() ? at->second : "";
}

Expected expected(const std::string& phase, const std::string& hook, const std::string& fault) {
  static const std::map<std::string, std::string> errors{{"throw", "the fake device is lost"},
                                                         {"standard", "a standard exception"},
                                                         {"odd", "it threw something that is no error"},
                                                         {"memory", "bad_alloc"}};
  if (const auto end = deadly(fault)) return *end;
  Expected e;
  if (const auto thrown = errors.find(fault); thrown != errors.end())
    e.cause = thrown->second;
  else if (fault == "drip")
    e.cause = is_rate(phase) ? "the backend leaks" : "";
  else if (fault != "print")
    e.cause = wrong_answer(hook, fault);
  if (e.cause.empty()) return e;
  // One variant that fails leaves the others; a product that comes out wrong would be used, and ends it all.
  const bool wrong_product =
      phase.starts_with("matmul ") && e.cause != "gave 1 numbers" && !errors.contains(fault);
  e.variant = is_variant(phase) && !wrong_product;
  if (!e.variant) e.outcome = ProbeOutcome::failed;
  return e;
}

ProbeVerdict probe(const std::string& phase, const std::string& hook, const std::string& fault) {
  ProbeRunner runner = test::quick_runner();
  if (fault == "hang") runner.limits.phase = std::chrono::milliseconds(2500);
  if (fault == "leak") runner.limits.memory_bytes = 256ULL << 20;
  ProbeQuestion q = fake_question();
  q.seconds = is_rate(phase) ? 0 : 30;  // the smallest sizes only
  q.sweep_bytes = runner.limits.sweep_bytes;
  // The probe needs one attention that works; where that is the one in question, another stands in for it.
  const std::string needed = phase == first_attention ? "attend d64 f16" : first_attention;
  for (const std::string& other : phases()) {
    if ((is_variant(other) || is_rate(other)) && other != phase && other != needed) q.skip.push_back(other);
    // Nor need what stands in for the attention that is left out be tried each time.
    if (is_variant(other) && other.starts_with("attend "))
      q.skip.push_back("attend-two-pass" + other.substr(std::string("attend").size()));
  }
  return run_probe_child(q, {{"HEARTH_FAKE", hook + "=" + fault}}, runner).verdict;
}

void compare(const ProbeVerdict& v, const std::string& phase, const Expected& e) {
  EXPECT_EQ(to_string(v.outcome), to_string(e.outcome)) << v.phase << ": " << v.cause << "\n"
                                                        << v.stderr_tail;
  EXPECT_EQ(v.signal, e.signal);
  EXPECT_EQ(v.exit_code, e.exit_code);
  if (e.outcome != ProbeOutcome::passed) {
    EXPECT_EQ(v.phase, phase);
    EXPECT_THAT(v.cause, HasSubstr(e.cause));
  }
  if (!e.variant) return;
  for (const VariantVerdict& variant : v.variants) {
    const std::string name = variant.kernel == "attend"
                                 ? fmt::format("attend d{} {}", variant.head_size, variant.k)
                                 : variant.kernel;
    if (name != phase) continue;
    EXPECT_FALSE(variant.passed);
    EXPECT_THAT(variant.cause, HasSubstr(e.cause));
    return;
  }
  ADD_FAILURE() << "the variant is not in the verdict";
}

class EveryPhase : public testing::TestWithParam<const char*> {};

// Children that hang wait for their limit side by side.
TEST_P(EveryPhase, HasItsVerdictWithThisFault) {
  const std::string fault = GetParam();
  struct Try {
    std::string phase, hook;
    ProbeVerdict verdict = {};
  };
  std::vector<Try> tries;
  for (const std::string& phase : phases()) {
    for (const std::string& hook : hooks_of(phase)) tries.push_back({phase, hook});
  }
  ASSERT_GE(tries.size(), 45U);
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  const unsigned most = fault == "hang" ? 16 : std::max(2U, std::thread::hardware_concurrency());
  for (unsigned t = 0; t < most; ++t) {
    threads.emplace_back([&] {
      for (size_t i; (i = next++) < tries.size();)
        tries[i].verdict = probe(tries[i].phase, tries[i].hook, fault);
    });
  }
  for (std::thread& t : threads) t.join();
  for (const Try& t : tries) {
    SCOPED_TRACE(t.hook + "=" + fault);
    compare(t.verdict, t.phase, expected(t.phase, t.hook, fault));
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, EveryPhase,
                         testing::Values("crash", "abort", "exit", "leave", "hang", "throw", "standard",
                                         "odd", "memory", "wrong", "nan", "short", "leak", "drip", "flood",
                                         "babble", "print"),
                         [](const auto& fault) { return std::string(fault.param); });

// Vendors' drivers, which are asked and not computed on: every call dies, leaves, hangs, and answers an
// error.
struct Driver {
  const char* backend;
  const char* variable;
  std::vector<const char*> calls;
  std::vector<const char*> needed;  // an error of these ends it; of the others a fact is missing
};

const Driver drivers[] = {{"cuda",
                           "FAKE_CUDA",
                           {"nvmlInit_v2", "nvmlSystemGetDriverVersion", "nvmlDeviceGetHandleByPciBusId_v2",
                            "nvmlDeviceGetMemoryInfo", "cuInit", "cuDriverGetVersion", "cuDeviceGetCount",
                            "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetUuid", "cuDeviceGetPCIBusId",
                            "cuDeviceTotalMem_v2", "cuDeviceGetAttribute"},
                           {"cuInit", "cuDeviceGetCount"}},
                          {"rocm",
                           "FAKE_HSA",
                           {"hsa_init", "hsa_iterate_agents", "hsa_agent_get_info", "hipInit",
                            "hipGetDeviceCount", "hipDeviceGetPCIBusId", "hipDeviceTotalMem"},
                           {"hsa_init", "hsa_iterate_agents"}}};

ProbeReport ask(const Driver& driver, const std::string& call, const std::string& answer) {
  ProbeQuestion q;
  q.backend = driver.backend;
  q.list = true;
  q.folders = "/nowhere";
  ProbeRunner runner = test::quick_runner();
  if (answer == "hang") runner.limits.phase = std::chrono::milliseconds(1500);
  return run_probe_child(
      q, {{"LD_LIBRARY_PATH", test::fakes(driver.backend)}, {driver.variable, call + "=" + answer}}, runner);
}

TEST(EveryCallOfADriver, HasItsVerdictWithEachFault) {
  for (const Driver& driver : drivers) {
    std::vector<std::pair<std::string, std::string>> tries;
    for (const char* call : driver.calls) {
      for (const char* fault : {"crash", "exit", "hang", "999"}) tries.emplace_back(call, fault);
    }
    std::vector<ProbeReport> reports(tries.size());
    std::atomic<size_t> next{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (size_t i; (i = next++) < tries.size();)
          reports[i] = ask(driver, tries[i].first, tries[i].second);
      });
    }
    for (std::thread& t : threads) t.join();
    for (size_t i = 0; i < tries.size(); ++i) {
      const auto& [call, fault] = tries[i];
      SCOPED_TRACE(call + "=" + fault);
      const ProbeVerdict& v = reports[i].verdict;
      const bool needed = std::any_of(driver.needed.begin(), driver.needed.end(),
                                      [&, name = call](const char* n) { return name == n; });
      if (fault == "999") {
        EXPECT_EQ(to_string(v.outcome), needed ? "failed" : "not_built") << v.cause;
        if (needed) {
          EXPECT_THAT(v.cause, HasSubstr(call + " answered 999"));
        }
      } else if (fault == "hang") {
        EXPECT_EQ(to_string(v.outcome), "timed_out") << v.cause;
      } else {
        EXPECT_EQ(to_string(v.outcome), "crashed") << v.cause;
        EXPECT_EQ(v.signal, fault == "crash" ? 11 : 0);
        EXPECT_EQ(v.exit_code, fault == "exit" ? 1 : 0);
      }
      EXPECT_NE(v.phase, "");
    }
  }
}

}  // namespace
}  // namespace hearth
