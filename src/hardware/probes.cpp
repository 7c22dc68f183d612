#include "hardware/probes.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/processor_load.h"
#include "base/threads.h"
#include "hardware/device_tables.h"

namespace hearth {
namespace {

constexpr const char* gfx_override = "HSA_OVERRIDE_GFX_VERSION";

std::optional<std::string> own_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

std::vector<std::string> split_folders(const std::string& text) {
  std::vector<std::string> found;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(':', at), text.size());
    if (end > at) found.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (!found.empty()) return found;
  std::error_code none;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  return {own.string(), (own.parent_path() / "lib" / "hearth").string()};
}

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

VerdictCircumstances circumstances(const MachineProbe& m, const std::string& backend) {
  utsname system{};
  ::uname(&system);
  VerdictCircumstances c{driver_fingerprint(backend, split_folders(m.module_folders), m.root), system.release,
                         program_fingerprint(m.runner.program)};
  if (backend == "cpu")
    c.driver += fmt::format(" {} {} {}", cpu_features().brand, m.cpu_set,
                            m.threads != 0 ? m.threads : thread_budget(m.root).threads);
  if (backend == "rocm") {
    std::vector<std::string> names{gfx_override};
    for (const auto& [address, node] : m.nodes) names.push_back(fmt::format("{}_{}", gfx_override, node));
    for (const std::string& name : names) {
      if (const auto value = own_environment(name)) c.driver += fmt::format(" {}={}", name, *value);
    }
  }
  return c;
}

bool nothing_else_runs(const std::string& root) {
  constexpr std::chrono::milliseconds moment(250);
  const ProcessorTimes before = processor_times(root);
  const double own = own_processor_seconds();
  std::this_thread::sleep_for(moment);
  return !load_between(before, processor_times(root), own_processor_seconds() - own).busy();
}

// In the features of a backend's own verdict, before the key of each device that it listed.
constexpr std::string_view lists = "device ";

bool alone(const ProbeVerdict& v) { return v.kind == "discrete"; }  // has memory of its own

bool wants_another_try(const ProbeVerdict& v) {
  return v.outcome == ProbeOutcome::failed || v.outcome == ProbeOutcome::crashed ||
         v.outcome == ProbeOutcome::timed_out;
}

bool answered(const ProbeVerdict& whole) {
  return whole.passed() || whole.outcome == ProbeOutcome::not_built;
}

// A forward-compatibility library that the loader's path names first (hearth takes the driver's own then).
bool wrong_library(const ProbeVerdict& whole) {
  constexpr int64_t compat_not_supported = 804;
  return std::any_of(
             whole.replies.begin(), whole.replies.end(),
             [](const DriverReply& r) { return r.call == "cuInit" && r.code == compat_not_supported; }) ||
         (!answered(whole) && whole.library.find("/compat/") != std::string::npos);
}

class Machine {
 public:
  explicit Machine(const MachineProbe& m)
      : m_(m), cache_(m.folder, first_line(m.root + "/proc/sys/kernel/random/boot_id")) {}

  MachineVerdicts cached() {
    for (const std::string& backend : m_.backends)
      result_.complete = from_cache(backend, true) && result_.complete;
    if (m_.cpu) {
      auto cpu = known("cpu", "cpu", circumstances(m_, "cpu"));
      if (cpu) result_.verdicts.push_back(std::move(*cpu));
      result_.complete = result_.complete && cpu.has_value();
    }
    return std::move(result_);
  }

  MachineVerdicts probe() {
    std::vector<std::string> missing;
    for (const std::string& backend : m_.backends) {
      if (m_.again || !from_cache(backend, false)) missing.push_back(backend);
    }
    std::vector<std::future<void>> asked;
    asked.reserve(missing.size());
    for (const std::string& backend : missing)
      asked.push_back(std::async(std::launch::async, [this, backend] { list(backend); }));
    for (auto& answer : asked) answer.get();
    for (const std::string& backend : missing) try_devices(backend);
    if (m_.cpu) try_cpu();
    return std::move(result_);
  }

