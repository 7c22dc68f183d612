#include "worker/probe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/processor_load.h"
#include "device/modules.h"
#include "protocol/channel.h"
#include "text/detokenizer.h"
#include "worker/probe/checks.h"
#include "worker/probe/driver.h"
#include "worker/probe/rates.h"

namespace hearth {
namespace {

using probe::OpenDevice;

// What a driver calls itself need not be text.
std::string printable(std::string_view bytes) {
  std::string out;
  Utf8Stream stream;
  stream.push(bytes.substr(0, 4096), out);
  stream.flush(out);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  return out;
}

// A phase went wrong in a way that ends the probe of this device.
struct Ended {};

class Prober {
 public:
  Prober(ProbeQuestion question, Channel& channel)
      : question_(std::move(question)),
        channel_(channel),
        begun_(std::chrono::steady_clock::now()),
        times_(processor_times()) {
    report_.verdict.backend = question_.backend;
    report_.verdict.device = question_.device;
    report_.verdict.key = question_.key;
  }

  void run() {
    try {
      if (question_.backend == "cpu") {
        try_cpu();
      } else if (question_.list) {
        list();
      } else {
        try_module();
      }
    } catch (const Ended&) {
    }
    report_.done = true;
    send();
  }

 private:
  ProbeVerdict& verdict() { return report_.verdict; }

  void send() {
    if (!channel_.send(encode(report_))) ::_exit(0);  // nobody waits for the answer any more
  }

  void begin(const std::string& phase) {
    verdict().phase = phase;
    send();
  }

  [[noreturn]] void end(ProbeOutcome outcome, const std::string& cause) {
    verdict().outcome = outcome;
    verdict().cause = printable(cause);
    throw Ended{};
  }

  // Runs a phase that the rest depends on.
  template <class F>
  decltype(auto) needed(const std::string& phase, F&& work) {
    begin(phase);
    try {
      return work();
    } catch (const Ended&) {
      throw;
    } catch (const Error& e) {
      end(e.code == Code::not_found && phase == "load module" ? ProbeOutcome::no_loader
                                                              : ProbeOutcome::failed,
          e.message);
    } catch (const std::exception& e) {
      end(ProbeOutcome::failed, e.what());
    } catch (...) {
      end(ProbeOutcome::failed, "it threw something that is no error");
    }
  }

  // Runs a phase that others do not depend on; empty, or what is wrong.
  template <class F>
  std::string tried(const std::string& phase, F&& work) {
    begin(phase);
    try {
      return printable(work());
    } catch (const Error& e) {
      return printable(e.message);
    } catch (const std::exception& e) {
      return printable(e.what());
    } catch (...) {
      return "it threw something that is no error";
    }
  }

  bool skipped(const std::string& phase) const {
    return std::find(question_.skip.begin(), question_.skip.end(), phase) != question_.skip.end();
  }
  bool late() const {
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - begun_;
    return since.count() > question_.seconds;
  }

  void try_cpu();
  void list();
  std::vector<ProbeVerdict> list_module();
  void try_module();
  void describe(const ModuleDevice& device, ProbeVerdict& to) const;
  void check(const OpenDevice& open, probe::SpeedOptions speed);
  void check_variants(const OpenDevice& open);
  void measure(const OpenDevice& open, const probe::SpeedOptions& speed);

  ProbeQuestion question_;
  Channel& channel_;
  std::chrono::steady_clock::time_point begun_;
  ProcessorTimes times_;  // when this process began
  ProbeReport report_;
};

void Prober::try_cpu() {
  const OpenDevice open = [&] { return open_cpu_device({question_.cpu_set, question_.threads, false}); };
  verdict().device = verdict().key = verdict().kind = "cpu";
  verdict().driver = "hearth";
  verdict().name = printable(cpu_features().brand);
  verdict().memory.total = verdict().memory.usable = available_memory();
  check(open, {});
}

// Devices of a backend: from its module, else (CUDA, ROCm) from the vendor's library alone.
void Prober::list() {
  std::vector<ProbeVerdict> asked;
  verdict().outcome = ProbeOutcome::passed;
  const auto begin_phase = [this](const std::string& phase) { begin(phase); };
  if (question_.backend == "cuda") asked = probe::ask_cuda(question_, verdict(), begin_phase);
  if (question_.backend == "rocm") asked = probe::ask_rocm(question_, verdict(), begin_phase);
  if (!verdict().passed()) throw Ended{};
  const auto folders = module_folders(question_.folders);
  const bool built = std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return ::access(fmt::format("{}/libhearth-{}.so", folder, question_.backend).c_str(), F_OK) == 0;
  });
  if (built) {
    report_.devices = list_module();
    return;
  }
  const std::string cause =
      question_.backend == "vulkan"
          ? fmt::format("there is no libhearth-vulkan.so in {}", fmt::join(folders, ", "))
          : fmt::format("this build has no {} module; used through Vulkan",
                        question_.backend == "cuda" ? "CUDA" : "ROCm");
  for (ProbeVerdict& d : asked) {
    d.outcome = ProbeOutcome::not_built;
    d.cause = cause;
    d.name = printable(d.name);
  }
  report_.devices = std::move(asked);
  end(ProbeOutcome::not_built, cause);
}

