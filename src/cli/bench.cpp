// hearth bench: how fast a model is here, and how near to what the machine can do.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/threads.h"
#include "cli/bandwidth.h"
#include "cli/commands.h"
#include "cli/environment.h"
#include "cli/human.h"
#include "convert/shapes.h"
#include "device/cost.h"
#include "worker/loaded_model.h"

namespace hearth {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string file, shape, quant = "Q4_K_M", kv = "f16";
  uint32_t prompt = 512, generate = 32, repetitions = 3, depth = 0, threads = 0;
  bool json = false, profile = false;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Counts tokens and remembers when the first one came.
class Meter final : public TokenSink {
 public:
  bool token(TokenId, std::span<const float>) override {
    if (count++ == 0) first = Clock::now();
    last = Clock::now();
    return true;
  }
  void finished(Finish) override {}
  uint32_t count = 0;
  Clock::time_point first, last;
};

// Time per operation kind of the traced steps.
class Profile final : public TraceSink {
 public:
  explicit Profile(const Program& program) : program_(program) {}
  void record(const TraceEntry& e) override {
    auto& kind = kinds[std::string(kind_name(program_.ops[e.op]))];
    kind.seconds += e.seconds;
    ++kind.calls;
  }
  struct Kind {
    double seconds = 0;
    uint64_t calls = 0;
  };
  std::map<std::string, Kind> kinds;

 private:
  const Program& program_;
};

// Any tokens will do; they only have to differ.
std::vector<TokenId> some_tokens(uint32_t count, uint32_t vocabulary) {
  std::vector<TokenId> tokens;
  for (uint32_t i = 0; i < count; ++i)
    tokens.push_back({static_cast<int32_t>((i * 7919U + 13U) % vocabulary)});
  return tokens;
}

double kv_value_bytes(KvType type) { return static_cast<double>(kv_row_bytes(type, 32)) / 32; }

class Bench {
 public:
  Bench(LoadedModel& model, const BenchOptions& options) : model_(model), o_(options) {}

  // Tokens per second of one prompt.
  double prompt() {
    Task task;
    task.tokens = some_tokens(o_.prompt, model_.engine().model().hyper.vocabulary);
    task.scores = [](uint32_t, std::span<const float>) {};
    const auto begin = Clock::now();
    const SeqId id = model_.engine().add(std::move(task));
    while (model_.engine().step()) {
    }
    const double seconds = seconds_since(begin);
    model_.engine().remove(id);
    return o_.prompt / seconds;
  }

  // Tokens per second of one sequence behind `depth` tokens of context.
  double generation() {
    Meter meter;
    Task task;
    task.tokens = some_tokens(o_.depth + 1, model_.engine().model().hyper.vocabulary);
    task.sampling.temperature = 0;
    task.max_tokens = o_.generate + 1;
    task.sink = &meter;
    const SeqId id = model_.engine().add(std::move(task));
    while (model_.engine().step()) {
    }
    model_.engine().remove(id);
    const double seconds = std::chrono::duration<double>(meter.last - meter.first).count();
    return meter.count > 1 ? (meter.count - 1) / seconds : 0;
  }

  StepShape shape(bool prompt) const {
    StepShape s;
    const KvTypes kv = const_cast<LoadedModel&>(model_).engine().plan().kv;
    s.kv_bytes_k = kv_value_bytes(kv.k);
    s.kv_bytes_v = kv_value_bytes(kv.v);
    s.rows = prompt ? o_.prompt : 1;
    s.context = prompt ? o_.prompt / 2 : o_.depth + o_.generate / 2;
    return s;
  }

 private:
  LoadedModel& model_;
  const BenchOptions& o_;
};

struct Figures {
  std::vector<double> prompt, generation;
  double load = 0, bandwidth = 0;
  Cost prompt_cost, generation_cost;

