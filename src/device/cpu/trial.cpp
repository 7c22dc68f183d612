#include "device/cpu/trial.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "device/cpu/tables.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t rows = 16, cols = 64;

// Whole numbers, of which every format holds the products and sums exactly.
bool multiplies(const MatmulKernels& k) {
  static float w[rows][cols], x[rows][cols], y[rows][rows];
  alignas(64) static std::byte panel[sizeof w], acts[sizeof x];
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t c = 0; c < cols; ++c) {
      w[r][c] = static_cast<float>((r * 7 + c * 3) % 5) - 2;
      x[r][c] = static_cast<float>((r * 5 + c) % 7) - 3;
    }
  }
  k.pack_panel(w[0], cols, rows, cols, panel);
  for (uint32_t r = 0; r < rows; ++r) k.pack_acts(x[r], r, cols, acts);
  if (k.enter != nullptr) k.enter();
  k.run(panel, rows, acts, rows, cols, y[0], rows, false, nullptr);
  if (k.leave != nullptr) k.leave();
  for (uint32_t m = 0; m < rows; ++m) {
    for (uint32_t r = 0; r < rows; ++r) {
      float sum = 0;
      for (uint32_t c = 0; c < cols; ++c) sum += w[r][c] * x[m][c];
      if (y[m][r] != sum) return false;
    }
  }
  return true;
}

// Queries that like all keys alike, and values that are all the same.
bool attends(const AttendKernels& k) {
  constexpr uint32_t size = 32, lanes = attend_lanes;
  alignas(64) static float q[lanes * size], keys[attend_tokens * size], values[attend_tokens * size];
  alignas(64) static float acc[lanes * size], scale[attend_tokens], best[lanes], total[lanes],
      out[lanes * size];
  alignas(64) static float plain[attend_tokens * size];
  uint32_t position[lanes];
  const float* from[lanes];
  float* to[lanes];
  std::fill_n(plain, attend_tokens * size, 1.0F);
  std::fill_n(best, lanes, attend_nothing);
  for (uint32_t i = 0; i < lanes; ++i) {
    position[i] = attend_tokens;
    from[i] = plain;
    to[i] = out + size_t{i} * size;
  }
  if (k.enter != nullptr) k.enter();
  k.pack_queries(from, size, 0.25F, q, scale);
  float q_scale[lanes];
  std::copy_n(scale, lanes, q_scale);
  std::copy_n(plain, attend_tokens * size, keys);
  std::copy_n(plain, attend_tokens * size, values);
  static float v_scale[attend_tokens];
  if (k.pack_keys != nullptr) {
    k.pack_keys(plain, attend_tokens, size, keys, scale);
    k.pack_values(plain, attend_tokens, size, values, v_scale);
  }
  const AttendBlock block = {q,
                             keys,
                             values,
                             size_t{lanes} * size,
                             q_scale,
                             scale,
                             v_scale,
                             1,
                             size,
                             size,
                             attend_tokens,
                             0,
                             position,
                             true,
                             0,
                             0,
                             best,
                             total,
                             acc};
  k.attend(&block, 1);
  k.finish(acc, best, total, nullptr, size, to);
  if (k.leave != nullptr) k.leave();
  return std::all_of(out, out + size_t{lanes} * size, [](float v) { return v > 0.99F && v < 1.01F; });
}

bool computes(const CpuTable& table) {
  if (table.peak != nullptr) table.peak->run(2);
  if (table.matmul != nullptr && !multiplies(*table.matmul)) return false;
  return table.attend == nullptr || attends(*table.attend);
}

[[noreturn]] void try_and_exit(const CpuTable& table) {
  // Whatever the process does with these otherwise: here they only end the child.
  for (const int number : {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGALRM}) std::signal(number, SIG_DFL);
  constexpr unsigned seconds = 5;
  ::alarm(seconds);
  ::_exit(computes(table) ? 0 : 1);
}

}  // namespace

bool works(const CpuTable& table) {
  const pid_t child = ::fork();
  if (child == 0) try_and_exit(table);
  if (child < 0) return true;  // nothing was found out: CPUID decides
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return true;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

CpuFeatures tried(CpuFeatures features, const std::function<bool(const CpuTable&)>& works) {
  for (const CpuSet& set : cpu_sets()) {
    if (set.needs == nullptr || !(features.*set.needs)) continue;
    if (works(*set.table)) break;
    features.*set.needs = false;
    features.notes.push_back(
        fmt::format("{} is present, but its kernels failed when they were tried: lower sets are used (report "
                    "it, with the processor's name)",
                    set.table->name));
  }
  return features;
}

const CpuFeatures& tried_features() {
  static const CpuFeatures features = tried(cpu_features(), works);
  return features;
}

}  // namespace hearth::cpu
