#pragma once

#include <cstdint>
#include <string>

namespace hearth {

// Bytes in powers of 1000: "4.7 GB", "13 GB", "2 GB", "512 B"; ten and more are truncated to an integer.
std::string human_bytes(uint64_t bytes);

// Counts of parameters: "3.2B", "7B", "133.70M", "512K".
std::string human_count(uint64_t count);

// Durations in compact form: "1.2345s", "350.1ms", "12µs", "2m3.4s".
std::string human_duration(double seconds);

}  // namespace hearth
