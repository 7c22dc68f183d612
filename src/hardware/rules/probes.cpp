// What probes found that is worth telling, and what nothing else explains.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hardware/rules/list.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

bool real_gpu(const Gpu& gpu) { return gpu.vendor != Vendor::other; }

bool has_manifest(const Case& c, std::initializer_list<std::string_view> words) {
  return std::any_of(
      c.machine.vulkan.manifests.begin(), c.machine.vulkan.manifests.end(), [&](const std::string& path) {
        return std::any_of(words.begin(), words.end(),
                           [&](std::string_view w) { return path.find(w) != std::string::npos; });
      });
}

bool has_vulkan_driver(const Case& c, const Gpu& gpu) {
  // Where it serves another card of this kernel driver, it is there.
  const auto served = [&](const Gpu& g) { return g.driver == gpu.driver && c.passed(g, "vulkan"); };
  if (std::any_of(c.machine.gpus.begin(), c.machine.gpus.end(), served)) return true;
  if (gpu.vendor == Vendor::amd) return has_manifest(c, {"radeon", "amd_icd"});
  if (gpu.vendor == Vendor::intel) return has_manifest(c, {"intel"});
  return has_manifest(c, gpu.driver == "nouveau" ? std::initializer_list<std::string_view>{"nouveau"}
                                                 : std::initializer_list<std::string_view>{"nvidia"});
}

Fix install_vulkan_driver(const Case& c, const Gpu& gpu) {
  if (gpu.vendor == Vendor::nvidia && gpu.driver == "nvidia") {
    return c.remedies.install({"nvidia-vulkan-icd", "libnvidia-gl-580", "xorg-x11-drv-nvidia-libs",
                               "nvidia-utils", "nvidia-gl-G06", "hardware.graphics.enable = true;"});
  }
  const char* arch = gpu.vendor == Vendor::amd     ? "vulkan-radeon"
                     : gpu.vendor == Vendor::intel ? "vulkan-intel"
                                                   : "vulkan-nouveau";
  return c.remedies.install({"mesa-vulkan-drivers", "mesa-vulkan-drivers", "mesa-vulkan-drivers", arch,
                             "libvulkan_radeon", "hardware.graphics.enable = true;"});
}

// NVIDIA's driver is linked with X11's client libraries, which images of containers seldom have.
Fix install_missing_libraries(const Case& c, const Gpu& gpu) {
  if (gpu.vendor != Vendor::nvidia) return install_vulkan_driver(c, gpu);
  if (c.machine.surroundings.contained())
    return {"install libx11-6 and libxext6 (Debian's and Ubuntu's names) in the container's image", {}};
  return c.remedies.install({"libx11-6 libxext6", "libx11-6 libxext6", "libX11 libXext", "libx11 libxext",
                             "libX11-6 libXext6", "hardware.graphics.enable = true;"});
}

std::string last_line(const std::string& text) {
  const std::vector<std::string_view> lines = lines_in(trimmed(text));
  return lines.empty() ? std::string() : std::string(trimmed(lines.back()));
}

// "cuInit answered 999 (unknown error)", "died by signal 11 at launch attend d256: Memory access fault"
std::string what_happened(const ProbeVerdict& v) {
  std::string out;
  if (v.outcome == ProbeOutcome::timed_out)
    out = "did not end in time";
  else if (v.signal != 0)
    out = fmt::format("died by signal {}", v.signal);
  else if (v.outcome == ProbeOutcome::crashed)
    out = fmt::format("ended with exit code {}", v.exit_code);
  else if (!v.replies.empty())
    out = fmt::format("{} answered {}{}", v.replies.back().call, v.replies.back().code,
                      v.replies.back().text.empty() ? "" : " (" + v.replies.back().text + ")");
  else
    out = "failed";
  if (!v.phase.empty()) out += fmt::format(" in the step '{}'", v.phase);
  if (out.starts_with("failed") && !v.cause.empty()) out += ": " + v.cause;
  const std::string last = last_line(v.stderr_tail);
  return last.empty() ? out : out + ": " + last;
}

bool went_wrong(const ProbeVerdict& v) {
  return v.outcome == ProbeOutcome::failed || v.outcome == ProbeOutcome::crashed ||
         v.outcome == ProbeOutcome::timed_out;
}