  // One after the other: they would disturb each other.
  bool measure_again(MachineVerdicts& known) {
    bool changed = false;
    for (ProbeVerdict& v : known.verdicts) {
      if (!v.passed() || !v.rates.load.busy()) continue;
      attempt(v, [&] {
        ProbeQuestion q = question(v);
        q.rates_only = true;
        q.sweep_bytes = m_.runner.limits.sweep_bytes;
        EnvironmentChanges environment = environment_for(v.backend);
        for (const auto& [name, value] : v.overrides)
          environment.emplace_back(name, value.empty() ? std::nullopt : std::optional(value));
        const ProbeVerdict now = run_probe_child(q, environment, m_.runner).verdict;
        if (!now.passed()) return;  // another time: what it can do was found out before
        v.rates = now.rates;
        store(v, circumstances(m_, v.backend));
        changed = true;
      });
    }
    known.notes.insert(known.notes.end(), result_.notes.begin(), result_.notes.end());
    return changed;
  }

 private:
  std::optional<ProbeVerdict> find(const std::string& backend, const std::string& key,
                                   const VerdictCircumstances& now) {
    const std::lock_guard guard(lock_);
    auto found = cache_.find(backend, key, now, result_.notes);
    if (!found || !found->fresh) return std::nullopt;
    return std::move(found->verdict);
  }

  // A verdict that still holds, or that an earlier attempt was the last.
  std::optional<ProbeVerdict> known(const std::string& backend, const std::string& key,
                                    const VerdictCircumstances& now) {
    if (auto fresh = find(backend, key, now)) return fresh;
    const auto earlier = cache_.forbidding(backend, key);
    if (!earlier) return std::nullopt;
    ProbeVerdict subject;
    subject.backend = backend;
    subject.key = key;
    return forbidden(std::move(subject), *earlier);
  }

  // The backend and the devices it listed. False: something is missing; what there is is added only if
  // `partly`.
  bool from_cache(const std::string& backend, bool partly) {
    const auto now = circumstances(m_, backend);
    auto whole = known(backend, "", now);
    if (!whole) return false;
    std::vector<ProbeVerdict> found;
    bool all = true;
    for (const std::string& feature : whole->features) {
      if (!feature.starts_with(lists)) continue;
      const std::string key = feature.substr(lists.size());
      if (passed_already(key)) continue;  // so it was not probed again
      auto device = known(backend, key, now);
      all = all && device.has_value();
      if (device) found.push_back(std::move(*device));
    }
    if (!all && !partly) return false;
    add(std::move(*whole));
    for (ProbeVerdict& v : found) add(std::move(v));
    return all;
  }

  void add(ProbeVerdict v) {
    const std::lock_guard guard(lock_);
    result_.verdicts.push_back(std::move(v));
  }
  void store(ProbeVerdict& v, const VerdictCircumstances& now) {
    v.kernel = now.kernel;
    v.build = now.build;
    v.taken =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    if (v.cause == "cancelled") return;
    const std::lock_guard guard(lock_);
    cache_.store(v, now, result_.notes);
  }

  // Runs `work` unless an earlier attempt speaks against it.
  template <class F>
  void attempt(ProbeVerdict subject, F&& work) {
    const std::string what = fmt::format("{} {} {}", subject.backend, subject.device, subject.key);
    VerdictCache::Begun begun;
    {
      const std::lock_guard guard(lock_);
      begun = cache_.begin(subject.backend, subject.key, what, m_.again, result_.notes);
      if (begun.elsewhere) {
        result_.notes.push_back(fmt::format("{}: another process is probing it now", what));
        result_.complete = false;
      }
    }
    if (begun.attempt != nullptr) return work();
    if (begun.unfinished) add(forbidden(std::move(subject), *begun.unfinished));
  }

