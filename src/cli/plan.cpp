// hearth plan MODEL|FILE|URL: what would be allocated where, before anything is loaded or even fetched.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"
#include "cli/arguments.h"
#include "cli/bandwidth.h"
#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/environment.h"
#include "cli/plan_report.h"
#include "cli/run_options.h"
#include "plan/cards.h"
#include "scheduler/survey.h"
#include "store/registry.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

struct PlanOptions {
  std::string model, kv = "f16";
  std::vector<std::string> devices;
  Wish wish;
  std::optional<uint32_t> gpu_layers;
  bool max_context = false, why = false, json = false, insecure = false;
};

fs::path models_folder() {
  const std::string models = setting("MODELS");
  return models.empty() ? home_folder() / ".ollama" / "models" : fs::path(models);
}

// A folder of our own for the beginnings of remote files; gone with the object.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "hearth-plan-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw Error(Code::io, fmt::format("cannot make a folder in {}", fs::temp_directory_path().string()),
                  "set TMPDIR to a folder that can be written");
    folder_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  fs::path file(const std::string& name) const { return folder_ / name; }

 private:
  fs::path folder_;
};

struct RemotePart {
  std::string name;
  RemoteFile file;
  std::string start = {};
};

// The headers hold the vocabulary: a few MiB, more for the largest ones.
constexpr uint64_t first_bytes = 8ULL << 20, most_bytes = 256ULL << 20;

from_child::Surveyed survey_remote(std::vector<RemotePart>& parts, const LoadRequest& request) {
  const Scratch scratch;
  for (uint64_t bytes = first_bytes; bytes <= most_bytes; bytes *= 4) {
    to_child::Survey survey{request, {}};
    for (RemotePart& part : parts) {
      part.file.read_start(part.start, bytes);
      const fs::path path = scratch.file(part.name);
      write_file_atomic(path, part.start);
      survey.headers.push_back({path.string(), part.file.size()});
    }
    auto surveyed = survey_in_child(survey);
    if (!surveyed.goes_on) return surveyed;
  }
  throw Error(Code::corrupt_file,
              fmt::format("{} has a header of more than {} MiB", parts.front().name, most_bytes >> 20),
              "use another file of this model");
}

// "…/NAME-00001-of-00003.gguf" → the addresses of all its parts.
std::vector<std::string> part_addresses(const std::string& address) {
  constexpr std::string_view first = "-00001-of-", end = ".gguf";
  const size_t at = address.find(first);
  if (at == std::string::npos || address.size() != at + first.size() + 5 + end.size()) return {address};
  const std::string count = address.substr(at + first.size(), 5);
  if (count.find_first_not_of("0123456789") != std::string::npos) return {address};
  std::vector<std::string> all;
  for (int part = 1; part <= std::min(std::stoi(count), 1000); ++part)
    all.push_back(fmt::format("{}-{:05}-of-{}{}", address.substr(0, at), part, count, end));
  return all;
}

// Reads what the question is about: a file, the built-in model, a model of the store, or the header of one
// that is elsewhere.
from_child::Surveyed survey_of(const PlanOptions& o, LoadRequest request) {
  RunOptions named;
  const bool address = Registry::is_file_address(o.model);
  if (!address) name_model(named, o.model);
  if (!address && named.model.empty()) {
    request.path = named.load.path;
    return survey_in_child({request, {}});
  }
  Store store(StoreOptions{models_folder()});
  RegistryOptions registry_options;
  registry_options.key_file = home_folder() / ".ollama" / "id_ed25519";
  Registry registry(store, registry_options);
  std::vector<RemotePart> parts;
  if (address) {
    for (const std::string& part : part_addresses(o.model))
      parts.push_back({part.substr(part.rfind('/') + 1), registry.remote_file(part, o.insecure)});
    return survey_remote(parts, request);
  }
  const ModelName name = ModelName::parse_or_throw(o.model);
  if (const auto installed = store.find(name)) {
    const ModelParts files = read_parts(store, *installed);
    if (files.model.empty())
      throw Error(Code::unsupported, fmt::format("{} has no GGUF weights", o.model), "use another model");
    request.path = files.model.string();
    return survey_in_child({request, {}});
  }
  fmt::print(stderr, "{} is not here: its header is read from {}\n", o.model, name.host);
  parts.push_back({name.model + ".gguf", registry.remote_weights(name, o.insecure, {})});
  return survey_remote(parts, request);
}

