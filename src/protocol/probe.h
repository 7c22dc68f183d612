#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "protocol/verdict.h"

// What a probe child is asked (one question per child) and what it reports while it works.
namespace hearth {

// The role in which a parent starts this very program as a probe.
inline constexpr const char* probe_role = "internal-probe";

struct ProbeQuestion {
  std::string backend;   // "cpu", "vulkan", "cuda", "rocm"
  bool list = false;     // only which devices there are: nothing is opened
  std::string device;    // its name ("vulkan0") …
  std::string key;       // … and its key, which wins: the order of devices may change between processes
  std::string folders;   // HEARTH_BACKENDS
  std::string cpu_set;   // HEARTH_CPU
  uint32_t threads = 0;  // HEARTH_THREADS
  std::vector<std::string> skip;            // phases that killed an earlier child: they count as failed
  std::vector<std::string> driver_folders;  // of vendors' libraries; empty: where they usually lie
  bool own_libraries_only = false;  // from these folders alone, not the library that the loader's path names
                                    // first (a compat folder)
  uint64_t sweep_bytes = 512ULL << 20;  // that a card with memory of its own is measured with, at most
  double seconds = 20;                  // variants that were not begun by then are left out
  bool rates_only = false;              // of a device that passed before: nothing is checked again
};

// Sent when a phase begins and once at the end (`done`): everything known so far, so that the last report
// tells how far a child came that died.
struct ProbeReport {
  ProbeVerdict verdict;               // phase: the one that begins now
  std::vector<ProbeVerdict> devices;  // answer to `list`: what the driver says of each; outcome passed where
                                      // nothing is missing for programs
  bool done = false;
};

Json encode(const ProbeQuestion& question);
Json encode(const ProbeReport& report);
// Throw Error on what is none: bug for a question, corrupt_file for a report.
ProbeQuestion decode_question(const Json& json);
ProbeReport decode_report(const Json& json);

}  // namespace hearth
