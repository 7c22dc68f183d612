#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "device/cost.h"
#include "device/layout.h"
#include "device/program.h"
#include "plan/plan.h"

namespace hearth {

// Why a device does not accept an operation. `cause` is a stable word, `detail` names the numbers.
struct Refusal {
  std::string_view cause;
  std::string detail;
};

struct DeviceInfo {
  std::string name;         // "cpu"
  std::string description;  // processor and what is used of it
  std::string variants;     // kernels chosen, for logs and bench
  uint32_t threads = 1;
  std::vector<std::string> notes;  // what of it goes unused, with the reason: for whoever loads a model
};

// Rows of one sequence in a step: rows [first_row, first_row + rows) continue the `cached` tokens that its
// pages hold.
struct Slice {
  uint32_t first_row = 0, rows = 0, cached = 0;
};

// One batch, flat. The first `exact_rows` rows are computed with the kernels of generation, the others with
// those of prompts, which may round to another number format: which group a row is in must follow from its
// own sequence alone, so that a result does not depend on what else is in the batch. Rows that the generation
// kernels take in one step at most.
inline constexpr uint32_t most_exact_rows = 64;

// What the rows of a slice are in a vision model: a grid of patches, row by row. `pixels`: [down · patch
// size][across · patch size][channels], as the model wants them scaled; only Patch reads them.
struct Picture {
  std::span<const float> pixels;
  uint32_t down = 0, across = 0;
};

struct StepInputs {
  std::span<const TokenId> tokens;                       // [rows]
  std::span<const uint32_t> positions;                   // [rows]
  std::span<const Slice> slices;                         // in row order; every row is in exactly one
  std::span<const std::span<const PageId>> page_tables;  // [cache groups] of [slices × table_stride]
  uint32_t table_stride = 0;
  std::span<const uint32_t> result_rows;  // rows whose scores (or vectors) are wanted, ascending
  uint32_t exact_rows = 0;
  std::span<const std::span<float>>
      host;  // copies of activations that cross between devices, by Transfer::slot
  // One per slice, for programs with Patch or Resample, which have no tokens.
  std::span<const Picture> pictures = {};
};

// One finished operation of a traced step.
struct TraceEntry {
  uint32_t op = 0;
  double seconds = 0;
};

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void record(const TraceEntry& entry) = 0;
};

// A program made ready on a device.
class Executable {
 public:
  virtual ~Executable() = default;
  // Enqueues a step; may return before it is done. Never allocates.
  virtual void run(const StepInputs& inputs) = 0;
  // Waits for the step; [result rows × Program::outputs]. Throws Error(device_lost).
  virtual std::span<const float> results() = 0;
  // Time per operation of the steps that follow; null ends it.
  virtual void trace(TraceSink* sink) = 0;
};

// One physical device through one backend.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const noexcept = 0;
  // Multiplications and additions per second of the fastest products that the device's kernels use, measured
  // on registers alone: what they could reach if nothing had to be fetched. 0: not known.
  virtual double product_rate() { return 0; }
  // Empty = accepted. Never "maybe slowly elsewhere".
  virtual std::optional<Refusal> refuse(const Op& op, const Program& program, KvTypes kv) const = 0;
  // Bytes of scratch memory for steps of up to `rows` rows.
  virtual uint64_t workspace(const Program& program, uint32_t rows) const = 0;
  // Bytes of the device's own copy of the program's weights; 0: it always uses them where they lie.
  virtual uint64_t resident(const Program& program) const = 0;
  // Allocates the buffers that the plan lists for this device, once. `program`: all that this device computes
  // (Split::devices). Throws Error(out_of_memory).
  virtual void reserve(const DeviceBuffers& plan, const Program& program) = 0;
  // Bytes that reserve() really took: what the plan's anonymous buffers add up to.
  virtual uint64_t reserved() const noexcept = 0;
  // A weight that the program's operations name, in the order of their numbers. The view must stay valid as
  // long as the device, even where the plan has a copy of the weights: tables of embeddings are read from it.
  virtual void load(Weight weight, const WeightView& view) = 0;
  // After reserve and load. The program must outlive the executable.
  virtual std::unique_ptr<Executable> prepare(const Program& program, const Layout& layout) = 0;
  // Calls work(0) … work(count − 1), each once, on the threads that the device computes with where it has
  // some of the host's; not while a step runs. `work` must not throw.
  virtual void share_out(uint32_t count, const std::function<void(uint32_t)>& work) {
    for (uint32_t i = 0; i < count; ++i) work(i);
  }
  // Copies a page of a cache group (a fork writes to its own copy of the last, partly filled page).
  virtual void copy_page(uint32_t group, PageId from, PageId to) = 0;
  // Gets the memory of a page from the system, layer by layer, where the device would wait for it within the
  // first step that writes to it. False: `until` came, some is left; every call in time gets at least a
  // layer.
  virtual bool make_present(uint32_t group, PageId page, std::chrono::steady_clock::time_point until) {
    static_cast<void>(group), static_cast<void>(page), static_cast<void>(until);
    return true;
  }
};

// The CPU as a device. `set` bounds the instruction set ("" = the best this machine has; HEARTH_CPU);
// threads 0 = all that the budget of base/threads.h allows; exact: prompts in float arithmetic as well.
struct CpuOptions {
  std::string set;
  uint32_t threads = 0;
  bool exact = false;
};
std::unique_ptr<Device> open_cpu_device(const CpuOptions& options);

}  // namespace hearth
