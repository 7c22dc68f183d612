// The quantizer's encoders, one thread: values per second ("items") by type.
//
//   bench_quantize --benchmark_filter=Q4_K
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "tensor/types.h"

namespace {

using hearth::TypeInfo;

void encode(benchmark::State& state, const TypeInfo& type) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(1 << 16);
  for (float& v : x) v = normal(random);
  std::vector<std::byte> blocks(x.size() / type.block_values * type.block_bytes);
  for (auto _ : state) {
    type.encode(x, {}, blocks);
    benchmark::DoNotOptimize(blocks.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(x.size()));
}

}  // namespace

int main(int argc, char** argv) {
  for (const TypeInfo* type : hearth::all_types()) {
    if (type->encode == nullptr) continue;
    benchmark::RegisterBenchmark(std::string("encode/").append(type->name).c_str(),
                                 [type](benchmark::State& state) { encode(state, *type); });
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
