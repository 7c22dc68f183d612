#include "cli/devices.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "cli/environment.h"
#include "hardware/budgets.h"
#include "hardware/system_view.h"

namespace hearth {
namespace {

// Devices of a system on a chip are on no PCI bus.
bool has_render_node() {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/dri", none)) {
    if (entry.path().filename().string().starts_with("renderD")) return true;
  }
  return false;
}

KnownDevices judged(Inventory inventory, MachineVerdicts verdicts) {
  KnownDevices d{std::move(inventory), std::move(verdicts), {}};
  d.choice = choose_devices(d.inventory, d.known.verdicts, d.inventory.environment);
  return d;
}

void avoid_failures(const ProbeVerdict& v, LoadRequest& load) {
  constexpr std::string_view product = "matmul ";
  for (const VariantVerdict& variant : v.variants) {
    if (variant.passed || variant.cause.starts_with("not tried")) continue;
    if (variant.kernel.starts_with(product))
      load.avoid_products.push_back({v.device, variant.kernel.substr(product.size()), variant.cause});
    if (variant.kernel != attend_kernel) continue;
    const bool two_pass = std::any_of(v.variants.begin(), v.variants.end(), [&](const VariantVerdict& other) {
      return other.passed && other.kernel == two_pass_kernel && other.head_size == variant.head_size &&
             other.k == variant.k;
    });
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0, KvType::q4_0}) {
      if (to_string(type) == variant.k)
        load.avoid.push_back({v.device, variant.head_size, type, variant.cause, two_pass});
    }
  }
}

const ProbeVerdict* verdict_on(const KnownDevices& devices, const ChosenDevice& chosen) {
  for (const ProbeVerdict& v : devices.known.verdicts) {
    if (v.backend == chosen.backend && v.device == chosen.device) return &v;
  }
  return nullptr;
}

}  // namespace

void take_settings(LoadRequest& load) {
  load.cpu_set = setting("CPU");
  load.threads = thread_setting();
  load.backends = setting("BACKENDS");
  load.two_pass_attention = !bool_setting("FLASH_ATTENTION", true);
}

bool worth_probing(const Inventory& inventory) {
  const auto computes = [](const Gpu& gpu) { return gpu.vendor != Vendor::other || !gpu.render.empty(); };
  return std::any_of(inventory.gpus.begin(), inventory.gpus.end(), computes) || inventory.dxg.exists ||
         has_render_node() || !inventory.setting("BACKENDS").empty();
}

MachineProbe machine_probe(const Inventory& inventory) {
  MachineProbe m;
  m.folder = cache_folder() / "verdicts";
  m.module_folders = setting("BACKENDS");
  m.cpu_set = setting("CPU");
  m.threads = static_cast<uint32_t>(std::min<uint64_t>(uint_setting("THREADS", 0), 1024));
  for (const Gpu& gpu : inventory.gpus) {
    if (!gpu.gfx.empty()) m.gfx[gpu.address] = gpu.gfx;
    if (gpu.kfd) m.nodes[gpu.address] = gpu.kfd->number;
  }
  return m;
}

KnownDevices known_devices() {
  Inventory inventory = take_inventory(*live_system());
  MachineVerdicts verdicts = cached_verdicts(machine_probe(inventory));
  return judged(std::move(inventory), std::move(verdicts));
}

KnownDevices probed_devices(const std::function<void()>& progress, const std::atomic<bool>* cancelled) {
  KnownDevices known = known_devices();
  if (known.known.complete || !worth_probing(known.inventory)) return known;
  if (progress) progress();
  MachineProbe machine = machine_probe(known.inventory);
  machine.runner.cancelled = cancelled;
  MachineVerdicts verdicts = probe_machine(machine);
  return judged(std::move(known.inventory), std::move(verdicts));
}

bool measure_devices_again(KnownDevices& devices, const std::atomic<bool>* cancelled) {
  MachineProbe machine = machine_probe(devices.inventory);
  machine.runner.cancelled = cancelled;
  if (!measure_again(machine, devices.known)) return false;
  devices.choice = choose_devices(devices.inventory, devices.known.verdicts, devices.inventory.environment);
  return true;
}

MachineVerdicts examined_verdicts(const Inventory& inventory, bool again,
                                  const std::function<void(const ProbeVerdict&)>& progress) {
  MachineProbe machine = machine_probe(inventory);
  machine.runner.progress = progress;
  if (!again) {
    MachineVerdicts cached = cached_verdicts(machine);
    if (cached.complete && worth_probing(inventory)) measure_again(machine, cached);
    if (cached.complete || !worth_probing(inventory)) return cached;
  }
  machine.again = machine.software = again;
  return probe_machine(machine);
}

void use_devices(const KnownDevices& devices, LoadRequest& load) {
  load.backends = setting("BACKENDS");
  load.devices.clear();
  load.budgets.clear();
  load.environment.clear();
  load.avoid.clear();
  load.avoid_products.clear();
  for (const ChosenDevice& chosen : devices.choice.use) {
    const ProbeVerdict* v = verdict_on(devices, chosen);
    DeviceBudget budget;
    budget.device = chosen.device;
    if (v != nullptr) budget = budget_of(*v);
    load.devices.push_back(chosen.device);
    load.budgets.push_back(std::move(budget));
    if (v == nullptr) continue;
    avoid_failures(*v, load);
    for (const auto& [name, value] : environment_for(chosen.backend))
      load.environment.emplace_back(name, value.value_or(""));
    load.environment.insert(load.environment.end(), v->overrides.begin(), v->overrides.end());
  }
  // What is named is tried, probed or not: the worker says what is wrong with it.
  if (!devices.choice.unknown.empty()) {
    load.devices = device_names(setting("DEVICES"));
    load.budgets.clear();
  }
  if (load.devices == std::vector<std::string>{"cpu"} && load.budgets.front().rates.memory <= 0) {
    load.devices.clear();  // the plain case: nothing is known and nothing is asked for
    load.budgets.clear();
  }
}

}  // namespace hearth
