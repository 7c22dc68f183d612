#pragma once

#include <cstdint>

namespace hearth {

// Bytes per second that `threads` threads together read from main memory: the best of several passes over a
// buffer much larger than the caches.
double measure_read_bandwidth(uint32_t threads);

}  // namespace hearth
