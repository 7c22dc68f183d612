#include "device/modules.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/error.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kind_names{"discrete", "integrated", "virtual", "cpu", "other"};

// The module of a file. Throws Error(unsupported) where it cannot be loaded or comes from another build.
std::unique_ptr<Module> open_module(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw Error(Code::unsupported, fmt::format("the backend module {} cannot be loaded: {}", path, dlerror()),
                "install hearth again");
  const auto entry_of = reinterpret_cast<ModuleEntryFunction>(dlsym(library, module_entry_symbol));
  const ModuleEntry* entry = entry_of != nullptr ? entry_of() : nullptr;
  if (entry == nullptr || entry->abi != module_abi || std::string_view(entry->build) != module_build())
    throw Error(Code::unsupported, fmt::format("the backend module {} is of another build", path),
                "install program and modules from one build");
  return std::unique_ptr<Module>(entry->create());
}

Error no_such_device(std::string_view name, const std::vector<ModuleDevice>& devices) {
  std::vector<std::string> names{"cpu"};
  for (const ModuleDevice& d : devices) names.push_back(d.name);
  return Error(Code::not_found, fmt::format("there is no device '{}'", name),
               fmt::format("devices here: {}", fmt::join(names, ", ")));
}

}  // namespace

std::string_view to_string(ModuleDeviceKind kind) noexcept { return kind_names[static_cast<size_t>(kind)]; }

const char* module_build() noexcept { return HEARTH_BUILD; }

std::vector<std::string> module_folders(const std::string& folders) {
  std::vector<std::string> found;
  for (size_t at = 0; at < folders.size();) {
    const size_t end = std::min(folders.find(':', at), folders.size());
    if (end > at) found.push_back(folders.substr(at, end - at));
    at = end + 1;
  }
  if (!found.empty()) return found;
  std::error_code ignored;
  const fs::path own = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  return {own.string(), (own.parent_path() / "lib" / "hearth").string()};
}

Module& load_module(std::string_view backend, const std::string& folders) {
  static std::mutex lock;
  // Never destroyed: a driver's own statics are gone before those of the program (NVIDIA's crashes then).
  static auto& loaded = *new std::map<std::string, std::unique_ptr<Module>>;
  const std::lock_guard guard(lock);
  const auto searched = module_folders(folders);
  for (const std::string& folder : searched) {
    const std::string path = fmt::format("{}/libhearth-{}.so", folder, backend);
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    auto& module = loaded[path];
    if (module == nullptr) module = open_module(path);
    return *module;
  }
  throw Error(Code::not_found,
              fmt::format("there is no module for '{}' in {}", backend, fmt::join(searched, ", ")),
              "install it, or name its folder in HEARTH_BACKENDS");
}

namespace {

// A device's module and its number there.
struct Place {
  Module* module = nullptr;
  uint32_t index = 0;
  ModuleDevice device;
};
Place find_device(std::string_view name, const DeviceOptions& options) {
  const size_t digits = name.find_last_not_of("0123456789") + 1;
  Place place;
  const char* end = name.data() + name.size();
  if (digits == 0 || std::from_chars(name.data() + digits, end, place.index).ec != std::errc{})
    throw Error(Code::bad_request, fmt::format("'{}' is no name of a device", name),
                "use cpu, or backend and number as in vulkan0");
  place.module = &load_module(name.substr(0, digits), options.folders);
  auto devices = place.module->devices();
  if (place.index >= devices.size()) throw no_such_device(name, devices);
  place.device = std::move(devices[place.index]);
  return place;
}

}  // namespace

ModuleDevice describe_device(std::string_view name, const DeviceOptions& options) {
  if (name == "cpu") throw Error(Code::not_found, "the CPU has no driver", "ask the system for its memory");
  return find_device(name, options).device;
}

uint64_t free_memory(const ModuleDevice& device) noexcept {
  uint64_t bytes = 0;
  for (const MemoryHeap& h : device.heaps)
    bytes += h.device_local || device.kind == ModuleDeviceKind::integrated ? h.free : 0;
  return bytes;
}

std::unique_ptr<Device> open_device(std::string_view name, const DeviceOptions& options) {
  if (name == "cpu") return open_cpu_device(options.cpu);
  const Place place = find_device(name, options);
  return place.module->open(place.index, {options.cpu.exact, options.halvings});
}

}  // namespace hearth
