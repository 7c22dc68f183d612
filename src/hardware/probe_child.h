#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "base/subprocess.h"
#include "protocol/probe.h"

// The parent's side of one probe: whatever the child does (crash, hang, print without end, eat memory, talk
// nonsense) becomes a verdict.
namespace hearth {

struct ProbeLimits {
  // Generous: the first start of a driver compiles for half a minute on some machines.
  std::chrono::milliseconds phase{60'000}, all{180'000};
  uint64_t memory_bytes = 6ULL << 30;  // in RAM
  uint64_t log_bytes = 16ULL << 20;
  double variant_seconds = 20;          // ProbeQuestion::seconds
  uint64_t sweep_bytes = 512ULL << 20;  // ProbeQuestion::sweep_bytes
  int restarts = 3;                     // after variants that killed the child
};

struct ProbeRunner {
  std::string program = "/proc/self/exe";
  ProbeLimits limits;
  // Called on each report, from the thread that runs the probe. May be empty.
  std::function<void(const ProbeVerdict&)> progress;
  // Set from another thread: children are killed, and the verdict says that it was cancelled.
  const std::atomic<bool>* cancelled = nullptr;
};

// Runs one child to its end and says how that was. `environment` is what differs from this process's.
ProbeReport run_probe_child(const ProbeQuestion& question, const EnvironmentChanges& environment,
                            const ProbeRunner& runner);

// Probes one device: a variant of attention, or a product with a type of weights that not every device must
// have, that kills the child is left out by the next child and counts as failed.
ProbeVerdict probe_device(ProbeQuestion question, const EnvironmentChanges& environment,
                          const ProbeRunner& runner);

}  // namespace hearth
