// hearth bench: how fast a model is here, and how near to what the machine can do.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/threads.h"
#include "cli/arguments.h"
#include "cli/bandwidth.h"
#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/environment.h"
#include "convert/shapes.h"
#include "worker/probe.h"

namespace hearth {
namespace {

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
  r.wish.context = static_cast<uint32_t>(std::min<uint64_t>(limit, o.longest() + page_tokens));
  r.wish.parallel = o.parallel;
  take_settings(r);
  if (o.threads != 0) r.threads = o.threads;
  r.devices = device_setting(o.device);
  return r;
}

void say(const std::string& progress) {
  if (::isatty(STDERR_FILENO) == 0) return;
  fmt::print(stderr, "\r\x1b[K{}", progress);
  std::fflush(stderr);
}

void run_tests(Bench& bench, const BenchOptions& o, BenchResult& r) {
  for (uint32_t i = o.no_warmup ? 1 : 0; i <= o.repetitions; ++i) {  // number 0 warms up and does not count
    say(fmt::format("measuring {}/{} ", i, o.repetitions));
    const double prompt = o.prompt > 0 ? bench.prompt() : 0,
                 generation = o.generate > 0 ? bench.generation() : 0;
    if (i == 0) continue;
    if (o.prompt > 0) r.prompt.push_back(prompt);
    if (o.generate > 0) r.generation.push_back(generation);
  }
  say("");
}

void measure_limits(Device& device, Limits& limits) {
  const std::string& name = device.info().name;
  const double bytes = name == "cpu" ? measure_read_bandwidth(device.info().threads) : probed_read_rate(name);
  limits.bytes = std::max(limits.bytes, bytes);
  limits.operations = std::max(limits.operations, device.product_rate());
}

Cost cost_of(const std::vector<StepShape>& steps, const Program& program) {
  Cost sum;
  for (const StepShape& step : steps) sum += cost(program, step);
  return sum;
}

void bench(const BenchOptions& o) {
  std::unique_ptr<SyntheticModel> image;
  OpenModel open;
  std::string name = o.file.empty() ? std::string(builtin_name) : o.file;
  if (!o.shape.empty()) {
    name = o.shape + " " + o.quant;
    say(fmt::format("making {} ... ", name));
    image = std::make_unique<SyntheticModel>(o.shape, o.quant, thread_budget().threads);
    say("");
    open = open_image(*image, name);
  } else {
    open = OpenModel::open(o.file);
  }
  const LoadRequest request = request_of(o, *open.file);
  LoadedModel model(std::move(open), request);
  if (o.longest() > model.engine().plan().context) {
    throw Error(Code::bad_request,
                fmt::format("the model's context of {} tokens is too short for this test of {}",
                            model.engine().plan().context, o.longest()),
                "use a smaller --prompt, --generate or --depth");
  }
  Bench test(model, o);
  BenchResult r;
  r.name = name;
  r.load = model.load_seconds();
  measure_limits(model.device(), r.limits);
  const Program& program = model.engine().model().program;
  r.prompt_cost = cost_of(test.prompt_steps(), program);
  r.generation_cost = cost_of(test.generation_steps(), program);
  run_tests(test, o, r);
  measure_limits(model.device(), r.limits);  // once more: on a shared machine the first may have been unlucky
  if (o.profile) r.profile = profile(test, model, o);
  if (o.json) {
    print_json(r, model, o);
  } else {
    print_table(r, model, o);
  }
}

}  // namespace

void add_bench(Arguments app) {
  auto o = std::make_shared<BenchOptions>();
  app.option("FILE", o->file, "GGUF file (default: the built-in model)");
  app.option("--shape", o->shape, "made-up weights in the shape of a known model (a wrong name lists them)");
  app.option("--quant", o->quant, "quantization of --shape").shows_default();
  app.option("-p,--prompt,--n-prompt", o->prompt, "tokens of the prompt test, 0 = none").shows_default();
  app.option("-n,--generate,--n-gen", o->generate, "tokens of the generation test, 0 = none").shows_default();
  app.option("-d,--depth,--n-depth", o->depth, "tokens of context before generation").shows_default();
  app.option("--parallel,--n-parallel", o->parallel, "sequences that generate together")
      .in_range(1U, 32U)
      .shows_default();
  app.option("-r,--repetitions", o->repetitions, "counted runs; medians are shown")
      .in_range(1U, 100U)
      .shows_default();
  app.flag("--no-warmup", o->no_warmup, "count the first run too");
  app.option("-t,--threads", o->threads, "threads (default: HEARTH_THREADS, or what the machine allows)");
  app.option("--device", o->device, "where to compute: cpu, vulkan0 … (default: HEARTH_DEVICES, else cpu)");
  app.option("--kv-type", o->kv, "cache type, K/V for two").shows_default();
  app.flag("--json", o->json, "one JSON object");
  app.flag("--profile", o->profile, "time, bytes and FLOPs per kind of operation");
  app.run([o] { bench(*o); });
}

}  // namespace hearth
