// The variables that make a part of the devices visible.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <span>

#include "hardware/policy.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

using Cards = std::vector<const Gpu*>;

bool same_text(std::string_view a, std::string_view b) {
  const auto same = [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), same);
}

// "GPU-8f1e" names the card whose UUID begins so.
const Gpu* by_uuid(const Cards& cards, std::string_view word) {
  for (const Gpu* gpu : cards) {
    const std::string uuid = gpu->nvidia              ? gpu->nvidia->uuid
                             : gpu->unique_id.empty() ? ""
                                                      : "GPU-" + gpu->unique_id;
    if (!uuid.empty() && word.size() > 4 && uuid.size() >= word.size() &&
        same_text(std::string_view(uuid).substr(0, word.size()), word))
      return gpu;
  }
  return nullptr;
}

// The cards that a list selects, in its order; what follows a word that names none is not selected.
Cards selected(const Cards& cards, std::string_view list) {
  Cards out;
  for (const std::string& word : words_in(list, ", \t")) {
    const auto index = parse_number(word);
    const Gpu* gpu = index ? (*index < cards.size() ? cards[*index] : nullptr) : by_uuid(cards, word);
    if (gpu == nullptr) break;
    if (std::find(out.begin(), out.end(), gpu) == out.end()) out.push_back(gpu);
  }
  return out;
}

// CUDA and ROCm count the cards that their drivers drive; by address, as CUDA_DEVICE_ORDER=PCI_BUS_ID has it,
// and by node.
Cards counted(const Inventory& machine, Vendor vendor) {
  Cards out;
  for (const Gpu& gpu : machine.gpus) {
    if (gpu.vendor != vendor) continue;
    if (vendor == Vendor::amd ? gpu.kfd && gpu.kfd->gpu()
                              : gpu.driver != "nouveau" && gpu.driver != "vfio-pci")
      out.push_back(&gpu);
  }
  if (vendor == Vendor::amd) {
    std::sort(out.begin(), out.end(),
              [](const Gpu* a, const Gpu* b) { return a->kfd->number < b->kfd->number; });
  }
  return out;
}

}  // namespace

std::string setting_in(const Environment& environment, const std::string& name) {
  Inventory machine;
  machine.environment = environment;
  return machine.setting(name);
}

bool bool_in(const Environment& environment, const std::string& name, bool otherwise) {
  static constexpr std::array<std::string_view, 5> yes{"1", "t", "true", "yes", "on"},
      no{"0", "f", "false", "no", "off"};
  const std::string value = setting_in(environment, name);
  const auto is = [&](std::string_view word) { return same_text(word, value); };
  if (std::any_of(yes.begin(), yes.end(), is)) return true;
  return std::none_of(no.begin(), no.end(), is) && otherwise;
}

std::string without_flash_attention(const Environment& environment) {
  if (bool_in(environment, "FLASH_ATTENTION", true)) return {};
  const auto own = environment.find("HEARTH_FLASH_ATTENTION");
  return fmt::format(
      "{}_FLASH_ATTENTION={}: attention takes two passes over the keys instead of one with a running "
      "softmax. "
      "That is slower, takes no more memory, and works with quantized caches too",
      own != environment.end() && !trimmed(own->second).empty() ? "HEARTH" : "OLLAMA",
      setting_in(environment, "FLASH_ATTENTION"));
}

std::string forced_backend(const Environment& environment) {
  const std::string name = setting_in(environment, "LLM_LIBRARY");
  for (const char* backend : {"cpu", "cuda", "rocm", "vulkan"}) {
    if (name.starts_with(backend)) return backend;
  }
  return {};
}

std::string hidden_by(const Inventory& machine, const Environment& environment, const Gpu& gpu) {
  static constexpr std::array<const char*, 1> nvidia{"CUDA_VISIBLE_DEVICES"};
  static constexpr std::array<const char*, 3> amd{"ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
                                                  "GPU_DEVICE_ORDINAL"};
  if (gpu.vendor != Vendor::nvidia && gpu.vendor != Vendor::amd) return {};
  Cards cards = counted(machine, gpu.vendor);
  if (std::find(cards.begin(), cards.end(), &gpu) == cards.end()) return {};
  const std::span<const char* const> names =
      gpu.vendor == Vendor::nvidia ? std::span<const char* const>(nvidia) : std::span<const char* const>(amd);
  for (const char* name : names) {
    const auto at = environment.find(name);
    if (at == environment.end()) continue;
    cards = selected(cards, at->second);
    if (std::find(cards.begin(), cards.end(), &gpu) == cards.end()) return name;
  }
  return {};
}

}  // namespace hearth
