// Routes that ask a model: a body becomes a call, its requests go to the scheduler, pieces become bytes.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "server/dialects/anthropic/anthropic.h"
#include "server/dialects/dialect.h"
#include "server/dialects/extras.h"
#include "server/dialects/fields.h"
#include "server/dialects/ollama/requests.h"
#include "server/dialects/openai/openai.h"
#include "server/events.h"
#include "server/house.h"

namespace hearth {
namespace {

struct Event {
  size_t index = 0;
  Piece piece;
};
using Queue = Events<Event>;

// A reader that lets so many pieces pile up is not reading.
constexpr size_t most_waiting = 20000;

bool empty(const Request& r) {
  return r.messages.empty() && !r.raw && r.embed.empty() && r.embed_tokens.empty();
}

Stamp stamp_of(House& house) {
  constexpr size_t id_length = 24;
  return {house.random_id(id_length), std::chrono::system_clock::now()};
}

// The requests of one call while they run; those that still do when the call is left are cancelled.
class Running {
 public:
  Running(House& house, std::shared_ptr<Queue> queue) : house_(house), queue_(std::move(queue)) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    queue_->close();
    for (const RequestId id : ids_) house_.scheduler.cancel(id);
  }
  void submit(const ModelSpec& spec, Request request, KeepAlive keep_alive) {
    const size_t index = ids_.size();
    ids_.push_back(house_.scheduler.submit(spec, std::move(request), keep_alive,
                                           [queue = queue_, index](const Piece& piece) {
                                             if (!queue->closed()) queue->push({index, piece});
                                           }));
  }

