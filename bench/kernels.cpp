// The CPU kernels, one thread: GB/s of weights for the products of generation, GFLOP/s for those of prompts,
// against what reading memory alone achieves on this machine.
//
//   bench_kernels --benchmark_filter='gemv/avx512/Q4_K'
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "base/cpu_features.h"
#include "device/cpu/packed.h"
#include "device/cpu/tables.h"
#include "tensor/types.h"

namespace {

using hearth::TypeInfo;
using hearth::cpu::CpuTable;
using hearth::cpu::MatmulKernels;
using hearth::cpu::TypeKernels;

constexpr size_t matrix_bytes = size_t{256} << 20;  // beyond any cache
constexpr uint32_t cols = 4096;

// Weights as the device holds them: anonymous memory in huge pages. The bytes are half-precision numbers near
// 0.1, so that scales are sane in every type.
const std::byte* weights() {
  static const std::byte* const memory = [] {
    void* p = ::mmap(nullptr, matrix_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    ::madvise(p, matrix_bytes, MADV_HUGEPAGE);
    std::mt19937 random(1);
    auto* to = static_cast<std::byte*>(p);
    for (size_t i = 0; i < matrix_bytes; i += sizeof(uint16_t)) {
      const auto half = static_cast<uint16_t>(0x2c00U + (random() & 0x3ffU));
      std::memcpy(to + i, &half, sizeof half);
    }
    return to;
  }();
  return memory;
}

benchmark::Counter rate(double per_iteration) {
  return {per_iteration / 1e9, benchmark::Counter::kIsIterationInvariantRate};
}

void read_memory(benchmark::State& state) {
  const std::byte* p = weights();
  for (auto _ : state) {
    uint64_t sum = 0;
    for (size_t i = 0; i < matrix_bytes; i += 64) {  // one word of each cache line
      uint64_t word = 0;
      std::memcpy(&word, p + i, sizeof word);
      sum += word;
    }
    benchmark::DoNotOptimize(sum);
  }
  state.counters["GB/s"] = rate(static_cast<double>(matrix_bytes));
}

void gemv(benchmark::State& state, const TypeKernels* kernels, const TypeInfo* type, uint32_t count) {
  const size_t row_bytes = size_t{cols} / type->block_values * type->block_bytes;
  const auto rows = static_cast<uint32_t>(matrix_bytes / row_bytes);
  std::vector<float> x(size_t{cols} * count, 0.5F), y(size_t{rows} * count);
  const std::byte* w = weights();
  for (auto _ : state) {
    kernels->gemv(w, row_bytes, rows, cols, x.data(), cols, count, y.data(), rows);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = rate(static_cast<double>(row_bytes * rows));
}

// What the products of a set could reach at most.
void peak(benchmark::State& state, const hearth::cpu::PeakKernel* kernel) {
  constexpr uint64_t rounds = 100000;
  for (auto _ : state) kernel->run(rounds);
  state.counters["GFLOP/s"] = rate(static_cast<double>(rounds * kernel->operations));
}

// Rows of activations as integers.
std::vector<std::byte> integers(const hearth::cpu::RoundRow round, uint32_t width, uint32_t together,
                                uint32_t count) {
  const std::vector<float> x(width, 0.5F);
  const size_t bytes = hearth::cpu::integer_row(width).bytes;
  std::vector<std::byte> out(bytes * count);
  for (uint32_t m = 0; m < count; ++m) round(x.data(), width, together, out.data() + m * bytes);
  return out;
}

// Packed weights from memory with the rows of one generation step: any bytes will do for strips.
void generate(benchmark::State& state, const hearth::cpu::PackedKernels* kernels,
              const hearth::cpu::PackedForm* form, const hearth::cpu::RoundRow round, uint32_t count) {
  const size_t strip = hearth::cpu::strip_bytes(*form, cols);
  const auto rows = static_cast<uint32_t>(matrix_bytes / strip * hearth::cpu::strip_rows);
  const std::vector<std::byte> x = integers(round, cols, kernels->together, count);
  std::vector<float> y(size_t{rows} * count);
  const std::byte* w = weights();
  for (auto _ : state) {
    kernels->product(w, rows, cols, x.data(), count, y.data(), rows);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = rate(static_cast<double>(strip) * (rows / hearth::cpu::strip_rows));
  state.counters["GFLOP/s"] = rate(2.0 * rows * cols * count);
}

// 64 packed rows, which the caches hold, with the rows of a prompt.
void prompt(benchmark::State& state, const hearth::cpu::PackedKernels* kernels,
            const hearth::cpu::RoundRow round) {
  constexpr uint32_t rows = 64, k = 2048, m = 512;
  const std::vector<std::byte> x = integers(round, k, kernels->together, m);
  std::vector<float> y(size_t{m} * rows);
  const std::byte* w = weights();
  for (auto _ : state) {
    kernels->product(w, rows, k, x.data(), m, y.data(), rows);
    benchmark::ClobberMemory();
  }
  state.counters["GFLOP/s"] = rate(2.0 * rows * k * m);
}

void decode(benchmark::State& state, const TypeKernels* kernels) {
  std::vector<float> out(cols);
  const std::byte* w = weights();
  for (auto _ : state) {
    kernels->decode(w, cols, out.data());
    benchmark::ClobberMemory();
  }
  state.counters["Gvalues/s"] = rate(cols);
}

void matmul(benchmark::State& state, const MatmulKernels* kernels, uint32_t m) {
  constexpr uint32_t rows = 64, k = 2048;
  std::vector<float> w(size_t{rows} * k, 0.25F), x(size_t{m} * k, 0.5F), y(size_t{m} * rows);
  const uint32_t blocks = (m + kernels->act_rows - 1) / kernels->act_rows;
  std::vector<float> panels(w.size()),
      acts(size_t{blocks} * kernels->act_rows * k);  // large enough for both formats
  const size_t number = kernels->format == hearth::cpu::PanelFormat::bf16 ? 2 : 4;
  for (uint32_t r = 0; r < rows; r += hearth::cpu::panel_rows) {
    auto* to = reinterpret_cast<std::byte*>(panels.data()) + size_t{r} * k * number;
    kernels->pack_panel(w.data() + size_t{r} * k, k, hearth::cpu::panel_rows, k, to);
  }
  for (uint32_t i = 0; i < m; ++i) kernels->pack_acts(x.data() + size_t{i} * k, i, k, acts.data());
  if (kernels->enter != nullptr) kernels->enter();
  for (auto _ : state) {
    kernels->run(panels.data(), rows, acts.data(), m, k, y.data(), rows, false, nullptr);
    benchmark::ClobberMemory();
  }
  if (kernels->leave != nullptr) kernels->leave();
  state.counters["GFLOP/s"] = rate(2.0 * rows * k * m);
}

// One head of a long sequence against the query heads that share it; GB/s of keys or values.
void attend(benchmark::State& state, const hearth::cpu::KvKernels* kernels, bool mix, uint32_t queries) {
  constexpr uint32_t head = 128, tokens = 8192;
  const std::vector<float> x(head, 0.5F);
  std::vector<float> q(size_t{queries} * tokens, 0.01F), out(size_t{queries} * tokens);
  std::vector<std::byte> row(head * sizeof(float));
  kernels->store(x.data(), head, row.data());
  const size_t row_bytes = static_cast<size_t>(state.range(0));
  std::vector<std::byte> page(row_bytes * tokens);
  for (uint32_t t = 0; t < tokens; ++t) std::memcpy(page.data() + t * row_bytes, row.data(), row_bytes);
  for (auto _ : state) {
    if (mix) {
      kernels->mix(page.data(), row_bytes, tokens, head, q.data(), tokens, queries, out.data(), head);
    } else {
      kernels->score(page.data(), row_bytes, tokens, head, q.data(), head, queries, out.data(), tokens);
    }
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = rate(static_cast<double>(page.size()));
}

void add_attention(const CpuTable& table) {
  constexpr const char* names[] = {"f32", "f16", "q8_0", "q4_0"};
  constexpr int64_t row_bytes[] = {512, 256, 136, 72};
  for (size_t i = 0; i < std::size(names); ++i) {
    if (table.kv[i] == nullptr) continue;
    for (const bool mix : {false, true}) {
      for (const uint32_t queries : {1U, 4U}) {
        const std::string name =
            fmt::format("{}/{}/{}/{}", mix ? "mix" : "score", table.name, names[i], queries);
        benchmark::RegisterBenchmark(name.c_str(), attend, table.kv[i], mix, queries)->Arg(row_bytes[i]);
      }
    }
  }
}

void add_packed(const CpuTable& table) {
  const hearth::cpu::RoundRow round = hearth::cpu::resolve("", hearth::cpu_features()).round_row;
  for (uint32_t i = 0; i < table.packed_count; ++i) {
    const hearth::cpu::PackedKernels* kernels = &table.packed[i];
    const hearth::cpu::PackedForm* form = &hearth::cpu::packed_forms[i];
    const std::string name = fmt::format("{}/{}", table.name, hearth::find_type(kernels->type)->name);
    for (const uint32_t count : {1U, 3U, 8U, 16U}) {
      benchmark::RegisterBenchmark(fmt::format("generate/{}/{}", name, count).c_str(), generate, kernels,
                                   form, round, count)
          ->Unit(benchmark::kMillisecond);
    }
    benchmark::RegisterBenchmark(fmt::format("prompt/{}", name).c_str(), prompt, kernels, round);
  }
}

void add(const CpuTable& table) {
  if (table.peak != nullptr)
    benchmark::RegisterBenchmark(fmt::format("peak/{}", table.name).c_str(), peak, table.peak);
  add_packed(table);
  add_attention(table);
  for (uint32_t i = 0; i < table.type_count; ++i) {
    const TypeKernels* kernels = &table.types[i];
    const TypeInfo* type = hearth::find_type(kernels->type);
    for (const uint32_t count : {1U, 2U, 4U, 8U}) {
      const std::string name = fmt::format("gemv/{}/{}/{}", table.name, type->name, count);
      benchmark::RegisterBenchmark(name.c_str(), gemv, kernels, type, count)->Unit(benchmark::kMillisecond);
    }
    benchmark::RegisterBenchmark(fmt::format("decode/{}/{}", table.name, type->name).c_str(), decode,
                                 kernels);
  }
  if (table.matmul == nullptr) return;
  for (const uint32_t m : {1U, 16U, 64U, 512U}) {
    benchmark::RegisterBenchmark(fmt::format("matmul/{}/{}", table.name, m).c_str(), matmul, table.matmul, m);
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::RegisterBenchmark("memory/read", read_memory)->Unit(benchmark::kMillisecond);
  for (const hearth::cpu::CpuSet& set : hearth::cpu::cpu_sets()) {
    if (set.needs == nullptr || hearth::cpu_features().*set.needs) add(*set.table);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