  double gigabytes() const { return median(generation) * static_cast<double>(generation_cost.bytes) / 1e9; }
  double prompt_gflops(uint32_t tokens) const {
    return median(prompt) / tokens * static_cast<double>(prompt_cost.flops) / 1e9;
  }
};

void print_profile(const char* title, const Profile& profile, const Program& program, const StepShape& shape,
                   double steps, double bandwidth) {
  std::map<std::string, Cost> costs;
  for (const Op& op : program.ops) costs[std::string(kind_name(op))] += cost(op, shape, program);
  double total = 0;
  for (const auto& [name, kind] : profile.kinds) total += kind.seconds;
  fmt::print("\n{} ({:.1f} ms per step)\n{:<10} {:>9} {:>7} {:>9} {:>11} {:>9}\n", title, 1e3 * total / steps,
             "operation", "ms/step", "share", "GB/s", "GFLOP/s", "of memory");
  for (const auto& [name, kind] : profile.kinds) {
    const double seconds = kind.seconds / steps;
    const double bytes = static_cast<double>(costs[name].bytes) / seconds,
                 flops = static_cast<double>(costs[name].flops) / seconds;
    fmt::print("{:<10} {:>9.2f} {:>6.1f}% {:>9.2f} {:>11.1f} {:>8.0f}%\n", name, 1e3 * seconds,
               100 * kind.seconds / total, bytes / 1e9, flops / 1e9, 100 * bytes / bandwidth);
  }
}

void print_table(const Figures& f, LoadedModel& model, const BenchOptions& o, const std::string& name) {
  const DeviceInfo& device = model.device().info();
  fmt::print("model      {} ({})\n", name, human_bytes(model.files().file->file_bytes()));
  fmt::print("device     {} ({}), {} thread(s)\n", device.name, device.description, device.threads);
  fmt::print("kernels    {}\n", device.variants.substr(0, device.variants.find(';')));
  fmt::print("load       {}\n", human_duration(f.load));
  fmt::print("memory     {:.1f} GB/s read by {} thread(s)\n\n", f.bandwidth / 1e9, device.threads);
  fmt::print("{:<14} {:>10} {:>14} {:>16}\n", "test", "tokens/s", "achieved", "of the limit");
  if (!f.prompt.empty()) {
    fmt::print("{:<14} {:>10.2f} {:>7.1f} GFLOP/s\n", fmt::format("prompt {}", o.prompt), median(f.prompt),
               f.prompt_gflops(o.prompt));
  }
  if (!f.generation.empty()) {
    fmt::print("{:<14} {:>10.2f} {:>9.2f} GB/s {:>15.0f}%\n", fmt::format("generate {}", o.generate),
               median(f.generation), f.gigabytes(), 100 * f.gigabytes() * 1e9 / f.bandwidth);
  }
}

void print_json(const Figures& f, LoadedModel& model, const BenchOptions& o, const std::string& name) {
  const DeviceInfo& device = model.device().info();
  json::object out{{"model", name},
                   {"file_bytes", model.files().file->file_bytes()},
                   {"device", device.name},
                   {"description", device.description},
                   {"kernels", device.variants},
                   {"threads", device.threads},
                   {"load_seconds", f.load},
                   {"memory_bytes_per_second", f.bandwidth},
                   {"prompt",
                    {{"tokens", o.prompt},
                     {"tokens_per_second", median(f.prompt)},
                     {"all", json::value_from(f.prompt)},
                     {"gflops", f.prompt.empty() ? 0 : f.prompt_gflops(o.prompt)}}},
                   {"generation",
                    {{"tokens", o.generate},
                     {"depth", o.depth},
                     {"tokens_per_second", median(f.generation)},
                     {"all", json::value_from(f.generation)},
                     {"gigabytes_per_second", f.gigabytes()},
                     {"of_memory_bandwidth", f.gigabytes() * 1e9 / f.bandwidth}}}};
  fmt::print("{}\n", json::serialize(out));
}

OpenModel open_image(const SyntheticModel& image, std::string name) {
  OpenModel m;
  m.name = std::move(name);
  m.file = std::make_unique<Gguf>(Gguf::parse(image.bytes(), m.name));
  m.tokenizer = Tokenizer::create(read_vocabulary(*m.file));
  return m;
}

LoadRequest request_of(const BenchOptions& o, const Gguf& file) {
  LoadRequest r;
  const size_t slash = o.kv.find('/');
  r.wish.kv = {find_kv_type(o.kv.substr(0, slash)),
               find_kv_type(slash == std::string::npos ? o.kv : o.kv.substr(slash + 1))};
  const std::string arch(file.string("general.architecture").value_or(""));
  const uint64_t limit = file.u64(arch + ".context_length").value_or(8192);
  r.wish.context =
      static_cast<uint32_t>(std::min<uint64_t>(limit, std::max(o.prompt, o.depth + o.generate + 2) + 32));
  r.cpu_set = setting("CPU");
  r.threads = o.threads != 0 ? o.threads : thread_setting();
  return r;
}

void run_tests(Bench& bench, const BenchOptions& o, Figures& f) {
  for (uint32_t i = 0; i <= o.repetitions; ++i) {  // the first time warms up and does not count
    fmt::print(stderr, "\rmeasuring {}/{} ", i, o.repetitions);
    std::fflush(stderr);
    const double prompt = o.prompt > 0 ? bench.prompt() : 0,
                 generation = o.generate > 0 ? bench.generation() : 0;
    if (i == 0) continue;
    if (o.prompt > 0) f.prompt.push_back(prompt);
    if (o.generate > 0) f.generation.push_back(generation);
  }
  fmt::print(stderr, "\r                    \r");
}

void profile_tests(Bench& bench, LoadedModel& model, const BenchOptions& o, double bandwidth) {
  Engine& engine = model.engine();
  const Program& program = engine.model().program;
  const auto traced = [&](const char* title, auto&& test, const StepShape& shape, double steps) {
    Profile profile(program);
    engine.executable().trace(&profile);
    test();
    engine.executable().trace(nullptr);
    print_profile(title, profile, program, shape, steps, bandwidth);
  };
  if (o.prompt > 0)
    traced(
        "prompt", [&] { bench.prompt(); }, bench.shape(true), 1);
  if (o.generate > 0)
    traced(
        "generation", [&] { bench.generation(); }, bench.shape(false), o.generate + 1.0);
}

void bench(const BenchOptions& o) {
  std::unique_ptr<SyntheticModel> image;
  OpenModel open;
  std::string name = o.file.empty() ? std::string(builtin_name) : o.file;
  if (!o.shape.empty()) {
    name = o.shape + " " + o.quant;
    fmt::print(stderr, "making {} ... ", name);
    image = std::make_unique<SyntheticModel>(o.shape, o.quant, thread_budget().threads);
    fmt::print(stderr, "\r\x1b[K");
    open = open_image(*image, name);
  } else {
    open = OpenModel::open(o.file);
  }
  const LoadRequest request = request_of(o, *open.file);
  LoadedModel model(std::move(open), request);
  if (std::max(o.prompt, o.depth + o.generate + 2) > model.engine().plan().context) {
    throw Error(Code::bad_request,
                fmt::format("the model's context of {} tokens is too short for this test",
                            model.engine().plan().context),
                "use a smaller --prompt, --generate or --depth");
  }
  Bench test(model, o);
  Figures f;
  f.load = model.load_seconds();
  f.bandwidth = measure_read_bandwidth(model.device().info().threads);
  const Program& program = model.engine().model().program;
  f.prompt_cost = cost(program, test.shape(true));
  f.generation_cost = cost(program, test.shape(false));
  run_tests(test, o, f);
  if (o.json) {
    print_json(f, model, o, name);
  } else {
    print_table(f, model, o, name);
  }
  if (o.profile) profile_tests(test, model, o, f.bandwidth);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto o = std::make_shared<BenchOptions>();
  app.add_option("FILE", o->file, "GGUF file (default: the built-in model)");
  app.add_option("--shape", o->shape,
                 "made-up weights in the shape of a known model (a wrong name lists them)");
  app.add_option("--quant", o->quant, "quantization of --shape")->capture_default_str();
  app.add_option("-p,--prompt", o->prompt, "tokens of the prompt test, 0 = none")->capture_default_str();
  app.add_option("-n,--generate", o->generate, "tokens of the generation test, 0 = none")
      ->capture_default_str();
  app.add_option("-d,--depth", o->depth, "tokens of context before generation")->capture_default_str();
  app.add_option("-r,--repetitions", o->repetitions, "counted runs; medians are shown")
      ->check(CLI::Range(1U, 100U))
      ->capture_default_str();
  app.add_option("-t,--threads", o->threads, "threads (default: HEARTH_THREADS, or what the machine allows)");
  app.add_option("--kv-type", o->kv, "cache type, K/V for two")->capture_default_str();
  app.add_flag("--json", o->json, "one JSON object");
  app.add_flag("--profile", o->profile, "time, bytes and FLOPs per kind of operation");
  app.callback([o] { bench(*o); });
}

}  // namespace hearth
