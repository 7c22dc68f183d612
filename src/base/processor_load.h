#pragma once

#include <string>

namespace hearth {

// What the processors of the machine have done since it was started, in seconds, added over all of them.
struct ProcessorTimes {
  double total = 0;
  double busy = 0;    // with work of this system
  double stolen = 0;  // wanted, and given to other guests by the host of this virtual machine
};

// Of /proc/stat; zeros where that cannot be read. `root` replaces "/" in tests.
ProcessorTimes processor_times(const std::string& root = "");

// Processor time of this process so far, all threads, seconds.
double own_processor_seconds() noexcept;

// What others took meanwhile, as shares of all processors' time, 0 to 1.
struct ProcessorLoad {
  double others = 0, stolen = 0;

  // So much that a measurement comes out low.
  bool busy() const noexcept;
};
// `own_seconds`: of the processor time between the two, what the asking process took itself. Nothing is known
// of less than a tenth of a second: zeros.
ProcessorLoad load_between(const ProcessorTimes& before, const ProcessorTimes& after, double own_seconds);

}  // namespace hearth
