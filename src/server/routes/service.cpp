// Routes for whoever looks after the server.
#include <fmt/format.h>

#include "base/error.h"
#include "server/house.h"

namespace hearth {
namespace {

Awaitable<void> health(House&, Exchange& exchange) {
  co_await exchange.send(200, json_type, R"({"status":"ok"})");
}

// A label's value: quotes, backslashes and line ends are escaped.
std::string label(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

class Page {
 public:
  void head(const char* name, const char* type, const char* help) {
    text += fmt::format("# HELP hearth_{} {}\n# TYPE hearth_{} {}\n", name, help, name, type);
  }
  template <class Value>
  void line(const char* name, const std::string& labels, const Value& value) {
    text += labels.empty() ? fmt::format("hearth_{} {}\n", name, value)
                           : fmt::format("hearth_{}{{{}}} {}\n", name, labels, value);
  }
  template <class Value>
  void one(const char* name, const char* type, const char* help, const Value& value) {
    head(name, type, help);
    line(name, "", value);
  }
  std::string text;
};

std::string model_label(const Resident& r) { return fmt::format("model=\"{}\"", label(r.spec.name)); }

Awaitable<void> metrics(House& house, Exchange& exchange) {
  const Metrics& m = house.metrics;
  Page page;
  page.head("http_answers_total", "counter", "Answers by HTTP status.");
  for (const auto& [status, count] : m.answers)
    page.line("http_answers_total", fmt::format("status=\"{}\"", status), count);
  page.one("prompt_tokens_total", "counter", "Tokens of prompts, those taken from the cache too.",
           m.prompt_tokens);
  page.one("cached_tokens_total", "counter", "Tokens of prompts that were taken from the cache.",
           m.cached_tokens);
  page.one("generated_tokens_total", "counter", "Tokens that models made.", m.generated_tokens);
  page.one("prompt_seconds_total", "counter", "Time from requests' start to their first token.",
           m.prompt_seconds);
  page.one("generation_seconds_total", "counter", "Time from requests' first token to their last.",
           m.generation_seconds);
  page.one("failed_requests_total", "counter", "Requests that a model or its worker ended with an error.",
           m.failed);
  const std::vector<Resident> residents = house.scheduler.residents();
  page.one("loaded_models", "gauge", "Models that are loaded.", residents.size());
  page.head("running_requests", "gauge", "Requests that a model works on.");
  for (const Resident& r : residents) page.line("running_requests", model_label(r), r.running);
  page.head("waiting_requests", "gauge", "Requests that wait for a model.");
  for (const Resident& r : residents) page.line("waiting_requests", model_label(r), r.waiting);
  page.head("model_bytes", "gauge", "Memory that a loaded model holds.");
  for (const Resident& r : residents) {
    for (const DeviceBuffers& held : r.ready.held) {
      for (const BufferKind kind : {BufferKind::weights, BufferKind::kv, BufferKind::arena,
                                    BufferKind::workspace, BufferKind::results}) {
        page.line("model_bytes",
                  fmt::format("{},device=\"{}\",kind=\"{}\"", model_label(r), held.device, to_string(kind)),
                  held.of(kind));
      }
    }
  }
  co_await exchange.send(200, "text/plain; version=0.0.4; charset=utf-8", page.text);
}

// One entry per loaded model: requests share its pages, so there are no slots of a fixed size. Not written
// into the coroutine: GCC 12 takes lists of braces there for arrays.
json::array slots_json(const std::vector<Resident>& residents) {
  json::array list;
  for (const Resident& r : residents) {
    list.push_back({{"id", list.size()},
                    {"model", r.spec.name},
                    {"n_ctx", r.ready.context},
                    {"is_processing", r.running > 0},
                    {"running", r.running},
                    {"waiting", r.waiting}});
  }
  return list;
}

Awaitable<void> slots(House& house, Exchange& exchange) {
  const std::string body = json::serialize(slots_json(house.scheduler.residents()));
  co_await exchange.send(200, json_type, body);
}

Awaitable<void> no_saving(House&, Exchange&) {
  throw Error(Code::unsupported, "a prompt cache is not saved, restored or erased on request",
              "send the same prompt again: what is still in the cache is not computed anew");
  co_return;
}

// There are none: an adapter is not applied beside a model's weights.
Awaitable<void> adapters(House&, Exchange& exchange) { co_await exchange.send(200, json_type, "[]"); }
Awaitable<void> no_adapters(House&, Exchange&) {
  throw Error(Code::unsupported, "adapters are not applied to a loaded model",
              "use a model that the adapter was merged into");
  co_return;
}

constexpr HttpRoute routes[] = {{"GET", "/health", DialectKind::ollama, health},
                                {"GET", "/metrics", DialectKind::ollama, metrics},
                                {"GET", "/slots", DialectKind::ollama, slots},
                                {"POST", "/slots/*", DialectKind::ollama, no_saving},
                                {"GET", "/lora-adapters", DialectKind::ollama, adapters},
                                {"POST", "/lora-adapters", DialectKind::ollama, no_adapters}};

}  // namespace

std::span<const HttpRoute> service_routes() { return routes; }

}  // namespace hearth
