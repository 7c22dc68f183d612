#pragma once

#include <cstdint>
#include <string>

namespace hearth {

// Bytes that this process may still allocate: MemAvailable, bounded by what every cgroup above it leaves (v1,
// v2). `root` replaces "/" in tests.
uint64_t available_memory(const std::string& root = "");

// Largest resident size of this process so far, bytes.
uint64_t peak_resident_memory();

}  // namespace hearth
