#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "hardware/inventory.h"
#include "hardware/policy.h"
#include "hardware/probes.h"
#include "protocol/messages.h"

// Inventory, verdicts and policy put together: which devices models are loaded on.
namespace hearth {

struct KnownDevices {
  Inventory inventory;
  MachineVerdicts known;
  DeviceChoice choice;
};

// Whether there is anything in this machine that a probe could tell more about than the CPU: a GPU, or
// modules whose folder somebody names.
bool worth_probing(const Inventory& inventory);

// How this machine is probed: folders and limits of the environment.
MachineProbe machine_probe(const Inventory& inventory);

// What the cache knows, in milliseconds; nothing is started.
KnownDevices known_devices();

// The same; what is missing is probed where that is worth it, which `progress` is told once before it begins.
// Children are killed when `cancelled` becomes true.
KnownDevices probed_devices(const std::function<void()>& progress = {},
                            const std::atomic<bool>* cancelled = nullptr);

// Rates of a busy machine are measured again where it is idle now; true: what is known has changed.
bool measure_devices_again(KnownDevices& devices, const std::atomic<bool>* cancelled = nullptr);

// Verdicts for doctor: as above, or (`again`) of all there is, drivers in software and the CPU included,
// whatever the cache says.
MachineVerdicts examined_verdicts(const Inventory& inventory, bool again,
                                  const std::function<void(const ProbeVerdict&)>& progress);

// What the environment says of every load: HEARTH_CPU, HEARTH_THREADS, HEARTH_BACKENDS,
// OLLAMA_FLASH_ATTENTION.
void take_settings(LoadRequest& load);

// Writes the choice into a load: devices, what is known of them, and the environment that their drivers need.
void use_devices(const KnownDevices& devices, LoadRequest& load);

}  // namespace hearth
