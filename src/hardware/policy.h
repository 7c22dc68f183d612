#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hardware/inventory.h"
#include "protocol/verdict.h"

// Which devices models run on: a pure function of what is there, what probes measured and what the
// environment asks for.
namespace hearth {

struct ChosenDevice {
  std::string device;    // the name that it is opened by: "cuda0", "vulkan1", "cpu"
  std::string key = {};  // PCI address or UUID; empty for the CPU
  std::string backend = {};
  std::string reason = {};  // why, or why not, in plain words
  std::string cause = {};   // of devices left out: "env.visible-devices", "igpu.slower" …
};

struct DeviceChoice {
  std::vector<ChosenDevice> use;     // best first; the CPU last, where it may be used
  std::vector<ChosenDevice> left;    // passed their probe and are not used, and why
  std::vector<std::string> unknown;  // names in HEARTH_DEVICES that no device has

  bool uses_gpu() const noexcept;
};

// A card that several backends reach is used through CUDA, else ROCm, else Vulkan, whichever passed.
// Integrated GPUs are used where they were measured to win over the CPU in prompts or generation; parts that
// only drive a screen never stand beside another GPU. Vulkan devices that are a CPU are used only where
// HEARTH_DEVICES names them. HEARTH_DEVICES names devices, PCI addresses and "cpu": then exactly these are
// used, in this order.
DeviceChoice choose_devices(const Inventory& machine, const std::vector<ProbeVerdict>& verdicts,
                            const Environment& environment);

// The variable that hides this card ("CUDA_VISIBLE_DEVICES"); empty = none does. Variables of NVIDIA hide
// cards of NVIDIA, those of AMD cards of AMD, whatever the backend.
std::string hidden_by(const Inventory& machine, const Environment& environment, const Gpu& gpu);

// OLLAMA_LLM_LIBRARY by its beginning: "cuda", "rocm", "vulkan", "cpu"; empty = any.
std::string forced_backend(const Environment& environment);

// HEARTH_<name> or OLLAMA_<name> of an environment, cleaned.
std::string setting_in(const Environment& environment, const std::string& name);
// What OLLAMA_FLASH_ATTENTION, set to no, means here, as a sentence without its full stop; empty where it
// says nothing of the kind.
std::string without_flash_attention(const Environment& environment);
// As the command line's bool_setting; `otherwise` too for words that are neither yes nor no.
bool bool_in(const Environment& environment, const std::string& name, bool otherwise);

}  // namespace hearth
