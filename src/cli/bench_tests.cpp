// The tests of hearth bench: what runs between two looks at the clock.
#include <algorithm>
#include <chrono>

#include "cli/bench.h"

namespace hearth {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Counter final : public TokenSink {
 public:
  bool token(TokenId, std::span<const float>) override {
    ++count;
    return true;
  }
  void finished(Finish) override {}
  uint32_t count = 0;
};

// Any tokens will do; they only have to differ, from one sequence to the next too.
std::vector<TokenId> some_tokens(uint32_t count, uint32_t vocabulary, uint32_t seed) {
  std::vector<TokenId> tokens;
  for (uint32_t i = 0; i < count; ++i)
    tokens.push_back({static_cast<int32_t>((i * 7919U + 13U + seed * 104729U) % vocabulary)});
  return tokens;
}

constexpr uint32_t rows_per_step = 512;  // the plan's wish

double kv_value_bytes(KvType type) { return static_cast<double>(kv_row_bytes(type, 32)) / 32; }

}  // namespace

uint32_t BenchOptions::waiting_steps() const { return parallel * (depth / (rows_per_step - parallel) + 2); }

uint32_t BenchOptions::longest() const {
  return std::max(prompt, depth + 1 + waiting_steps() + generate + 1);
}

double Limits::seconds(const Cost& cost) const {
  const double memory = static_cast<double>(cost.bytes) / bytes;
  return operations > 0 ? std::max(memory, static_cast<double>(cost.flops) / operations) : memory;
}

const char* Limits::bound_by(const Cost& cost) const {
  return seconds(cost) > static_cast<double>(cost.bytes) / bytes ? "products" : "memory";
}

double Bench::prompt(TraceSink* trace) {
  Engine& engine = model_.engine();
  Task task;
  task.tokens = some_tokens(o_.prompt, engine.model().hyper.vocabulary, 0);
  task.scores = [](uint32_t, std::span<const float>) {};
  engine.trace(trace);
  const auto begin = Clock::now();
  const SeqId id = engine.add(std::move(task));
  while (engine.step()) {
  }
  seconds_ = seconds_since(begin);
  engine.trace(nullptr);
  engine.remove(id);
  return o_.prompt / seconds_;
}

double Bench::generation(TraceSink* trace) {
  Engine& engine = model_.engine();
  std::vector<Counter> counters(o_.parallel);
  std::vector<SeqId> ids;
  for (uint32_t i = 0; i < o_.parallel; ++i) {
    Task task;
    task.tokens = some_tokens(o_.depth + 1, engine.model().hyper.vocabulary, i);
    task.sampling.temperature = 0;
    task.sink = &counters[i];
    ids.push_back(engine.add(std::move(task)));
  }
  const auto waits = [](const Counter& c) { return c.count == 0; };
  while (std::any_of(counters.begin(), counters.end(), waits) && engine.step()) {
  }
  const auto tokens = [&] {
    uint32_t sum = 0;
    for (const Counter& c : counters) sum += c.count;
    return sum;
  };
  const uint32_t before = tokens();
  engine.trace(trace);
  const auto begin = Clock::now();
  for (uint32_t i = 0; i < o_.generate && engine.step(); ++i) {
  }
  seconds_ = seconds_since(begin);
  engine.trace(nullptr);
  for (const SeqId id : ids) engine.remove(id);
  return (tokens() - before) / seconds_;
}

StepShape Bench::step(uint32_t rows, uint64_t context) const {
  StepShape s;
  const KvTypes kv = model_.engine().plan().kv;
  s.kv_bytes_k = kv_value_bytes(kv.k);
  s.kv_bytes_v = kv_value_bytes(kv.v);
  s.rows = rows;
  s.context = context;
  return s;
}

std::vector<StepShape> Bench::prompt_steps() const {
  std::vector<StepShape> steps;
  const uint32_t most = model_.engine().plan().rows;
  for (uint32_t done = 0; done < o_.prompt;) {
    const uint32_t rows = std::min(most, o_.prompt - done);
    steps.push_back(step(rows, done + rows / 2));
    done += rows;
    steps.back().wanted = done == o_.prompt ? 1 : 0;
  }
  return steps;
}

std::vector<StepShape> Bench::generation_steps() const {
  std::vector<StepShape> steps;
  for (uint32_t i = 0; i < o_.generate; ++i) {
    steps.push_back(step(o_.parallel, o_.depth + 2 + i));
    steps.back().wanted = steps.back().sequences = o_.parallel;
  }
  return steps;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace hearth