  static ProbeVerdict forbidden(ProbeVerdict subject, const UnfinishedAttempt& earlier) {
    subject.outcome = ProbeOutcome::crashed;
    subject.phase = "an earlier attempt";
    subject.cause = fmt::format("{} during an earlier attempt ({}); to try again: hearth doctor --probe",
                                earlier.other_boot ? "the machine went down" : "the process ended twice",
                                earlier.file.string());
    subject.taken = earlier.begun;
    return subject;
  }

  void list(const std::string& backend) {
    ProbeVerdict subject;
    subject.backend = backend;
    attempt(subject, [&] { ask_list(backend, circumstances(m_, backend)); });
  }

  void ask_list(const std::string& backend, const VerdictCircumstances& now) {
    ProbeQuestion q;
    q.backend = backend;
    q.list = true;
    q.folders = m_.module_folders;
    q.driver_folders = m_.driver_folders;
    EnvironmentChanges environment = environment_for(backend);
    ProbeReport report = run_probe_child(q, environment, m_.runner);
    if (backend == "cuda" && wrong_library(report.verdict)) {
      q.own_libraries_only = true;
      ProbeReport own = run_probe_child(q, environment, m_.runner);
      if (answered(own.verdict)) report = std::move(own);
    }
    if (backend == "rocm" && std::getenv(gfx_override) != nullptr && wants_another_try(report.verdict)) {
      environment.emplace_back(gfx_override, std::nullopt);
      ProbeReport without = run_probe_child(q, environment, m_.runner);
      if (answered(without.verdict)) report = std::move(without);
    }
    for (const ProbeVerdict& d : report.devices) {
      if (wanted(d)) report.verdict.features.push_back(std::string(lists) + d.key);
    }
    store(report.verdict, now);
    add(std::move(report.verdict));
    const std::lock_guard guard(listing_);
    listed_[backend] = std::move(report.devices);
  }

  bool wanted(const ProbeVerdict& device) const { return device.kind != "cpu" || m_.software; }

  bool passed_already(const std::string& key) {
    const std::lock_guard guard(lock_);
    return std::any_of(result_.verdicts.begin(), result_.verdicts.end(),
                       [&](const ProbeVerdict& v) { return v.key == key && v.passed(); });
  }

  void try_devices(const std::string& backend) {
    std::vector<std::future<void>> cards;
    std::vector<ProbeVerdict> others;
    std::vector<std::string> begun;
    for (const ProbeVerdict& device : listed_[backend]) {
      if (!wanted(device) || passed_already(device.key)) continue;
      // A second driver's view of a device has its turn when the first one failed.
      const bool twice = std::find(begun.begin(), begun.end(), device.key) != begun.end();
      begun.push_back(device.key);
      if (alone(device) && !twice) {
        cards.push_back(std::async(std::launch::async, [this, device] { try_device(device); }));
      } else {
        others.push_back(device);
      }
    }
    for (auto& c : cards) c.get();
    for (const ProbeVerdict& device : others) {
      if (!passed_already(device.key)) try_device(device);
    }
  }

  void try_device(const ProbeVerdict& listed) {
    const auto now = circumstances(m_, listed.backend);
    if (!m_.again) {
      if (auto known = find(listed.backend, listed.key, now)) return add(std::move(*known));
    }
    ProbeVerdict v = listed;
    if (!listed.passed()) {  // the driver's word suffices: it lacks something, or we have no module
      store(v, now);
      return add(std::move(v));
    }
    attempt(listed, [&] {
      v = with_overrides(listed);
      store(v, now);
      add(std::move(v));
    });
  }