std::vector<ProbeVerdict> Prober::list_module() {
  Module& module =
      needed("load module", [&]() -> Module& { return load_module(question_.backend, question_.folders); });
  const auto devices = needed("enumerate", [&] { return module.devices(); });
  std::vector<ProbeVerdict> found;
  for (const ModuleDevice& device : devices) {
    ProbeVerdict v;
    v.backend = question_.backend;
    describe(device, v);
    v.outcome = device.lacks.empty() ? ProbeOutcome::passed : ProbeOutcome::failed;
    v.phase = "enumerate";
    v.cause = printable(device.lacks);
    found.push_back(std::move(v));
  }
  return found;
}

void Prober::describe(const ModuleDevice& device, ProbeVerdict& to) const {
  to.device = printable(device.name);
  to.key = printable(device.key);
  to.name = printable(device.description);
  to.kind = to_string(device.kind);
  to.driver = printable(device.driver);
  to.memory = {};
  to.memory.largest_allocation = device.largest_allocation;
  to.memory.layer_cache = device.layer_cache;
  const bool shared = device.kind == ModuleDeviceKind::integrated || device.kind == ModuleDeviceKind::cpu;
  for (const MemoryHeap& h : device.heaps) {
    to.memory.heaps.push_back({h.bytes, h.free, h.device_local, h.host_visible});
    if (!h.device_local && !shared) continue;  // a card's programs lie in its own memory
    to.memory.total += h.bytes;
    to.memory.usable += h.free;
  }
  if (shared) to.memory.usable = std::min(to.memory.usable, available_memory());
  to.features.clear();
  for (const std::string& f : device.features) to.features.push_back(printable(f));
}

void Prober::try_module() {
  Module& module =
      needed("load module", [&]() -> Module& { return load_module(question_.backend, question_.folders); });
  const auto devices = needed("enumerate", [&] { return module.devices(); });
  // Two drivers may show one device; names tell them apart as long as the order stays.
  const auto same = [&](bool name) {
    return std::find_if(devices.begin(), devices.end(), [&, name](const ModuleDevice& d) {
      return printable(d.key) == question_.key && (!name || printable(d.name) == question_.device);
    });
  };
  auto mine = same(true);
  if (mine == devices.end() && !question_.key.empty()) mine = same(false);
  if (mine == devices.end()) end(ProbeOutcome::failed, "the driver does not list the device any more");
  describe(*mine, verdict());
  if (!mine->lacks.empty()) end(ProbeOutcome::failed, mine->lacks);
  const auto index = static_cast<uint32_t>(mine - devices.begin());
  const OpenDevice open = [&module, index] { return module.open(index, {}); };
  needed("open", [&] {
    if (open() == nullptr) end(ProbeOutcome::failed, "the module opened no device and said nothing");
  });
  // Nobody uses a driver in software unless it is named; its compiler takes a while for every variant.
  if (mine->kind == ModuleDeviceKind::cpu) question_.seconds = std::min(question_.seconds, 1.0);
  probe::SpeedOptions speed;
  if (mine->kind == ModuleDeviceKind::discrete)
    speed.most_bytes = question_.sweep_bytes;  // their caches are larger
  speed.most_bytes = std::min(speed.most_bytes, std::max<uint64_t>(verdict().memory.usable / 4, 1 << 20));
  check(open, speed);
}

