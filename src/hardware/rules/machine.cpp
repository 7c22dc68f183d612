// Processor, memory, configuration.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cmath>

#include "hardware/policy.h"
#include "hardware/rules/list.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

constexpr uint64_t one_gib = uint64_t{1} << 30;

bool contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

// A core of Intel's fourth generation or later, or any Ryzen: they have AVX2 unless the firmware says no.
bool surely_has_avx2(std::string_view model) {
  if (contains(model, "Ryzen") || contains(model, "EPYC") || contains(model, "Core(TM) Ultra")) return true;
  const size_t at = model.find("Core(TM) i");
  if (at == std::string_view::npos)
    return contains(model, "Xeon(R) Gold") || contains(model, "Xeon(R) Platinum");
  const size_t dash = model.find('-', at);
  if (dash == std::string_view::npos) return false;
  std::string digits;
  for (size_t i = dash + 1; i < model.size() && std::isdigit(static_cast<unsigned char>(model[i])) != 0; ++i)
    digits += model[i];
  if (digits.size() == 5) return true;
  return digits.size() == 4 && digits[0] >= '4';
}

bool generic_model(std::string_view model) {
  return contains(model, "Common KVM processor") || contains(model, "QEMU Virtual CPU") ||
         contains(model, "Common 32-bit KVM");
}

std::string cleared_flags(const Case& c) {
  for (const std::string& word : c.machine.surroundings.kernel_arguments) {
    if (word.starts_with("clearcpuid=")) return word;
  }
  return {};
}

struct Wrong {
  std::string_view word;
  bool hearth_reads_it;  // as a no; the others it does not know
};
constexpr std::array wrong_words{Wrong{"off", true},      Wrong{"no", true},        Wrong{"none", false},
                                 Wrong{"disable", false}, Wrong{"disabled", false}, Wrong{"n", false}};
constexpr std::array booleans{"FLASH_ATTENTION", "SCHED_SPREAD", "NOPRUNE",   "VULKAN",
                              "IGPU_ENABLE",     "GO_TEMPLATE",  "NOHISTORY", "DEBUG_LOG_REQUESTS",
                              "DEBUG",           "NO_CLOUD"};

}  // namespace

void processor_quota(Case& c) {
  const Processor& p = c.machine.processor;
  if (p.quota <= 0) return;
  const auto most = static_cast<uint32_t>(std::max(1.0, std::floor(p.quota)));
  const uint64_t setting = number_or(c.machine.setting("THREADS"), 0);
  const uint64_t threads = c.wanted.threads != 0 ? c.wanted.threads : setting;
  if (threads <= most) return;
  const Whereabouts& s = c.machine.surroundings;
  const std::string container = s.container_id.empty() ? "CONTAINER" : s.container_id;
  const char* what = c.wanted.threads != 0 ? "num_thread" : "HEARTH_THREADS";
  std::string raise = fmt::format("`docker update --cpus {} {}`", threads, container);
  if (!s.contained())
    raise = s.unit.empty()
                ? fmt::format("the limit of {}", p.quota_folder)
                : fmt::format("`sudo systemctl set-property {} CPUQuota={}%`", s.unit, threads * 100);
  c.add(
      {.code = "cpu.quota",
       .severity = Severity::warning,
       .sentence =
           fmt::format("{} threads on a {:.3g}-CPU quota: the kernel stops them in turn{}.", threads, p.quota,
                       p.throttled != 0 ? fmt::format(" ({} times so far)", p.throttled) : ""),
       .fix = {fmt::format("remove `{0}` from {1} or set it to {2}; or raise the limit: {3}", what,
                           c.wanted.threads != 0 ? "the request/Modelfile" : "the environment", most, raise),
               {}},
       .result = fmt::format("without {}: {} thread{}", what, most, most == 1 ? "" : "s")});
}

void processor_features(Case& c) {
  const Processor& p = c.machine.processor;
  if (!p.known || p.has("avx2") || c.machine.system.machine == "aarch64" || p.has("asimd")) return;
  if (const std::string word = cleared_flags(c); !word.empty()) {
    c.add({.code = "cpu.cleared",
           .severity = Severity::warning,
           .sentence = fmt::format("The kernel was told to hide features of the processor: {}.", word),
           .fix = c.remedies.without_kernel_argument(word)});
  } else if (p.has("hypervisor") && (generic_model(p.model) || !p.has("avx"))) {
    c.add({.code = "cpu.masked",
           .severity = Severity::warning,
           .sentence = fmt::format("The virtual machine hides AVX/AVX2 of its host (\"{}\").", p.model),
           .fix =
               {"on the host; Proxmox: `qm set {vmid} --cpu host`; libvirt: `<cpu mode='host-passthrough'/>`",
                {},
                true},
           .result = "the kernels of SSE, several times slower"});
  } else if (!p.has("hypervisor") && surely_has_avx2(p.model)) {
    c.add({.code = "cpu.avx-off",
           .severity = Severity::warning,
           .sentence = fmt::format("AVX2 is switched off in the firmware of this {}.", p.model),
           .fix = {"BIOS: enable AVX/AVX2", {}},
           .result = "the kernels of SSE, several times slower"});
  }
}

