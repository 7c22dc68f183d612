#include <fmt/format.h>

#include <algorithm>

#include "hardware/report.h"
#include "hardware/rules/list.h"

namespace hearth {
namespace {

bool concerns(const Finding& f, const DeviceLine& line) { return f.device == line.address; }

// Findings of the whole machine that keep every GPU away.
bool blocks_all(const Finding& f) {
  return f.device.empty() && (f.code == "systemd.private-devices" || f.code == "env.stale-uuid");
}

const Finding* first_about(const std::vector<Finding>& findings, const DeviceLine& line, Severity least) {
  for (const Finding& f : findings) {
    if (f.severity >= least && (concerns(f, line) || blocks_all(f))) return &f;
  }
  return nullptr;
}

std::string memory_of(const Gpu& gpu, const std::vector<const ProbeVerdict*>& verdicts) {
  for (const ProbeVerdict* v : verdicts) {
    if (v->passed() && v->memory.total != 0) return gib(v->memory.total);
  }
  if (gpu.integrated && gpu.memory.gtt_total != 0) return gib(gpu.memory.gtt_total) + " shared";
  if (gpu.memory.vram_total != 0) return gib(gpu.memory.vram_total);
  return gpu.kfd && gpu.kfd->vram != 0 ? gib(gpu.kfd->vram) : std::string();
}

std::string facts_of(const Case& c, const Gpu& gpu) {
  std::vector<std::string> parts;
  if (!gpu.gfx.empty()) parts.push_back(gpu.gfx);
  if (gpu.compute != 0)
    parts.push_back(fmt::format("compute capability {}.{}", gpu.compute / 10, gpu.compute % 10));
  if (gpu.compute_units != 0) parts.push_back(fmt::format("{} CUs", gpu.compute_units));
  const bool nvidia = gpu.driver == "nvidia" && !c.machine.nvidia.version.empty();
  if (gpu.driver.empty())
    parts.emplace_back("no driver");
  else
    parts.push_back(nvidia ? "nvidia " + c.machine.nvidia.version : gpu.driver);
  if (const std::string memory = memory_of(gpu, c.about(gpu)); !memory.empty()) parts.push_back(memory);
  return fmt::format("{}", fmt::join(parts, ", "));
}

bool about(const ChosenDevice& d, const Gpu& gpu) {
  return d.key == gpu.address || (gpu.nvidia && !d.key.empty() && gpu.nvidia->uuid == d.key);
}

void take_choice(DeviceLine& line, const ChosenDevice& d, DeviceUse use) {
  line.name = d.device;
  line.use = use;
  line.why = d.reason;
  line.cause = use == DeviceUse::used ? "" : d.cause;
}

bool was_tried(const std::vector<const ProbeVerdict*>& verdicts) {
  return std::any_of(verdicts.begin(), verdicts.end(),
                     [](const ProbeVerdict* v) { return v->outcome != ProbeOutcome::not_built; });
}

std::string without_stop(std::string sentence) {
  if (!sentence.empty() && sentence.back() == '.') sentence.pop_back();
  return sentence;
}

void judge(const Case& c, const DeviceChoice& choice, const Gpu& gpu, DeviceLine& line) {
  for (const ChosenDevice& d : choice.use) {
    if (about(d, gpu)) return take_choice(line, d, DeviceUse::used);
  }
  for (const ChosenDevice& d : choice.left) {
    if (about(d, gpu) && d.cause != "device.duplicate") return take_choice(line, d, DeviceUse::usable);
  }
  // Neither is wanted for models: it is by somebody's choice that they are not used.
  for (const char* code : {"amd.display-igpu-ignored", "pci.vfio"}) {
    const auto is_it = [&](const Finding& f) { return f.code == code && f.device == gpu.address; };
    const auto found = std::find_if(c.findings.begin(), c.findings.end(), is_it);
    if (found == c.findings.end()) continue;
    line.use = DeviceUse::usable;
    line.cause = code;
    line.why = without_stop(found->sentence);
    return;
  }
  if (const Finding* f = first_about(c.findings, line, Severity::problem)) {
    line.use = DeviceUse::refused;
    line.cause = f->code;
    line.why = without_stop(f->sentence);
    return;
  }
  const Finding* f = first_about(c.findings, line, Severity::note);
  const bool tried = was_tried(c.about(gpu));
  line.use = tried ? DeviceUse::refused : DeviceUse::usable;
  line.cause = f != nullptr ? f->code : tried ? "probe.failed" : "probe.not-run";
  line.why = f != nullptr && (tried || f->severity != Severity::note) ? without_stop(f->sentence)
             : tried                                                  ? "no backend's probe passed"
                                                                      : "not tried yet";
}

// A table's name stands for several products; the driver knows which one it is. Its own name is left out:
// "AMD Radeon RX 7900 XTX (RADV NAVI31)".
std::string product_of(const Case& c, const Gpu& gpu) {
  for (const ProbeVerdict* v : c.about(gpu)) {
    if (v->passed() && !v->key.empty() && !v->name.empty()) return v->name.substr(0, v->name.find(" (RADV"));
  }
  return gpu.name;
}

// Whether its rates come from a busy machine, and are lower than what it reaches.
void note_probe(const ProbeVerdict& v, DeviceLine& line) {
  if (v.taken < line.probed) return;
  line.probed = v.taken;
  line.busy.clear();
  const ProcessorLoad& load = v.rates.load;
  if (!v.passed() || !load.busy()) return;
  line.busy = fmt::format("others took {:.0f} % of the processors{}; measured again when the machine is idle",
                          100 * load.others,
                          load.stolen >= 0.01 ? fmt::format(", the host {:.0f} %", 100 * load.stolen) : "");
}

DeviceLine line_of(const Case& c, const DeviceChoice& choice, const Gpu& gpu) {
  DeviceLine line;
  line.address = gpu.address;
  line.product = product_of(c, gpu);
  line.facts = facts_of(c, gpu);
  for (const ProbeVerdict* v : c.about(gpu)) note_probe(*v, line);
  if (gpu.vendor == Vendor::other) {
    line.use = DeviceUse::display;
    line.why = "no device for computing";
  } else {
    judge(c, choice, gpu, line);
  }
  return line;
}

// Those whose probe did not pass.
void add_refused(const Case& c, Report& report) {
  for (const ProbeVerdict& v : c.verdicts) {
    const auto listed = [&](const DeviceLine& l) { return l.address == v.key; };
    if (v.passed() || v.outcome == ProbeOutcome::not_built || !c.unlisted(v) ||
        std::any_of(report.devices.begin(), report.devices.end(), listed))
      continue;
    DeviceLine line;
    line.address = v.key;
    line.product = v.name;
    line.facts = v.driver;
    note_probe(v, line);
    const Finding* f = first_about(c.findings, line, Severity::warning);
    line.name = v.device;
    line.use = DeviceUse::refused;
    line.cause = f != nullptr ? f->code : "probe.failed";
    line.why = f != nullptr ? without_stop(f->sentence) : "no backend's probe passed";
    report.devices.push_back(std::move(line));
  }
}

// Devices that only a driver knows: WSL, Vulkan on a CPU.
void add_unlisted(const Case& c, Report& report) {
  const auto add = [&](const ChosenDevice& d, DeviceUse use) {
    if (d.backend == "cpu" || d.cause == "device.duplicate") return;
    const auto has = [&](const DeviceLine& l) { return l.name == d.device; };
    if (std::any_of(report.devices.begin(), report.devices.end(), has)) return;
    DeviceLine line;
    line.address = d.key;
    for (const ProbeVerdict& v : c.verdicts) {
      if (v.device != d.device) continue;
      line.product = v.name;
      line.facts = v.driver;
      note_probe(v, line);
    }
    take_choice(line, d, use);
    report.devices.push_back(std::move(line));
  };
  for (const ChosenDevice& d : report.choice.use) add(d, DeviceUse::used);
  for (const ChosenDevice& d : report.choice.left) add(d, DeviceUse::usable);
}

std::string_view widest_set(const Processor& p) {
  if (p.has("amx_bf16")) return "AMX";
  if (p.has("avx512_vnni")) return "AVX-512 with VNNI";
  if (p.has("avx512f")) return "AVX-512";
  if (p.has("avx2")) return "AVX2";
  if (p.has("avx")) return "AVX";
  if (p.has("sse4_2")) return "SSE4.2";
  return p.has("asimd") ? "NEON" : p.known ? "no AVX" : "";
}

DeviceLine cpu_line(const Case& c, const DeviceChoice& choice) {
  const Processor& p = c.machine.processor;
  DeviceLine line;
  line.name = "cpu";
  line.product = p.model.empty() ? "processor" : p.model;
  std::vector<std::string> parts;
  const uint32_t allowed = p.allowed_count != 0 ? p.allowed_count : p.logical;
  if (allowed != 0)
    parts.push_back(p.logical > allowed ? fmt::format("{} of {} processors", allowed, p.logical)
                                        : fmt::format("{} processor{}", allowed, allowed == 1 ? "" : "s"));
  if (p.quota > 0) parts.push_back(fmt::format("quota {:.3g}", p.quota));
  if (!widest_set(p).empty()) parts.emplace_back(widest_set(p));
  line.facts = fmt::format("{}", fmt::join(parts, ", "));
  line.use = DeviceUse::usable;
  line.why = "HEARTH_DEVICES does not name it";
  for (const ChosenDevice& d : choice.use) {
    if (d.device == "cpu") take_choice(line, d, DeviceUse::used);
  }
  for (const ProbeVerdict& v : c.verdicts) {
    if (v.backend == "cpu") note_probe(v, line);
  }
  return line;
}

std::string system_of(const Inventory& m) {
  std::vector<std::string> parts;
  const Whereabouts& s = m.surroundings;
  if (!s.distribution_name.empty()) parts.push_back(s.distribution_name);
  if (!m.system.release.empty()) parts.push_back("Linux " + m.system.release);
  if (s.contained()) parts.push_back(fmt::format("in a container ({})", to_string(s.container)));
  if (s.wsl) parts.emplace_back("WSL");
  if (s.jetson) parts.emplace_back("Jetson");
  if (!s.unit.empty()) parts.push_back("unit " + s.unit);
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string memory_of(const MemoryFacts& m) {
  if (m.total == 0) return {};
  std::string out = fmt::format("{}, {} available", gib(m.total), gib(m.available));
  if (m.limit != 0) out += fmt::format(", limited to {} by a control group", gib(m.limit));
  return out;
}

// What blocks one backend costs little where another one works.
void soften(Report& report) {
  for (Finding& f : report.findings) {
    const auto works = [&](const DeviceLine& l) {
      return l.address == f.device &&
             (l.use == DeviceUse::used || (l.use == DeviceUse::usable && !l.name.empty()));
    };
    if (f.severity == Severity::problem && !f.device.empty() && f.code != "kv.no-gpu-kernel" &&
        std::any_of(report.devices.begin(), report.devices.end(), works))
      f.severity = Severity::warning;
  }
}

}  // namespace

Report examine(const Inventory& machine, const std::vector<ProbeVerdict>& verdicts, const Wanted& wanted) {
  Case c(machine, verdicts, wanted);
  for (const Rule rule : rules()) rule(c);
  Report report;
  report.choice = choose_devices(machine, verdicts, machine.environment);
  report.system = system_of(machine);
  report.memory = memory_of(machine.memory);
  for (const Gpu& gpu : machine.gpus) report.devices.push_back(line_of(c, report.choice, gpu));
  add_unlisted(c, report);
  add_refused(c, report);
  report.devices.push_back(cpu_line(c, report.choice));
  report.findings = std::move(c.findings);
  soften(report);
  std::stable_sort(report.findings.begin(), report.findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return report;
}

}  // namespace hearth