  // As the environment is; then with the overrides that may help this one device.
  ProbeVerdict with_overrides(const ProbeVerdict& listed) {
    const EnvironmentChanges plain = environment_for(listed.backend);
    ProbeVerdict v = probe_device(question(listed), plain, m_.runner);
    if (listed.backend != "rocm" || !wants_another_try(v)) return v;
    const auto chip = m_.gfx.find(listed.key);
    const auto node = m_.nodes.find(listed.key);
    const std::string gfx = chip != m_.gfx.end() ? chip->second : std::string();
    for (const EnvironmentChanges& changes : override_changes(
             gfx, node != m_.nodes.end() ? std::optional(node->second) : std::nullopt, own_environment)) {
      EnvironmentChanges environment = plain;
      environment.insert(environment.end(), changes.begin(), changes.end());
      ProbeVerdict other = probe_device(question(listed), environment, m_.runner);
      if (!other.passed()) continue;
      for (const auto& [name, value] : changes) {
        if (!value) other.overrides.emplace_back(name, "");
      }
      return other;
    }
    return v;
  }

  ProbeQuestion question(const ProbeVerdict& listed) const {
    ProbeQuestion q;
    q.backend = listed.backend;
    q.device = listed.device;
    q.key = listed.key;
    q.folders = m_.module_folders;
    q.cpu_set = m_.cpu_set;
    q.threads = m_.threads;
    return q;
  }

  void try_cpu() {
    ProbeVerdict cpu;
    cpu.backend = cpu.device = cpu.key = cpu.kind = "cpu";
    cpu.outcome = ProbeOutcome::passed;  // it is there
    try_device(cpu);
  }

  const MachineProbe& m_;
  VerdictCache cache_;
  std::mutex lock_, listing_;
  std::map<std::string, std::vector<ProbeVerdict>> listed_;
  MachineVerdicts result_;
};

}  // namespace

MachineVerdicts cached_verdicts(const MachineProbe& machine) { return Machine(machine).cached(); }

MachineVerdicts probe_machine(const MachineProbe& machine) { return Machine(machine).probe(); }

bool measured_busy(const MachineVerdicts& known) noexcept {
  return std::any_of(known.verdicts.begin(), known.verdicts.end(),
                     [](const ProbeVerdict& v) { return v.passed() && v.rates.load.busy(); });
}

bool measure_again(const MachineProbe& machine, MachineVerdicts& known) {
  if (!measured_busy(known)) return false;
  const bool idle = machine.idle ? machine.idle() : nothing_else_runs(machine.root);
  return idle && Machine(machine).measure_again(known);
}

std::vector<EnvironmentChanges> override_changes(
    const std::string& gfx, std::optional<uint32_t> node,
    const std::function<std::optional<std::string>(const std::string&)>& variable) {
  // ROCm's runtime reads the variable of the node, else the plain one, which holds for every GPU.
  const std::string numbered = node ? fmt::format("{}_{}", gfx_override, *node) : std::string();
  const auto of_node = node ? variable(numbered) : std::nullopt, of_all = variable(gfx_override);
  const std::string now = of_node.value_or(of_all.value_or("")), known(known_override(gfx)),
                    own = override_value(gfx);
  std::vector<EnvironmentChanges> tries;
  const auto set = [&](const std::string& value) {
    if (value.empty() || value == now) return;
    tries.push_back({{node ? numbered : gfx_override, value}});
  };
  // The card's own version does to it what no variable would do, and leaves the other cards what they have.
  if (node && of_all && !now.empty()) set(own);
  if (of_node || of_all) {
    EnvironmentChanges without;
    if (of_node) without.emplace_back(numbered, std::nullopt);
    if (of_all) without.emplace_back(gfx_override, std::nullopt);
    tries.push_back(std::move(without));
  }
  set(known);
  return tries;
}

EnvironmentChanges environment_for(const std::string& backend) {
  // ROCm obeys CUDA's filter too, which was written with NVIDIA's cards in mind.
  if (backend == "rocm") return {{"CUDA_VISIBLE_DEVICES", std::nullopt}};
  // Numbers as PCI counts them, so that a filter means the same card for every program.
  if (backend == "cuda" && std::getenv("CUDA_DEVICE_ORDER") == nullptr)
    return {{"CUDA_DEVICE_ORDER", "PCI_BUS_ID"}};
  return {};
}

}  // namespace hearth