void memory_limit(Case& c) {
  const MemoryFacts& m = c.machine.memory;
  if (m.limit == 0 || c.wanted.model_bytes <= m.limit) return;
  if (choose_devices(c.machine, c.verdicts, c.machine.environment).uses_gpu()) return;
  // Cache and working memory come on top of the weights.
  const uint64_t need = (c.wanted.model_bytes + c.wanted.model_bytes / 10 + 2 * one_gib - 1) / one_gib;
  const Whereabouts& s = c.machine.surroundings;
  const std::string raise =
      s.contained()     ? fmt::format(" (`--memory {}g`)", need)
      : !s.unit.empty() ? fmt::format(" (`sudo systemctl set-property {} MemoryMax={}G`)", s.unit, need)
                        : "";
  c.add({.code = "mem.cgroup",
         .severity = Severity::problem,
         .sentence = fmt::format(
             "The {}'s {} limit also counts the mapped model ({}); it would thrash or be killed.",
             s.contained() ? "container" : "control group", gib(m.limit), gib(c.wanted.model_bytes)),
         .fix = {fmt::format("raise it to ≥ {} GiB{} or take a smaller quantization (at most {} of weights)",
                             need, raise, gib(m.limit - m.limit / 8 - std::min(m.limit / 4, one_gib))),
                 {}},
         .result = "the load is refused with these numbers"});
}

// A pair of types that no attention of the device reads.
void cache_types(Case& c) {
  if (c.wanted.k.empty() && c.wanted.v.empty()) return;
  const std::string k = c.wanted.k.empty() ? "f16" : c.wanted.k, v = c.wanted.v.empty() ? "f16" : c.wanted.v;
  for (const Gpu& gpu : c.machine.gpus) {
    for (const ProbeVerdict* verdict : c.about(gpu)) {
      if (!verdict->passed() || verdict->variants.empty()) continue;
      const auto runs = [&](std::string_view a, std::string_view b) {
        return std::any_of(verdict->variants.begin(), verdict->variants.end(),
                           [&](const VariantVerdict& x) { return x.passed && x.k == a && x.v == b; });
      };
      if (runs(k, v)) continue;
      c.add({.code = "kv.no-gpu-kernel",
             .device = gpu.address,
             .severity = Severity::problem,
             .sentence = fmt::format(
                 "{} has no attention for keys of {} and values of {} on the {}: it would run on the "
                 "CPU.",
                 verdict->backend, k, v, gpu.name),
             .fix = {runs("q8_0", "q8_0") ? "use q8_0/q8_0 (or f16)" : "use f16",
                     {runs("q8_0", "q8_0") ? "export OLLAMA_KV_CACHE_TYPE=q8_0"
                                           : "unset OLLAMA_KV_CACHE_TYPE"}},
             .result = "the load is refused"});
    }
  }
}

void boolean_settings(Case& c) {
  for (const char* name : booleans) {
    std::string value = c.machine.setting(name);
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char x) { return static_cast<char>(std::tolower(x)); });
    const auto wrong =
        std::find_if(wrong_words.begin(), wrong_words.end(), [&](const Wrong& w) { return w.word == value; });
    if (wrong == wrong_words.end()) continue;
    const bool own = !c.machine.variable(std::string("HEARTH_") + name).empty();
    const std::string variable = std::string(own ? "HEARTH_" : "OLLAMA_") + name;
    const char* here =
        wrong->hearth_reads_it ? "hearth takes it for a no" : "hearth does not know it and keeps the default";
    c.add({.code = "config.bool",
           .severity = Severity::warning,
           .sentence = fmt::format(
               "{}={}: \"{}\" is no boolean of Ollama, for which any other text than 0 and false means "
               "on, the opposite of what was written; {}.",
               variable, value, value, here),
           .fix = c.remedies.set_variable(variable, "0"),
           .result = std::string_view(name) == "FLASH_ATTENTION"
                         ? without_flash_attention(c.machine.environment)
                         : ""});
  }
}

void flash_attention(Case& c) {
  const std::string meaning = without_flash_attention(c.machine.environment);
  const auto said = [&](const Finding& f) { return f.result == meaning; };
  if (meaning.empty() || std::any_of(c.findings.begin(), c.findings.end(), said)) return;
  c.add(
      {.code = "config.flash-attention",
       .severity = Severity::note,
       .sentence = meaning + ".",
       .fix = {
           "unset it, if it is a remnant of another server: the probe checks each variant of attention, and "
           "what computes wrong is not used",
           {}}});
}

// Said only where it could have explained something.
void unreadable_log(Case& c) {
  if (c.machine.log.error == 0 || c.machine.surroundings.contained()) return;
  const bool wanted = std::any_of(c.findings.begin(), c.findings.end(), [](const Finding& f) {
    return f.severity == Severity::problem && !f.device.empty();
  });
  if (!wanted) return;
  c.add({.code = "log.unreadable",
         .severity = Severity::note,
         .sentence = "The kernel's log is not readable for this account (dmesg_restrict): causes that only "
                     "it tells are "
                     "not seen.",
         .fix = {"", {"sudo hearth doctor"}}});
}

}  // namespace hearth
