// What choosing one token costs, by vocabulary and options.
#include <benchmark/benchmark.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/sampler.h"

namespace {

// Scores as models give them: a long tail with a few tokens that stand out.
std::vector<float> scores(size_t count) {
  std::vector<float> out(count);
  uint32_t state = 1;
  for (float& x : out) {
    state = state * 1664525U + 1013904223U;
    const float u = (static_cast<float>(state >> 8) + 1) / 16777217.0F;
    x = 3 * std::sqrt(-2 * std::log(u));
  }
  return out;
}

void choose(benchmark::State& state, const hearth::SamplingOptions& options) {
  const std::vector<float> logits = scores(static_cast<size_t>(state.range(0)));
  hearth::Sampler sampler(options, static_cast<uint32_t>(logits.size()));
  for (int i = 0; i < 64; ++i) sampler.accept({i});
  for (auto _ : state) benchmark::DoNotOptimize(sampler.choose(logits, nullptr));
}

// By the length of the text that is looked back on, which repeats itself and is broken nowhere: `repeated`
// tokens at a time.
void choose_dry(benchmark::State& state, uint32_t repeated) {
  const std::vector<float> logits = scores(150000);
  hearth::SamplingOptions options;
  options.seed = 1;
  options.dry_multiplier = 0.8F;
  hearth::Sampler sampler(options, static_cast<uint32_t>(logits.size()));
  for (int64_t i = 0; i < state.range(0); ++i)
    sampler.accept({static_cast<int32_t>(static_cast<uint32_t>(i) % repeated)});
  for (auto _ : state) benchmark::DoNotOptimize(sampler.choose(logits, nullptr));
}

hearth::SamplingOptions with(void (*change)(hearth::SamplingOptions&)) {
  hearth::SamplingOptions o;
  o.seed = 1;
  change(o);
  return o;
}

void add(const char* name, void (*change)(hearth::SamplingOptions&)) {
  benchmark::RegisterBenchmark(name, choose, with(change))
      ->Arg(32000)
      ->Arg(150000)
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) {
  using Options = hearth::SamplingOptions;
  add("defaults", [](Options&) {});
  add("greedy", [](Options& o) { o.temperature = 0; });
  add("penalties", [](Options& o) { o.repeat_penalty = 1.1F; });
  add("top_p_alone", [](Options& o) { o.top_k = 0; });
  add("min_p_alone", [](Options& o) { o.top_k = 0, o.top_p = 1, o.min_p = 0.05F; });
  add("typical_alone", [](Options& o) { o.top_k = 0, o.top_p = 1, o.typical_p = 0.9F; });
  add("no_cut", [](Options& o) { o.top_k = 0, o.top_p = 1; });
  add("mirostat_1", [](Options& o) { o.mirostat = 1; });
  add("mirostat_2", [](Options& o) { o.mirostat = 2; });
  for (const uint32_t repeated : {1U, 100U, 100000U}) {
    const std::string name = "dry/every" + std::to_string(repeated);
    benchmark::RegisterBenchmark(name.c_str(), choose_dry, repeated)
        ->Arg(0)
        ->Arg(8192)
        ->Arg(131072)
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
