#pragma once

#include <string>

namespace hearth {

// The role of a probe process: reads one ProbeQuestion from the socket `fd`, tries the device (or asks the
// driver what devices there are) and reports each phase as it begins. It meets drivers, not models: no
// sandbox, but no core files, and what a driver prints goes to standard error. Returns the exit code.
int serve_probe(int fd);

// Bytes per second that a product of one row with a large F16 matrix reads on a device ("vulkan0"), as a
// probe measures it. Throws what opening the device does.
double probed_read_rate(const std::string& device);

}  // namespace hearth
