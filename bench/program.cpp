// What it costs to describe a step: building the program of a 28-layer model, laying it out, counting its
// cost. None of this happens per step (an executable is prepared once), so these are the price of a load.
#include <benchmark/benchmark.h>

#include <string>

#include "base/json.h"
#include "convert/synth.h"
#include "device/cost.h"
#include "device/layout.h"
#include "formats/gguf.h"
#include "model/model.h"

namespace {

using hearth::Json;
namespace json = hearth::json;

void add_tensor(json::array& tensors, const std::string& name, int cols, int rows) {
  json::array shape{cols};
  if (rows > 0) shape.push_back(rows);
  tensors.push_back({{"name", name}, {"shape", shape}, {"type", "F32"}, {"fill", "uniform"}, {"scale", 0.1}});
}

// A qwen3 of 28 layers with narrow matrices: the list of operations is that of the 1.7 B model.
Json recipe() {
  json::array metadata{
      {"general.architecture", "string", "qwen3"}, {"qwen3.block_count", "u32", 28},
      {"qwen3.context_length", "u32", 512},        {"qwen3.embedding_length", "u32", 64},
      {"qwen3.feed_forward_length", "u32", 64},    {"qwen3.attention.head_count", "u32", 2},
      {"qwen3.attention.head_count_kv", "u32", 1}, {"qwen3.attention.key_length", "u32", 32},
      {"qwen3.attention.value_length", "u32", 32}, {"qwen3.attention.layer_norm_rms_epsilon", "f32", 1e-6}};
  json::array tensors;
  add_tensor(tensors, "token_embd.weight", 64, 64);
  add_tensor(tensors, "output_norm.weight", 64, 0);
  for (int i = 0; i < 28; ++i) {
    const std::string at = "blk." + std::to_string(i) + ".";
    for (const char* name : {"attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
      add_tensor(tensors, at + name + ".weight", 64, 64);
    }
    for (const char* name : {"attn_k", "attn_v"}) add_tensor(tensors, at + name + ".weight", 64, 32);
    for (const char* name : {"attn_norm", "ffn_norm"}) add_tensor(tensors, at + name + ".weight", 64, 0);
    for (const char* name : {"attn_q_norm", "attn_k_norm"}) add_tensor(tensors, at + name + ".weight", 32, 0);
  }
  return json::object{
      {"version", 3}, {"alignment", 32}, {"seed", 1}, {"metadata", metadata}, {"tensors", tensors}};
}

const hearth::Gguf& file() {
  static const auto image = hearth::build_recipe(recipe());
  static const hearth::Gguf gguf = hearth::Gguf::parse(image, "bench");
  return gguf;
}

void bind(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(hearth::bind_model(file()));
}
void lay_out(benchmark::State& state) {
  const auto model = hearth::bind_model(file());
  state.counters["ops"] = static_cast<double>(model.program.ops.size());
  for (auto _ : state) benchmark::DoNotOptimize(hearth::lay_out(model.program, 512));
}
void count_cost(benchmark::State& state) {
  const auto model = hearth::bind_model(file());
  for (auto _ : state) benchmark::DoNotOptimize(hearth::cost(model.program, hearth::StepShape{}));
}

BENCHMARK(bind)->Unit(benchmark::kMicrosecond);
BENCHMARK(lay_out)->Unit(benchmark::kMicrosecond);
BENCHMARK(count_cost)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
