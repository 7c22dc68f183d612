#include "worker/probe/rates.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/error.h"

namespace hearth::probe {
namespace {

// One size of a ladder: `repeats` products with the same square matrix of `side` rows and columns.
struct Size {
  DType type = DType::f16;
  uint32_t side = 0, rows = 1, repeats = 1;

  uint64_t bytes() const { return row_bytes(type, side).value_or(0) * side; }
  double operations() const { return 2.0 * side * side * rows * repeats; }
};

// A GPU that was idle takes some milliseconds to reach its clock: passes go on until this time is over, or
// there were enough.
constexpr int passes = 2, most_passes = 16;
constexpr double settled = 0.03;  // seconds
constexpr uint64_t growth_allowed = 32ULL << 20;

// Seconds of the best of some steps after one that warms up.
double time_of(const OpenDevice& open, const Size& size) {
  Trial trial;
  const std::vector<float> row(size.side, 0.01F);
  Act x = trial.act(size.side);
  const Weight table = trial.repeated_weight(DType::f32, size.rows, size.side, row);
  const Weight w = trial.repeated_weight(size.type, size.side, size.side, row);
  trial.push(Embed{x, table, 1});
  for (uint32_t i = 0; i < size.repeats; ++i) {
    const Act y = trial.act(size.side);
    trial.push(Linear{x, y, w, {}, {}, Act1::none, 1.0F});
    x = y;
  }
  trial.push(Pool{x, PoolKind::none, {}, {}, size.side});
  trial.program.outputs = size.side;
  trial.make_ready(open, size.rows, size.rows);
  const bool exact = size.rows == 1;
  trial.step(0, size.rows, exact, false);
  const uint64_t before = resident_memory();
  double best = 0, all = 0;
  for (int pass = 0; pass < passes || (all < settled && pass < most_passes); ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    trial.step(0, size.rows, exact, false);
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = pass == 0 ? took : std::min(best, took);
    all += took;
  }
  const uint64_t after = resident_memory();
  if (after > before + growth_allowed)
    throw Error(
        Code::device_lost,
        fmt::format("memory grew by {} MiB in a few steps: the backend leaks", (after - before) >> 20),
        "report it");
  return std::max(best, 1e-9);
}

// Operations (or bytes) per second at the largest size that is not expected to take too long.
double climb(const OpenDevice& open, const std::vector<Size>& ladder, const SpeedOptions& options,
             bool bytes) {
  double rate = 0;
  for (const Size& size : ladder) {
    const double work = bytes ? static_cast<double>(size.bytes()) * size.repeats : size.operations();
    if (rate > 0 && (work / rate > options.longest || size.bytes() > options.most_bytes)) break;
    rate = std::max(rate, work / time_of(open, size));
  }
  return rate;
}

}  // namespace

uint64_t resident_memory() {
  std::ifstream statm("/proc/self/statm");
  uint64_t all = 0, resident = 0;
  return statm >> all >> resident ? resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

double sweep_rate(const OpenDevice& open, const SpeedOptions& options) {
  return climb(open, {{DType::f16, 2048}, {DType::f16, 5888}, {DType::f16, 16384}, {DType::f16, 16384, 1, 8}},
               options, true);
}

double generation_rate(const OpenDevice& open, const SpeedOptions& options) {
  return climb(open, {{DType::q4_k, 1024}, {DType::q4_k, 4096}, {DType::q4_k, 4096, 1, 16}}, options, false);
}

double prompt_rate(const OpenDevice& open, const SpeedOptions& options) {
  return climb(open,
               {{DType::q4_k, 512, 64, 1},
                {DType::q4_k, 1024, 128, 1},
                {DType::q4_k, 2048, 256, 1},
                {DType::q4_k, 4096, 512, 1},
                {DType::q4_k, 4096, 512, 8}},
               options, false);
}

}  // namespace hearth::probe