// What another finding has said already: it is not what is wrong with the card.
bool explained(const Case& c, const Gpu& gpu, const ProbeVerdict& v) {
  static constexpr std::array rocm{"amd.apu.old-kernel", "amd.kfd.no-atomics", "amd.firmware-old-atomics"};
  const auto found = [&](const char* code) { return c.found(code, gpu.address); };
  if (v.backend == "rocm") return std::any_of(rocm.begin(), rocm.end(), found);
  return v.backend == "cuda" && found("nv.kepler");
}

const char* code_of(const ProbeVerdict& v) {
  if (v.outcome == ProbeOutcome::timed_out) return "probe.timed-out";
  return v.outcome == ProbeOutcome::crashed ? "probe.crashed" : "probe.failed";
}

}  // namespace

// The loader is there, and no driver for the card, or one that cannot be loaded.
void vulkan_drivers(Case& c) {
  if (!c.probed("vulkan")) return;
  const auto broken = std::find_if(c.verdicts.begin(), c.verdicts.end(), [](const ProbeVerdict& v) {
    return v.backend == "vulkan" && v.cause.starts_with("no Vulkan driver can be loaded: ");
  });
  const bool no_loader = std::any_of(c.verdicts.begin(), c.verdicts.end(), [](const ProbeVerdict& v) {
    return v.backend == "vulkan" && v.outcome == ProbeOutcome::no_loader;
  });
  for (const Gpu& gpu : c.machine.gpus) {
    if (!real_gpu(gpu) || c.only_for_a_screen(gpu) || gpu.driver.empty() || gpu.driver == "vfio-pci" ||
        c.passed(gpu) || c.blocked(gpu.address))
      continue;
    if (no_loader) {
      c.add(
          {.code = "vk.no-loader",
           .device = gpu.address,
           .sentence = "The Vulkan loader (libvulkan.so.1) is not installed.",
           .fix = c.remedies.install({"libvulkan1 mesa-vulkan-drivers", "libvulkan1 mesa-vulkan-drivers",
                                      "vulkan-loader mesa-vulkan-drivers", "vulkan-icd-loader vulkan-radeon",
                                      "libvulkan1 libvulkan_radeon", "hardware.graphics.enable = true;"})});
    } else if (!has_vulkan_driver(c, gpu)) {
      const char* whose = gpu.driver == "nvidia" ? "NVIDIA's" : "Mesa's";
      c.add({.code = "vk.no-icd",
             .device = gpu.address,
             .sentence = fmt::format("{} Vulkan driver is not installed: Vulkan sees no GPU.", whose),
             .fix = install_vulkan_driver(c, gpu)});
    } else if (broken != c.verdicts.end()) {
      c.add({.code = "vk.icd-incomplete",
             .device = gpu.address,
             .sentence = fmt::format("Vulkan sees no GPU: {}.", broken->cause),
             .fix = install_missing_libraries(c, gpu)});
    }
  }
}

void vulkan_allocation(Case& c) {
  if (c.wanted.largest_buffer == 0) return;
  for (const Gpu& gpu : c.machine.gpus) {
    for (const ProbeVerdict* v : c.about(gpu, "vulkan")) {
      const uint64_t most = v->memory.largest_allocation;
      if (!v->passed() || most == 0 || most >= c.wanted.largest_buffer) continue;
      const bool amdvlk = v->driver.find("AMDVLK") != std::string::npos ||
                          v->driver.find("AMD proprietary") != std::string::npos;
      c.add(
          {.code = "vk.alloc-cap",
           .device = gpu.address,
           .severity = Severity::note,
           .sentence = fmt::format("The Vulkan driver ({}) gives at most {} in one piece; the plan wants {}.",
                                   v->driver, gib(most), gib(c.wanted.largest_buffer)),
           .fix = {std::string("none: hearth splits it") +
                       (amdvlk ? ". Faster: install RADV (`mesa-vulkan-drivers`) and remove AMDVLK" : ""),
                   {}}});
    }
  }
}

