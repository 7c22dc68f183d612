#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hearth {

// Value of HEARTH_<name>, or of OLLAMA_<name> where that is not set; blanks and one pair of quotes around it
// removed. Empty if neither is set.
std::string setting(const std::string& name);

// 1 t true yes on / 0 f false no off in any case; empty gives the default, another word the default and a
// warning on standard error that names the variable.
bool bool_setting(const std::string& name, bool otherwise);

// Decimal digits only; otherwise a warning and the default.
uint64_t uint_setting(const std::string& name, uint64_t otherwise);

// "5m", "1h30m", or seconds as an integer; negative for ever. What is none of these gives the default and a
// warning.
std::chrono::nanoseconds duration_setting(const std::string& name, std::chrono::nanoseconds otherwise);

// HOME, and the folder of what may be lost: XDG_CACHE_HOME/hearth, else ~/.cache/hearth.
std::filesystem::path home_folder();
std::filesystem::path cache_folder();

// "vulkan0, cpu" → its words.
std::vector<std::string> device_names(const std::string& list);
// Names of devices in the order of use: those of `option` ("vulkan0,cpu"), else of HEARTH_DEVICES; empty
// where neither says anything.
std::vector<std::string> device_setting(const std::string& option = {});

// HEARTH_THREADS; 0 = not set. Warns when it is above what affinity and quota allow.
uint32_t thread_setting();

}  // namespace hearth
