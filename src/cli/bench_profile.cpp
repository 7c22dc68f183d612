// Where the time of a test goes: per kind of operation, with what it had to read and to compute.
#include <algorithm>
#include <map>
#include <utility>

#include "cli/bench.h"

namespace hearth {
namespace {

class Times final : public TraceSink {
 public:
  explicit Times(const Program& program) : program_(program) {}
  void record(const TraceEntry& e) override {
    seconds[std::string(kind_name(program_.ops[e.op]))] += e.seconds;
  }
  std::map<std::string, double> seconds;

 private:
  const Program& program_;
};

// Per kind. What was fused into the operation behind it has no time of its own and is counted there.
std::map<std::string, Cost> costs_of(const Times& times, std::vector<StepShape> steps,
                                     const Program& program) {
  std::map<std::string, Cost> costs;
  Cost fused;
  for (const Op& op : program.ops) {
    Cost all = std::exchange(fused, {});
    for (StepShape& step : steps) {
      all += cost(op, step, program);
      step.rows = rows_behind(op, step.rows);
    }
    const std::string kind(kind_name(op));
    (times.seconds.contains(kind) ? costs[kind] : fused) += all;
  }
  return costs;
}

ProfileTable table_of(std::string test, const Times& times, const std::vector<StepShape>& steps,
                      const Program& program, double seconds) {
  ProfileTable table{std::move(test), seconds, steps.size(), {}};
  double traced = 0;
  const auto costs = costs_of(times, steps, program);
  for (const auto& [kind, time] : times.seconds) {
    table.rows.push_back({kind, time, costs.at(kind)});
    traced += time;
  }
  std::sort(table.rows.begin(), table.rows.end(),
            [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
  // Sampling, the batch, waking the threads.
  table.rows.push_back({"between", std::max(0.0, seconds - traced), {}});
  return table;
}

}  // namespace

std::vector<ProfileTable> profile(Bench& bench, LoadedModel& model, const BenchOptions& o) {
  const Program& program = model.engine().model().program;
  std::vector<ProfileTable> tables;
  if (o.prompt > 0) {
    Times times(program);
    bench.prompt(&times);
    tables.push_back(table_of("prompt", times, bench.prompt_steps(), program, bench.seconds()));
  }
  if (o.generate > 0) {
    Times times(program);
    bench.generation(&times);
    tables.push_back(table_of("generation", times, bench.generation_steps(), program, bench.seconds()));
  }
  return tables;
}

}  // namespace hearth
