#include "hardware/rules/list.h"

namespace hearth {
namespace {

constexpr Rule all[] = {
    amd_kernel,     nvidia_driver,     passthrough,        systemd_sandbox,
    amd_access,     nvidia_access,     render_access,      nvidia_state,
    nvidia_library, amd_watchdog,      amd_override,       hidden_devices,
    chosen_backend, amd_apu,           display_igpu,       kepler,
    vulkan_drivers, vulkan_allocation, attention_variants, missing_modules,
    unexplained,    unknown_devices,   processor_quota,    processor_features,
    memory_limit,   cache_types,       boolean_settings,   flash_attention,
    unreadable_log,
};

}  // namespace

std::span<const Rule> rules() noexcept { return all; }

}  // namespace hearth