void Prober::check(const OpenDevice& open, probe::SpeedOptions speed) {
  verdict().outcome = ProbeOutcome::passed;
  if (question_.rates_only) return measure(open, speed);
  const auto types = probe::product_types();
  needed("allocate", [&] {
    probe::Trial trial;
    const Act x = trial.act(64);
    const std::vector<float> row(64, 0.5F);
    trial.push(Embed{x, trial.repeated_weight(DType::f32, 8, 64, row), 1});
    trial.push(Pool{x, PoolKind::none, {}, {}, 64});
    trial.program.outputs = 64;
    trial.make_ready(open, 8, 8);
  });
  const std::string first = "matmul " + std::string(type_info(types.front()).name);
  needed(first, [&] {
    const std::string wrong = probe::check_product(open, types.front());
    if (!wrong.empty()) end(ProbeOutcome::failed, first + " is " + wrong);
  });
  const uint64_t before = probe::resident_memory();
  check_variants(open);
  const uint64_t after = probe::resident_memory();
  constexpr uint64_t growth_allowed = 256ULL << 20;
  if (after > before + growth_allowed)
    end(ProbeOutcome::failed, fmt::format("memory grew by {} MiB over {} programs: the backend leaks",
                                          (after - before) >> 20, verdict().variants.size()));
  const auto& all = verdict().variants;
  const auto attends = [](const VariantVerdict& v) { return v.head_size != 0 && v.passed; };
  if (std::none_of(all.begin(), all.end(), attends))
    end(ProbeOutcome::failed, "no variant of attention gave a right result");
  if (late()) speed.longest = 0;  // the smallest sizes only
  measure(open, speed);
}

// Each is launched once and checked; one that fails says why and the others go on.
void Prober::check_variants(const OpenDevice& open) {
  const auto add = [&](const std::string& phase, VariantVerdict variant, auto&& work) {
    if (skipped(phase)) {
      variant.cause = "it killed the process that tried it";
    } else if (!verdict().variants.empty() && late()) {
      variant.cause = "not tried: time was up";
    } else {
      variant.cause = tried(phase, work);
    }
    variant.passed = variant.cause.empty();
    verdict().variants.push_back(std::move(variant));
  };
  const auto attend = [&](const char* kernel, probe::AttentionVariant variant) {
    const std::string type(to_string(variant.kv));
    add(fmt::format("{} d{} {}", kernel, variant.head_size, type), {kernel, variant.head_size, type, type},
        [&] { return probe::check_attention(open, variant); });
    return verdict().variants.back().passed;
  };
  for (probe::AttentionVariant variant : probe::attention_variants()) {
    if (attend(attend_kernel, variant)) continue;
    variant.two_pass = true;
    attend(two_pass_kernel, variant);
  }
  const auto types = probe::product_types();
  for (size_t i = 1; i < types.size(); ++i) {
    const std::string phase = fmt::format("matmul {}", type_info(types[i]).name);
    add(phase, {phase}, [&] { return probe::check_product(open, types[i]); });
    const VariantVerdict& last = verdict().variants.back();
    // A type that the device refuses is not used on it; one that it gets wrong would be.
    if (last.cause.starts_with("wrong")) end(ProbeOutcome::failed, phase + " is " + last.cause);
  }
}

// A failing measurement costs nothing but its number, unless steps eat memory.
void Prober::measure(const OpenDevice& open, const probe::SpeedOptions& speed) {
  const auto rate = [&](const std::string& phase, double& to, auto&& work) {
    if (skipped(phase)) return;
    const std::string trouble = tried(phase, [&] {
      to = work() / 1e9;
      return std::string();
    });
    if (!trouble.empty()) end(ProbeOutcome::failed, trouble);
  };
  rate("sweep", verdict().rates.memory_gbs, [&] { return probe::sweep_rate(open, speed); });
  rate("timing of generation", verdict().rates.generation_gflops,
       [&] { return probe::generation_rate(open, speed); });
  rate("timing of prompts", verdict().rates.prompt_gflops, [&] { return probe::prompt_rate(open, speed); });
  verdict().rates.load = load_between(times_, processor_times(), own_processor_seconds());
}

}  // namespace

int serve_probe(int fd) {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);  // drivers print where they should not
  try {
    Channel channel(fd);
    const Channel::Received got = channel.receive(-1);
    if (got.state != Channel::State::message) return 1;
    Prober(decode_question(got.message), channel).run();
    // Not by return: what a driver registered for the end of the process may crash, after everything was
    // said.
    ::_exit(0);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}

double probed_read_rate(const std::string& device) {
  probe::SpeedOptions speed;
  // Beside what the device holds already.
  speed.most_bytes = std::min(ProbeQuestion{}.sweep_bytes, free_memory(describe_device(device, {})) / 4);
  return probe::sweep_rate([&] { return open_device(device, {}); }, speed);
}

}  // namespace hearth
