#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

// What the ids of devices mean. Tables explain and say what to try first; they make no device unusable.
namespace hearth {

enum class AmdClass : uint8_t { polaris, fiji, gcn5, cdna, rdna1, rdna2, rdna3, rdna4, apu };

struct AmdDevice {
  uint16_t device;
  std::string_view name, gfx;
  AmdClass family;
};
std::span<const AmdDevice> amd_devices() noexcept;
const AmdDevice* find_amd(uint32_t device) noexcept;

// What ROCm needs to run on a chip that it has no kernels for (section 1.4 of the facts); empty where nothing
// is known to work. `gfx`: "gfx1032".
std::string_view known_override(std::string_view gfx) noexcept;
// A chip's own version as the variable has it: "gfx90c" → "9.0.12"; empty for what is no name of a chip.
std::string override_value(std::string_view gfx);

struct NvidiaDevice {
  uint16_t device;
  std::string_view name;
  uint8_t compute;  // capability × 10
};
// A chip's block of device ids, for cards that the list does not name.
struct NvidiaChip {
  uint16_t first, last;
  std::string_view chip;
  uint8_t compute;
};
const NvidiaDevice* find_nvidia(uint32_t device) noexcept;
const NvidiaChip* find_nvidia_chip(uint32_t device) noexcept;
std::string_view nvidia_family(uint32_t compute) noexcept;  // "Pascal"; empty = not known
// Cards of the data centre: the only ones that forward compatibility exists for.
bool nvidia_datacenter(std::string_view model) noexcept;

// The last driver branch that knows a capability; 0 = current ones do.
uint32_t last_nvidia_branch(uint32_t compute) noexcept;

struct IntelDevice {
  uint16_t device;
  std::string_view name;
};
const IntelDevice* find_intel(uint32_t device) noexcept;

}  // namespace hearth