// A variant that failed where another one does its work.
void attention_variants(Case& c) {
  for (const Gpu& gpu : c.machine.gpus) {
    for (const ProbeVerdict* v : c.about(gpu)) {
      for (const VariantVerdict& bad : v->variants) {
        if (bad.passed || bad.head_size == 0 || bad.kernel == two_pass_kernel) continue;
        const auto same = [&](const VariantVerdict& o) {
          return o.passed && o.head_size == bad.head_size && o.k == bad.k && o.v == bad.v;
        };
        const auto other = std::find_if(v->variants.begin(), v->variants.end(), same);
        const bool replaced = other != v->variants.end();
        c.add(
            {.code =
                 fmt::format("{}.fa.{}", to_string(gpu.vendor), replaced ? "variant-refused" : "no-variant"),
             .device = gpu.address,
             .severity = replaced ? Severity::note : Severity::warning,
             .sentence =
                 replaced ? fmt::format(
                                "The attention variant '{}' for heads of {} does not run on this GPU with {} "
                                "({}); '{}' is used.",
                                bad.kernel, bad.head_size, v->driver.empty() ? v->backend : v->driver,
                                bad.cause, other->kernel)
                          : fmt::format(
                                "No attention variant for heads of {} with a cache of {}/{} runs here ({}): "
                                "models with them are not loaded on it.",
                                bad.head_size, bad.k, bad.v, bad.cause),
             .fix = {replaced ? "none; the cost is shown by `hearth bench`" : "another type of the cache",
                     {}},
             .result = !replaced ? ""
                       : other->kernel == two_pass_kernel
                           ? "attention takes two passes there, quantized caches stay available"
                           : "flash attention stays on, quantized caches stay available"});
      }
    }
  }
}

void missing_modules(Case& c) {
  for (const Gpu& gpu : c.machine.gpus) {
    if (!real_gpu(gpu)) continue;
    std::string names;
    for (const ProbeVerdict* v : c.about(gpu)) {
      if (v->outcome == ProbeOutcome::not_built)
        names += (names.empty() ? "" : " and ") + std::string(v->backend == "cuda"   ? "CUDA"
                                                              : v->backend == "rocm" ? "ROCm"
                                                                                     : "Vulkan");
    }
    if (names.empty()) continue;
    const bool vulkan = c.passed(gpu, "vulkan");
    c.add({.code = "build.no-module",
           .device = gpu.address,
           .severity = vulkan ? Severity::note : Severity::warning,
           .sentence = fmt::format("This build has no {} module{}.", names,
                                   vulkan ? "; the GPU is used through Vulkan" : ""),
           .fix = {vulkan
                       ? "none"
                       : "a build with the Vulkan module reaches this GPU (HEARTH_BACKENDS names its folder)",
                   {}}});
  }
}

void unexplained(Case& c) {
  for (const Gpu& gpu : c.machine.gpus) {
    if (!real_gpu(gpu) || c.blocked(gpu.address) || c.only_for_a_screen(gpu)) continue;
    for (const ProbeVerdict* v : c.about(gpu)) {
      if (!went_wrong(*v) || v->kind == "cpu" || explained(c, gpu, *v)) continue;
      const bool other = c.passed(gpu);
      c.add(
          {.code = code_of(*v),
           .device = gpu.address,
           .severity = other ? Severity::warning : Severity::problem,
           .sentence = fmt::format("The probe of {} on the {} {}.", v->backend, gpu.name, what_happened(*v)),
           .fix = {"report it with the file that this writes", {"hearth doctor --record machine.txt"}},
           .result = other ? "used through another backend" : ""});
    }
  }
  // Devices that only a driver knows: of a system on a chip, in WSL.
  for (const ProbeVerdict& v : c.verdicts) {
    if (!went_wrong(v) || !c.unlisted(v)) continue;
    const auto same = [&](const ProbeVerdict& o) { return o.key == v.key && o.passed(); };
    const bool other = std::any_of(c.verdicts.begin(), c.verdicts.end(), same);
    c.add({.code = code_of(v),
           .device = v.key,
           .severity = other ? Severity::warning : Severity::problem,
           .sentence = fmt::format("The probe of {} on the {} {}.", v.backend,
                                   v.name.empty() ? v.device : v.name, what_happened(v)),
           .fix = {"report it with the file that this writes", {"hearth doctor --record machine.txt"}},
           .result = other ? "used through another backend" : ""});
  }
}

void unknown_devices(Case& c) {
  for (const Gpu& gpu : c.machine.gpus) {
    if (gpu.known || (gpu.vendor != Vendor::amd && gpu.vendor != Vendor::nvidia)) continue;
    c.add({.code = "device.unknown",
           .device = gpu.address,
           .severity = Severity::note,
           .sentence = fmt::format("The {} is unknown to this version: it is tried all the same.", gpu.name),
           .fix = {"none", {}}});
  }
}

}  // namespace hearth
