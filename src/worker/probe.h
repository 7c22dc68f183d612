#pragma once

namespace hearth {

// The role of a probe process: reads one ProbeQuestion from the socket `fd`, tries the device (or asks the
// driver what devices there are) and reports each phase as it begins. It meets drivers, not models: no
// sandbox, but no core files, and what a driver prints goes to standard error. Returns the exit code.
int serve_probe(int fd);

}  // namespace hearth
