#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/processor_load.h"
#include "plan/profile.h"

// What a probe found out about one device through one backend: written by the child that tried it (or by its
// parent where the child died), kept in the verdict cache, judged by `hardware`. Plain data.
namespace hearth {

enum class ProbeOutcome : uint8_t {
  passed,     // everything ran and the results were right; single variants may still have failed
  failed,     // the driver answered with an error, or the results were wrong
  not_built,  // this build has no module for the backend
  no_loader,  // the vendor's library is not there
  timed_out,  // killed after the time limit
  crashed     // died by a signal or left with a code that is no verdict
};
std::string_view to_string(ProbeOutcome outcome) noexcept;

// A driver's answer to one call, in the driver's own numbers: {"cuInit", 803, "system has unsupported …"}.
struct DriverReply {
  std::string call;
  int64_t code = 0;
  std::string text = {};
};

// One way to compute attention (or another kernel that has several), launched once and checked.
struct VariantVerdict {
  std::string kernel;      // "tile", "small_tile", "scalar"
  uint32_t head_size = 0;  // 0: the variant has none
  std::string k = {},
              v = {};  // types of the cache: "f16", "q8_0"; also ones that hearth itself has no code for
  bool passed = false;
  std::string cause = {};  // why not: "occupancy 0", "wrong by 0.3 at row 5"
};

// Medians over what the probe ran; 0 = not measured.
struct MeasuredRates {
  double memory_gbs = 0;         // reading, 10^9 bytes/s
  double prompt_gflops = 0;      // a product with many rows
  double generation_gflops = 0;  // a product with one row
  ProcessorLoad load = {};       // of the machine meanwhile
};

struct VerdictHeap {
  uint64_t bytes = 0, free = 0;
  bool device_local = false, host_visible = false;
};

// Bytes, as the driver tells them; 0 = it does not.
struct VerdictMemory {
  uint64_t total = 0, usable = 0, largest_allocation = 0;
  std::vector<VerdictHeap> heaps = {};
  PieceLimit layer_cache = {};  // of the keys and values of one layer
};

// VariantVerdict::kernel of attention with a running softmax, and of what may stand in for it on the same
// device: Attend::two_pass.
inline constexpr const char* attend_kernel = "attend";
inline constexpr const char* two_pass_kernel = "attend-two-pass";

struct ProbeVerdict {
  std::string backend;      // "cpu", "vulkan", "cuda", "rocm"
  std::string device = {};  // the name a program is opened by: "vulkan0"; empty where no device was reached
  std::string key =
      {};  // PCI address "0000:03:00.0", else the driver's UUID in hex; empty = the whole backend
  std::string name = {};     // the driver's own name of the device
  std::string kind = {};     // "discrete", "integrated", "virtual_gpu", "cpu", "other"
  std::string driver = {};   // name and version
  std::string library = {};  // the file that was loaded for it

  ProbeOutcome outcome = ProbeOutcome::failed;
  std::string phase = {};  // reached: "load library", "cuInit", "create context", "launch attend d256 q8_0"
  std::string cause = {};  // one line in plain words; empty where it passed
  int signal = 0;          // that ended the child; 0 = none
  int exit_code = 0;       // where it left by itself
  std::string stderr_tail = {};           // at most the last 4 KiB
  std::vector<DriverReply> replies = {};  // calls that did not succeed

  std::vector<VariantVerdict> variants = {};
  MeasuredRates rates = {};
  VerdictMemory memory = {};
  std::vector<std::string> features = {};                           // "int_dot", "coopmat" …
  std::vector<std::pair<std::string, std::string>> overrides = {};  // environment that was set for the child

  // What it holds for, and since when (seconds since 1970).
  std::string kernel = {}, build = {};
  int64_t taken = 0;

  bool passed() const noexcept { return outcome == ProbeOutcome::passed; }
};

Json encode(const ProbeVerdict& verdict);
// Fields that are missing keep their defaults, unknown ones are skipped: records are older and newer than the
// program. Throws Error(corrupt_file) on what is no object, a field of another type, an unknown outcome.
ProbeVerdict decode_verdict(const Json& json);

}  // namespace hearth
