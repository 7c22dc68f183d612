// Variables that hide devices or choose among them.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hardware/policy.h"
#include "hardware/rules/list.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

std::string joined_uuids(const Case& c) {
  std::string out;
  for (const Gpu* gpu : c.gpus(Vendor::nvidia)) {
    if (gpu->nvidia && !gpu->nvidia->uuid.empty()) out += (out.empty() ? "" : ", ") + gpu->nvidia->uuid;
  }
  return out;
}

// CUDA_VISIBLE_DEVICES=GPU-8f1e… of a card that is not there any more.
bool stale_uuid(Case& c) {
  const std::string value = c.machine.variable("CUDA_VISIBLE_DEVICES");
  const std::string uuids = joined_uuids(c);
  if (uuids.empty()) return false;
  for (const std::string& word : words_in(value, ", ")) {
    if (!word.starts_with("GPU-") || uuids.find(word) != std::string::npos) continue;
    Fix fix = c.remedies.drop_variable("CUDA_VISIBLE_DEVICES");
    fix.text = fmt::format("remove it or set one of: {}. {}", uuids, fix.text);
    c.add({.code = "env.stale-uuid",
           .severity = Severity::problem,
           .sentence = fmt::format(
               "CUDA_VISIBLE_DEVICES selects {}, and no such GPU exists (a replaced card?).", word),
           .fix = std::move(fix)});
    return true;
  }
  return false;
}

// A filter that was meant for NVIDIA's cards, which ROCm obeys too.
void filter_of_another(Case& c) {
  const std::string value = c.machine.variable("CUDA_VISIBLE_DEVICES");
  if (value.empty() || !c.machine.variable("ROCR_VISIBLE_DEVICES").empty()) return;
  for (const Gpu* gpu : c.gpus(Vendor::amd)) {
    if (!gpu->kfd || !gpu->kfd->gpu()) continue;
    c.add({.code = "env.hides-amd",
           .device = gpu->address,
           .severity = Severity::note,
           .sentence = fmt::format(
               "ROCm also obeys CUDA_VISIBLE_DEVICES (here {}), which would hide this GPU.", value),
           .fix = {"none for hearth: it applies CUDA_VISIBLE_DEVICES to NVIDIA devices only and starts the "
                   "AMD worker "
                   "without it (AMD selection: ROCR_VISIBLE_DEVICES). For other ROCm programs: `unset "
                   "CUDA_VISIBLE_DEVICES`",
                   {}},
           .result = "the AMD GPU is used"});
  }
}

void hidden_cards(Case& c, bool stale) {
  for (const Gpu& gpu : c.machine.gpus) {
    const std::string variable = hidden_by(c.machine, c.machine.environment, gpu);
    if (variable.empty() || (stale && gpu.vendor == Vendor::nvidia)) continue;
    c.add({.code = "env.visible-devices",
           .device = gpu.address,
           .severity = Severity::warning,
           .sentence = fmt::format("{}={} hides the {}.", variable, c.machine.variable(variable), gpu.name),
           .fix = c.remedies.drop_variable(variable)});
  }
}

void vulkan_variables(Case& c) {
  static constexpr std::array names{"VK_ICD_FILENAMES", "VK_DRIVER_FILES", "VK_LOADER_DRIVERS_DISABLE"};
  for (const char* name : names) {
    const std::string value = c.machine.variable(name);
    if (value.empty() || !c.probed("vulkan")) continue;
    const bool all = std::all_of(c.machine.gpus.begin(), c.machine.gpus.end(), [&](const Gpu& g) {
      return g.vendor == Vendor::other || c.passed(g, "vulkan");
    });
    if (all) continue;
    c.add({.code = "env.vulkan-drivers",
           .severity = Severity::warning,
           .sentence = fmt::format(
               "{}={} restricts Vulkan to some drivers, and not every GPU has one of them.", name, value),
           .fix = c.remedies.drop_variable(name)});
  }
}

}  // namespace

void hidden_devices(Case& c) {
  const bool stale = stale_uuid(c);
  filter_of_another(c);
  hidden_cards(c, stale);
  vulkan_variables(c);
}

namespace {

// No probe has said yet whether there is a device of this name.
bool untried(const Case& c, const std::string& name) {
  for (const char* backend : {"vulkan", "cuda", "rocm"}) {
    if (name.starts_with(backend)) return !c.probed(backend);
  }
  for (const Gpu& gpu : c.machine.gpus) {
    if (gpu.address == name || gpu.address == "0000:" + name) return c.about(gpu).empty();
  }
  return false;
}

}  // namespace

void chosen_backend(Case& c) {
  const DeviceChoice choice = choose_devices(c.machine, c.verdicts, c.machine.environment);
  const auto prefixed = [&](const char* name) {
    return std::string(c.machine.variable(std::string("HEARTH_") + name).empty() ? "OLLAMA_" : "HEARTH_") +
           name;
  };
  for (const ChosenDevice& d : choice.left) {
    const bool library = d.cause == "env.llm-library", vulkan = d.cause == "env.vulkan-off";
    const bool numbers = d.cause == "env.visible-devices" && d.reason.starts_with("GGML");
    if (!library && !vulkan && !numbers && d.cause != "env.devices" && d.cause != "env.igpu-off") continue;
    const auto is_used = [&](const ChosenDevice& u) { return u.key == d.key; };
    if (std::any_of(choice.use.begin(), choice.use.end(), is_used)) continue;  // through another backend
    const std::string variable = library                     ? prefixed("LLM_LIBRARY")
                                 : vulkan                    ? prefixed("VULKAN")
                                 : numbers                   ? "GGML_VK_VISIBLE_DEVICES"
                                 : d.cause == "env.igpu-off" ? prefixed("IGPU_ENABLE")
                                                             : "HEARTH_DEVICES";
    c.add({.code = d.cause,
           .device = d.key,
           .severity = Severity::warning,
           .sentence = fmt::format("The GPU {} works and is not used: {}.", d.device, d.reason),
           .fix = c.remedies.drop_variable(variable)});
  }
  for (const std::string& name : choice.unknown) {
    if (untried(c, name)) continue;
    c.add(
        {.code = "env.unknown-device",
         .severity = Severity::problem,
         .sentence = fmt::format("HEARTH_DEVICES names '{}', and no working device has that name.", name),
         .fix = {"the names are those in front of the lines of `hearth doctor`; also PCI addresses and `cpu`",
                 {"unset HEARTH_DEVICES"}}});
  }
}

}  // namespace hearth
