#pragma once

#include <span>

#include "hardware/rules/case.h"

namespace hearth {

// Every rule, in the order in which causes block: what is found first is what to mend first.
std::span<const Rule> rules() noexcept;

// Missing drivers and firmware.
void amd_kernel(Case&);
void nvidia_driver(Case&);
void passthrough(Case&);
// What keeps the process from the nodes.
void systemd_sandbox(Case&);
void amd_access(Case&);
void nvidia_access(Case&);
void render_access(Case&);
// The state of drivers and cards.
void nvidia_state(Case&);
void nvidia_library(Case&);
void amd_watchdog(Case&);
// Environment variables.
void amd_override(Case&);
void hidden_devices(Case&);
void chosen_backend(Case&);
// What else is worth knowing of a device.
void amd_apu(Case&);
void display_igpu(Case&);
void kepler(Case&);
void vulkan_drivers(Case&);
void vulkan_allocation(Case&);
void attention_variants(Case&);
void missing_modules(Case&);
void unexplained(Case&);
void unknown_devices(Case&);
// The machine.
void processor_quota(Case&);
void processor_features(Case&);
void memory_limit(Case&);
void cache_types(Case&);
void boolean_settings(Case&);
void flash_attention(Case&);
void unreadable_log(Case&);

}  // namespace hearth
