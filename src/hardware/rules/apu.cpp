// Parts of processors: their memory is the system's.
#include <fmt/format.h>

#include <algorithm>

#include "hardware/rules/list.h"

namespace hearth {
namespace {

constexpr uint64_t page = 4096, one_gib = uint64_t{1} << 30;

uint64_t gib_up(uint64_t bytes) { return (bytes + one_gib - 1) / one_gib; }

bool uses_shared_memory(const Gpu& gpu) {
  return gpu.integrated && gpu.driver == "amdgpu" && !gpu.display_only() && gpu.memory.vram_total != 0 &&
         gpu.memory.gtt_total > gpu.memory.vram_total;
}

void budget(Case& c, const Gpu& gpu) {
  const AmdMemory& m = gpu.memory;
  std::string model;
  if (c.wanted.model_bytes != 0) {
    const bool fits = c.wanted.model_bytes < m.gtt_total;
    model = fmt::format(" The model ({}) {}.", gib(c.wanted.model_bytes), fits ? "fits" : "does not fit");
  }
  Fix fix{"none", {}};
  // Three quarters of the memory leave the system room; more than the kernel's half is why anyone asks.
  const uint64_t pages = c.machine.memory.total / page * 3 / 4;
  if (pages * page > m.gtt_total) {
    fix = c.remedies.module_option("ttm", fmt::format("pages_limit={}", pages));
    fix = {fmt::format("none needed. To allow the GPU {} of memory: {}", gib(pages * page), fix.text), {}};
  }
  c.add({.code = "amd.apu.gtt-budget",
         .device = gpu.address,
         .severity = Severity::note,
         .sentence = fmt::format(
             "{} is only the BIOS carve-out; {} of RAM are usable by the GPU.{} No BIOS change is "
             "needed.",
             gib(m.vram_total), gib(m.gtt_total), model),
         .fix = std::move(fix)});
}

void old_kernel(Case& c, const Gpu& gpu) {
  const Whereabouts& s = c.machine.surroundings;
  const uint64_t want = c.wanted.model_bytes != 0 ? c.wanted.model_bytes + one_gib : gpu.memory.gtt_total / 2;
  c.add(
      {.code = "amd.apu.old-kernel",
       .device = gpu.address,
       .severity = c.passed(gpu, "vulkan") ? Severity::note : Severity::warning,
       .sentence = fmt::format(
           "Before Linux 6.10 (here {}.{}) ROCm can only use the carve-out of an APU ({}); Vulkan "
           "uses both.",
           s.kernel_major, s.kernel_minor, gib(gpu.memory.vram_total)),
       .fix = {fmt::format("update to Linux ≥ 6.10, or raise \"UMA frame buffer size\" in the BIOS to {} GiB",
                           gib_up(want)),
               {}},
       .result = "used through Vulkan"});
}

}  // namespace

void amd_apu(Case& c) {
  for (const Gpu* gpu : c.gpus(Vendor::amd)) {
    if (!uses_shared_memory(*gpu)) continue;
    if (c.machine.surroundings.kernel_since(6, 10))
      budget(c, *gpu);
    else if (c.machine.surroundings.kernel_major != 0)
      old_kernel(c, *gpu);
  }
}

void display_igpu(Case& c) {
  const Gpu* card = c.card();
  if (card == nullptr) return;
  for (const Gpu& gpu : c.machine.gpus) {
    if (!c.only_for_a_screen(gpu)) continue;
    c.add({.code = "amd.display-igpu-ignored",
           .device = gpu.address,
           .severity = Severity::note,
           .sentence = fmt::format("The {}-CU display part of the CPU is not used for models; the {} is.",
                                   gpu.compute_units == 0 ? 2 : gpu.compute_units, card->name),
           .fix = {"none. To use it anyway: `OLLAMA_IGPU_ENABLE=1`", {}}});
  }
}

}  // namespace hearth
