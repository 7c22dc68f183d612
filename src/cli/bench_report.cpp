// What hearth bench found, for people and for programs.
#include <fmt/format.h>

#include "cli/bench.h"
#include "cli/human.h"

namespace hearth {
namespace {

struct Line {
  std::string test;
  double tokens_per_second = 0, seconds = 0;
  Cost cost;
};

// Seconds of the median repetition, from its tokens per second.
std::vector<Line> lines_of(const BenchResult& r, const BenchOptions& o) {
  std::vector<Line> lines;
  if (!r.prompt.empty()) {
    const double rate = median(r.prompt);
    lines.push_back({fmt::format("prompt {}", o.prompt), rate, o.prompt / rate, r.prompt_cost});
  }
  if (!r.generation.empty()) {
    const double rate = median(r.generation);
    std::string name = fmt::format("generate {}", o.generate);
    if (o.depth > 0) name += fmt::format(" behind {}", o.depth);
    if (o.parallel > 1) name += fmt::format(" × {}", o.parallel);
    lines.push_back({name, rate, o.generate * o.parallel / rate, r.generation_cost});
  }
  return lines;
}

double gigabytes(const Cost& cost, double seconds) { return static_cast<double>(cost.bytes) / seconds / 1e9; }
double gigaflops(const Cost& cost, double seconds) { return static_cast<double>(cost.flops) / seconds / 1e9; }

void print_profile(const ProfileTable& t, const Limits& limits) {
  const auto steps = static_cast<double>(t.steps);
  fmt::print("\n{}: {} step(s) of {:.1f} ms\n", t.test, t.steps, 1e3 * t.seconds / steps);
  fmt::print("{:<10} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9}  {:<8} {:>12}\n", "operation", "ms/step", "share",
             "MB/step", "MFLOP", "GB/s", "GFLOP/s", "bound by", "of the limit");
  for (const ProfileRow& row : t.rows) {
    fmt::print("{:<10} {:>9.3f} {:>6.1f}%", row.operation, 1e3 * row.seconds / steps,
               100 * row.seconds / t.seconds);
    if (row.cost.bytes == 0 && row.cost.flops == 0) {
      fmt::print("\n");
      continue;
    }
    fmt::print(" {:>9.1f} {:>9.1f} {:>9.2f} {:>9.1f}  {:<8} {:>11.0f}%\n",
               static_cast<double>(row.cost.bytes) / steps / 1e6,
               static_cast<double>(row.cost.flops) / steps / 1e6, gigabytes(row.cost, row.seconds),
               gigaflops(row.cost, row.seconds), limits.bound_by(row.cost),
               100 * limits.seconds(row.cost) / row.seconds);
  }
}

json::object json_of(const Line& line, const Limits& limits) {
  return {{"seconds", line.seconds},
          {"bytes", line.cost.bytes},
          {"flops", line.cost.flops},
          {"tokens_per_second", line.tokens_per_second},
          {"gigabytes_per_second", gigabytes(line.cost, line.seconds)},
          {"gflops", gigaflops(line.cost, line.seconds)},
          {"bound_by", limits.bound_by(line.cost)},
          {"of_the_limit", limits.seconds(line.cost) / line.seconds}};
}

json::object json_of(const ProfileTable& t, const Limits& limits) {
  json::array rows;
  for (const ProfileRow& row : t.rows) {
    json::object one{{"operation", row.operation},
                     {"seconds", row.seconds},
                     {"share", row.seconds / t.seconds},
                     {"bytes", row.cost.bytes},
                     {"flops", row.cost.flops}};
    if (row.cost.bytes != 0 || row.cost.flops != 0) {
      one["bound_by"] = limits.bound_by(row.cost);
      one["of_the_limit"] = limits.seconds(row.cost) / row.seconds;
    }
    rows.push_back(std::move(one));
  }
  return {{"test", t.test}, {"seconds", t.seconds}, {"steps", t.steps}, {"operations", std::move(rows)}};
}

}  // namespace

void print_table(const BenchResult& r, LoadedModel& model, const BenchOptions& o) {
  const DeviceInfo& device = model.device().info();
  fmt::print("model      {} ({})\n", r.name, human_bytes(model.files().file->file_bytes()));
  fmt::print("device     {} ({}), {} thread(s)\n", device.name, device.description, device.threads);
  fmt::print("kernels    {}\n", device.variants.substr(0, device.variants.find(';')));
  fmt::print("load       {}\n", human_duration(r.load));
  fmt::print("limits     {:.1f} GB/s read from memory", r.limits.bytes / 1e9);
  if (r.limits.operations > 0) fmt::print(", {:.0f} GFLOP/s of products", r.limits.operations / 1e9);
  fmt::print("\n\n{:<26} {:>10} {:>9} {:>9}  {:<8} {:>12}\n", "test", "tokens/s", "GB/s", "GFLOP/s",
             "bound by", "of the limit");
  for (const Line& line : lines_of(r, o)) {
    fmt::print("{:<26} {:>10.2f} {:>9.2f} {:>9.1f}  {:<8} {:>11.0f}%\n", line.test, line.tokens_per_second,
               gigabytes(line.cost, line.seconds), gigaflops(line.cost, line.seconds),
               r.limits.bound_by(line.cost), 100 * r.limits.seconds(line.cost) / line.seconds);
  }
  for (const ProfileTable& t : r.profile) print_profile(t, r.limits);
}

void print_json(const BenchResult& r, LoadedModel& model, const BenchOptions& o) {
  const DeviceInfo& device = model.device().info();
  json::object out{{"model", r.name},
                   {"file_bytes", model.files().file->file_bytes()},
                   {"device", device.name},
                   {"description", device.description},
                   {"kernels", device.variants},
                   {"threads", device.threads},
                   {"load_seconds", r.load},
                   {"memory_bytes_per_second", r.limits.bytes},
                   {"product_flops_per_second", r.limits.operations}};
  for (const Line& line : lines_of(r, o)) {
    const bool prompt = line.test.starts_with("prompt");
    json::object test = json_of(line, r.limits);
    test["tokens"] = prompt ? o.prompt : o.generate;
    test["all"] = json::value_from(prompt ? r.prompt : r.generation);
    if (!prompt) {
      test["depth"] = o.depth;
      test["parallel"] = o.parallel;
    }
    out[prompt ? "prompt" : "generation"] = std::move(test);
  }
  if (!r.profile.empty()) {
    json::array tables;
    for (const ProfileTable& t : r.profile) tables.push_back(json_of(t, r.limits));
    out["profile"] = std::move(tables);
  }
  fmt::print("{}\n", json::serialize(out));
}

}  // namespace hearth