 private:
  House& house_;
  std::shared_ptr<Queue> queue_;
  std::vector<RequestId> ids_;
};

bool last(const Piece& piece) {
  return std::holds_alternative<from_child::Done>(piece) || std::holds_alternative<from_child::Failed>(piece);
}

[[noreturn]] void rethrow(const from_child::Failed& f) { throw Error(f.code, f.message, f.remedy); }

void add_device_header(House& house, Exchange& exchange, const std::string& key) {
  for (const Resident& r : house.scheduler.residents()) {
    if (r.spec.key == key) exchange.add("X-Hearth-Device", r.ready.device);
  }
}

// The next event. While none comes, what keeps an idle connection open is written now and then: those between
// client and server close it otherwise while a model is loaded or a long prompt is read.
Awaitable<std::optional<Event>> next_event(House& house, Exchange& exchange, Call& call, Queue& queue) {
  const auto patience = house.options.idle_comment;
  while (patience.count() > 0 && !co_await queue.ready(patience)) {
    std::string bytes = call.reply->idle();
    if (bytes.empty()) break;
    if (!exchange.answered()) {
      co_await exchange.begin(call.reply->content_type());
      bytes.insert(0, call.reply->open());
    }
    co_await exchange.write(bytes);
  }
  co_return co_await queue.next();
}

// Pieces to bytes until every request is over. Events that are here already go out in one write.
Awaitable<void> relay(House& house, Exchange& exchange, Call& call, Queue& queue, const std::string& key) {
  size_t open = call.requests.size();
  while (open > 0) {
    auto event = co_await next_event(house, exchange, call, queue);
    if (!event) throw Error(Code::cancelled, "the client has left", "");
    std::string bytes;
    if (const auto* failed = std::get_if<from_child::Failed>(&event->piece); failed && !exchange.answered()) {
      rethrow(*failed);
    }
    const bool streams = call.stream && call.reply->content_type() != json_type;
    if (streams && !exchange.answered()) {
      add_device_header(house, exchange, key);
      co_await exchange.begin(call.reply->content_type());
      bytes = call.reply->open();
    }
    for (; event; event = queue.take()) {
      open -= last(event->piece) ? 1 : 0;
      house.metrics.count(event->piece);
      bytes += call.reply->on(event->index, event->piece);
    }
    if (streams) co_await exchange.write(bytes);
    if (queue.size() > most_waiting) throw Error(Code::cancelled, "the client reads too slowly", "");
  }
  if (exchange.answered()) {
    co_await exchange.write(call.reply->close());
    co_await exchange.end();
    co_return;
  }
  add_device_header(house, exchange, key);
  co_await exchange.send(200, call.reply->content_type(), call.reply->close());
}

// An empty request that keeps nothing: the model goes, and is not loaded for that.
Awaitable<void> unload(House& house, Exchange& exchange, Call& call, const std::string& key) {
  house.scheduler.unload(key);
  house.scheduler.unload(key_of_vectors(key));
  call.reply->on(0, from_child::Done{{}, "unload", {}});
  const std::string body = call.reply->close();
  co_await exchange.send(200, json_type, body);
}

// Renderers are code of another program.
void warn_of_renderer(House& house, const ResolvedModel& model) {
  if (!model.installed || model.installed->config.renderer.empty()) return;
  const std::string line =
      fmt::format("{} names the renderer \"{}\", which hearth does not have: its template is used instead",
                  model.display, model.installed->config.renderer);
  if (house.catalog.first_time(line)) house.options.log(line);
}

Awaitable<void> run(House& house, Exchange& exchange, Call call) {
  const ResolvedModel model = co_await house.blocking([&] { return house.catalog.resolve(call.model); });
  warn_of_renderer(house, model);
  const bool idle = std::all_of(call.requests.begin(), call.requests.end(), empty);
  if (idle && call.keep_alive && call.keep_alive->count() == 0)
    co_return co_await unload(house, exchange, call, key_of(model));
  ModelSpec spec = co_await house.blocking(
      [&] { return call.vectors ? house.catalog.vectors_spec(model) : house.catalog.spec(model); });
  for (Request& r : call.requests) {
    prepare(r, spec, model, house.catalog.defaults(), house.options.log, call.fallback);
  }
  if (idle) {
    // Only the model's own words would be asked then.
    for (Request& r : call.requests) r.messages.clear();
  }
  const auto queue = std::make_shared<Queue>(house.executor);
  Running running(house, queue);
  exchange.watch([weak = std::weak_ptr(queue)] {
    if (const auto q = weak.lock()) q->close();
  });
  for (Request& r : call.requests) running.submit(spec, std::move(r), call.keep_alive);
  co_await relay(house, exchange, call, *queue, spec.key);
}

// A body as it came, and beside it a command that sends it again.
void keep_request(const std::filesystem::path& folder, uint64_t number, const std::string& path,
                  const std::string& body) {
  std::string name = path;
  std::replace(name.begin(), name.end(), '/', '_');
  name = fmt::format("{:06}{}", number, name);
  write_file_atomic(folder / (name + ".json"), body);
  write_file_atomic(
      folder / (name + ".sh"),
      fmt::format("#!/bin/sh\ncurl -sN \"${{HEARTH_URL:-http://127.0.0.1:11434}}{}\" "
                  "-H 'Content-Type: application/json' --data-binary @\"$(dirname \"$0\")\"/{}.json\n",
                  path, name));
}

// The body of a request to a model.
Awaitable<Json> read_request(House& house, Exchange& exchange) {
  const std::string body = co_await read_body(exchange);
  const std::filesystem::path& folder = house.options.request_folder;
  if (!folder.empty()) {
    const uint64_t number = ++house.kept_requests;
    const std::string path(exchange.path());
    co_await house.blocking([&] {
      keep_request(folder, number, path, body);
      return true;
    });
  }
  co_return fields::parse_body(body);
}

Awaitable<void> generate(House& house, Exchange& exchange) {
  Call call = ollama::parse_generate(co_await read_request(house, exchange), stamp_of(house));
  if (call.model.empty()) throw Error(Code::not_found, "model '' not found", "name a model");
  co_await run(house, exchange, std::move(call));
}
Awaitable<void> chat(House& house, Exchange& exchange) {
  co_await run(house, exchange, ollama::parse_chat(co_await read_request(house, exchange), stamp_of(house)));
}
Awaitable<void> embed(House& house, Exchange& exchange) {
  Call call = ollama::parse_embed(co_await read_request(house, exchange), stamp_of(house));
  const std::string name = call.model;
  try {
    co_await run(house, exchange, std::move(call));
  } catch (const Error& e) {
    if (e.code != Code::not_found) throw;
    throw Error(Code::not_found, fmt::format("model \"{}\" not found, try pulling it first", name), "");
  }
}
Awaitable<void> embeddings(House& house, Exchange& exchange) {
  co_await run(house, exchange,
               ollama::parse_embeddings(co_await read_request(house, exchange), stamp_of(house)));
}

template <Call (*parse)(const Json&, const Stamp&)>
Awaitable<void> dialect(House& house, Exchange& exchange) {
  co_await run(house, exchange, parse(co_await read_request(house, exchange), stamp_of(house)));
}

template <Call (*parse)(const Json&, const Stamp&)>
Awaitable<void> count(House& house, Exchange& exchange) {
  Call call = parse(co_await read_request(house, exchange), stamp_of(house));
  co_await run(house, exchange, extras::counting(std::move(call), "response.input_tokens"));
}

// There is no model yet that hears.
Awaitable<void> transcriptions(House&, Exchange&) {
  throw Error(Code::bad_request, "this server runs no audio model yet", "send text to a chat model");
  co_return;
}

constexpr DialectKind native = DialectKind::ollama;
constexpr HttpRoute routes[] = {
    {"POST", "/v1/chat/completions", DialectKind::openai, dialect<openai::parse_chat>},
    {"POST", "/v1/completions", DialectKind::openai, dialect<openai::parse_completion>},
    {"POST", "/v1/embeddings", DialectKind::openai, dialect<openai::parse_embeddings>},
    {"POST", "/v1/responses", DialectKind::openai, dialect<openai::parse_responses>},
    {"POST", "/v1/messages", DialectKind::anthropic, dialect<anthropic::parse_messages>},
    {"POST", "/v1/messages/count_tokens", DialectKind::anthropic, dialect<anthropic::parse_count_tokens>},
    {"POST", "/api/generate", DialectKind::ollama, generate},
    {"POST", "/api/chat", DialectKind::ollama, chat},
    {"POST", "/api/embed", DialectKind::ollama, embed},
    {"POST", "/api/embeddings", DialectKind::ollama, embeddings},
    {"POST", "/v1/audio/transcriptions", DialectKind::openai, transcriptions},
    {"POST", "/v1/chat/completions/input_tokens", DialectKind::openai, count<openai::parse_chat>},
    {"POST", "/v1/responses/input_tokens", DialectKind::openai, count<openai::parse_responses>},
    {"POST", "/tokenize", native, dialect<extras::parse_tokenize>},
    {"POST", "/api/tokenize", native, dialect<extras::parse_tokenize>},
    {"POST", "/detokenize", native, dialect<extras::parse_detokenize>},
    {"POST", "/api/detokenize", native, dialect<extras::parse_detokenize>},
    {"POST", "/apply-template", native, dialect<extras::parse_apply_template>},
    {"POST", "/v1/rerank", DialectKind::openai, dialect<extras::parse_rerank>},
    {"POST", "/v1/reranking", DialectKind::openai, dialect<extras::parse_rerank>},
    {"POST", "/rerank", DialectKind::openai, dialect<extras::parse_rerank>},
    {"POST", "/infill", native, dialect<extras::parse_infill>}};

}  // namespace

std::span<const HttpRoute> inference_routes() { return routes; }

}  // namespace hearth
