#pragma once

#include <cstdint>
#include <string>

namespace hearth {

// Bytes that this process may still allocate: MemAvailable, bounded by what every cgroup above it leaves (v1,
// v2). `root` replaces "/" in tests.
uint64_t available_memory(const std::string& root = "");

// From here on a memory limit of a cgroup is none: version 1 says so by the largest signed number of whole
// pages.
inline constexpr uint64_t cgroup_no_limit = uint64_t{1} << 62;

// Bytes that the cgroups above this process leave, pages of files counted as theirs; the largest number where
// there is no limit.
uint64_t available_in_group(const std::string& root = "");

// Largest resident size of this process so far, bytes.
uint64_t peak_resident_memory();

}  // namespace hearth
