#include "device/cpu/trial.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "device/cpu/packed.h"
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

template <class T>
void fill(std::byte* from, std::byte* to, T value) {
  for (; from < to; from += sizeof value) std::memcpy(from, &value, sizeof value);
}

// A row (packed.h) of one number.
void fill_row(std::byte* x, uint32_t columns, int8_t number, float scale) {
  const IntegerRow at = integer_row(columns);
  const auto sixteen = static_cast<int16_t>(16 * number), twice = static_cast<int16_t>(2 * sixteen);
  fill(x, x + at.scale, number);
  fill(x + at.scale, x + at.int_sum16, scale);
  fill(x + at.int_sum16, x + at.int_sum32, -int32_t{sixteen});
  fill(x + at.int_sum32, x + at.sum16, -int32_t{twice});
  fill(x + at.sum16, x + at.sum32, scale * static_cast<float>(sixteen));
  fill(x + at.sum32, x + at.short_sum16, scale * static_cast<float>(twice));
  fill(x + at.short_sum16, x + at.short_sum32, sixteen);
  fill(x + at.short_sum32, x + at.short_sum32 + columns / 32 * sizeof twice, twice);
}

// Sixteen rows of activations that are all the same, together and one alone.
bool multiplies_strips(const PackedKernels& k) {
  constexpr uint32_t columns = 256;
  constexpr size_t x_bytes = integer_row(columns).bytes;
  alignas(64) static std::byte strip[columns * 2 * strip_rows], x[rows * x_bytes];
  static float y[rows][strip_rows], alone[strip_rows];
  std::memset(strip, 0x3c, sizeof strip);  // levels, and scales near one
  for (uint32_t r = 0; r < rows; ++r) fill_row(x + r * x_bytes, columns, 60, 0.5F);
  k.product(strip, strip_rows, columns, x, 1, alone, strip_rows);
  k.product(strip, strip_rows, columns, x, rows, y[0], strip_rows);
  return std::all_of(y, y + rows,
                     [](const float* row) { return std::equal(alone, alone + strip_rows, row); });
}

bool computes(const CpuTable& table) {
  if (table.peak != nullptr) table.peak->run(2);
  for (uint32_t i = 0; i < table.packed_count; ++i) {
    if (!multiplies_strips(table.packed[i])) return false;
  }
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
