#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/loaded_model.h"

namespace hearth {

struct BenchOptions {
  std::string file, shape, quant = "Q4_K_M", kv = "f16", device;
  uint32_t prompt = 512, generate = 32, repetitions = 3, depth = 0, threads = 0, parallel = 1;
  bool json = false, profile = false, no_warmup = false;

  // Steps that pass while the last of the parallel sequences is still at its prompt; the others generate.
  uint32_t waiting_steps() const;
  // Tokens of one sequence in the longest test.
  uint32_t longest() const;
};

// What the machine can do at most, measured in the same run.
struct Limits {
  double bytes = 0;       // per second, read from memory
  double operations = 0;  // per second, of products; 0: not known

  // The least time that something can take, and what it waits for.
  double seconds(const Cost& cost) const;
  const char* bound_by(const Cost& cost) const;
};

// Runs the tests on a loaded model.
class Bench {
 public:
  Bench(LoadedModel& model, const BenchOptions& options) : model_(model), o_(options) {}

  // Tokens per second of one prompt; of all generating sequences together, each behind `depth` tokens.
  double prompt(TraceSink* trace = nullptr);
  double generation(TraceSink* trace = nullptr);

  // The steps that the tests consist of.
  std::vector<StepShape> prompt_steps() const;
  std::vector<StepShape> generation_steps() const;
  // Seconds of the last test.
  double seconds() const { return seconds_; }

 private:
  StepShape step(uint32_t rows, uint64_t context) const;

  LoadedModel& model_;
  const BenchOptions& o_;
  double seconds_ = 0;
};

// What one kind of operation took in all steps of a test.
struct ProfileRow {
  std::string operation;
  double seconds = 0;
  Cost cost;
};
struct ProfileTable {
  std::string test;  // "prompt", "generation"
  double seconds = 0;
  size_t steps = 0;
  std::vector<ProfileRow> rows;  // longest first; the last one is what lies between the operations
};

struct BenchResult {
  std::string name;
  std::vector<double> prompt, generation;  // tokens per second of each repetition
  double load = 0;
  Limits limits;
  Cost prompt_cost, generation_cost;  // of a whole test
  std::vector<ProfileTable> profile;
};

double median(std::vector<double> values);

// One traced run of each test.
std::vector<ProfileTable> profile(Bench& bench, LoadedModel& model, const BenchOptions& options);

void print_table(const BenchResult& result, LoadedModel& model, const BenchOptions& options);
void print_json(const BenchResult& result, LoadedModel& model, const BenchOptions& options);

}  // namespace hearth