// The share of the measured bandwidth that generation reaches on processors (docs/performance.md).
constexpr double cpu_share = 0.85;

PlanQuestion question_of(const PlanOptions& o) {
  PlanQuestion q;
  q.model = o.model;
  q.wish = o.wish;
  q.wish.gpu_layers = o.gpu_layers;
  const size_t slash = o.kv.find('/');
  q.wish.kv = {find_kv_type(o.kv.substr(0, slash)),
               find_kv_type(o.kv.substr(slash == std::string::npos ? 0 : slash + 1))};
  LoadRequest request;
  request.wish = q.wish;
  take_settings(request);
  if (o.devices.empty()) use_devices(known_devices(), request);
  q.surveyed = survey_of(o, request);
  if (o.devices.empty()) {
    q.devices = q.surveyed.budgets;
    q.source = "the bandwidth measured here";
    const uint32_t threads = request.threads != 0 ? request.threads : thread_budget().threads;
    for (DeviceBudget& d : q.devices) {
      if (d.device == "cpu" && d.rates.memory <= 0 && d.usable > (3ULL << 30))
        d.rates = {cpu_share * measure_read_bandwidth(threads), 0, 0, true};
    }
    return q;
  }
  q.source = "a table of cards";
  for (const std::string& text : o.devices) {
    DeviceBudget d = described_device(text);
    if (d.maps_weights) {  // the form of the weights is that of this machine's processor
      d.resident = q.surveyed.budgets.front().resident;
      d.workspace = q.surveyed.budgets.front().workspace;
    }
    q.devices.push_back(std::move(d));
  }
  return q;
}

void plan(const PlanOptions& o) {
  PlanQuestion q = question_of(o);
  if (o.max_context) {
    q.wish.context = largest_context(q.surveyed.profile, q.devices, q.wish);
    if (q.wish.context == 0) q.wish.context = page_tokens;
  }
  const PlanAnswer answer = answer_of(q);
  if (o.json) {
    fmt::print("{}\n", json::serialize(plan_json(q, answer)));
  } else {
    fmt::print("{}", plan_text(q, answer, o.why));
  }
  if (std::holds_alternative<Shortfall>(answer.result)) throw ExitCode{1};
}

}  // namespace

void add_plan(Arguments app) {
  auto o = std::make_shared<PlanOptions>();
  app.option(
         "MODEL", o->model,
         "a GGUF file, its address (https://…/NAME.gguf), a model's name (here or in a registry), or ember")
      .required();
  app.option("--context", o->wish.context, "tokens per conversation; 0 = the largest sensible");
  app.option("--kv-type", o->kv, "type of the cache: f32, f16, q8_0, q4_0, or K/V as in q8_0/q4_0");
  o->wish.parallel = 0;
  app.option("--parallel", o->wish.parallel,
             "conversations at once; 0 = as `serve` does: a small context shares a pool of up to 8192 tokens")
      .in_range(0, 1024);
  app.option(
         "--device", o->devices,
         "instead of this machine: a card by name (\"RTX 3090\", \"RX 6600:8GiB\"), cpu:32GiB; several times")
      .one_value_each();
  app.option("--gpu-layers", o->gpu_layers, "so many layers on the cards, the head counted first (num_gpu)");
  app.option("--main-gpu", o->wish.main_gpu, "which card is filled first");
  app.flag("--spread", o->wish.spread, "over all cards, even where one is enough");
  app.flag("--max-context", o->max_context, "plan for the largest context that fits");
  app.flag("--why", o->why, "also where each figure comes from");
  app.flag("--json", o->json, "for programs");
  app.flag("--insecure", o->insecure, "allow plain http");
  app.footer(
      "Exit code: 0 it fits, 1 it does not or an error. Only the header of a remote file is read.\n"
      "Environment: OLLAMA_MODELS, HEARTH_DEVICES, HEARTH_THREADS, HEARTH_CPU, HEARTH_BACKENDS");
  app.run([o] { plan(*o); });
}

}  // namespace hearth
