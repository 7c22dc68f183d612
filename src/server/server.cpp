#include "server/server.h"

#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/error.h"
#include "server/dialects/anthropic/anthropic.h"
#include "server/dialects/fields.h"
#include "server/dialects/ollama/requests.h"
#include "server/dialects/openai/openai.h"
#include "server/house.h"
#include "server/http/access.h"
#include "server/http/encoding.h"
#include "server/http/listener.h"

namespace hearth {
namespace {

bool is_loopback(const HostAddress& a) {
  if (a.scheme == "unix" || a.host == "localhost") return true;
  boost::system::error_code no_address;
  const auto address = boost::asio::ip::make_address(a.host, no_address);
  return !no_address && address.is_loopback();
}

RegistryOptions registry_options(const ServerOptions& o) {
  RegistryOptions r = o.registry;
  r.client_version = api_version;
  r.key_file = o.key_file;
  return r;
}

StoreOptions store_options(const ServerOptions& o) {
  StoreOptions s;
  s.root = o.models;
  s.prune = o.prune;
  s.warn = o.log;
  return s;
}

bool route_matches(const HttpRoute& r, std::string_view path) {
  if (!r.path.ends_with("/*")) return r.path == path;
  const std::string_view front = r.path.substr(0, r.path.size() - 1);
  return path.size() > front.size() && path.starts_with(front);
}

struct Found {
  const HttpRoute* route = nullptr;
  bool path_known = false;
};

Found find_route(std::string_view method, std::string_view path) {
  Found found;
  for (const auto group : {inference_routes(), model_routes(), transfer_routes(), service_routes()}) {
    for (const HttpRoute& r : group) {
      if (!route_matches(r, path)) continue;
      found.path_known = true;
      if (r.method == method) found.route = &r;
      if (found.route != nullptr) return found;
    }
  }
  return found;
}

// `request`: an id that some dialects tell; `status` 0: that of the error's code.
ErrorReply error_reply(DialectKind dialect, const Error& e, const std::string& request, int status = 0) {
  switch (dialect) {
    case DialectKind::openai: return openai::error(e);
    case DialectKind::anthropic: return anthropic::error(e, request, status);
    case DialectKind::ollama: break;
  }
  return ollama::error(e);
}

// An error as it stands in a stream that has begun.
std::string stream_error(DialectKind dialect, const Error& e) {
  switch (dialect) {
    case DialectKind::openai: return "data: " + json::serialize(openai::error_json(e)) + "\n\n";
    case DialectKind::anthropic:
      return "event: error\ndata: " + json::serialize(anthropic::error_json(e)) + "\n\n";
    case DialectKind::ollama: break;
  }
  return json::serialize(ollama::error_json(e)) + "\n";
}

DialectKind dialect_of(std::string_view path) {
  if (path.starts_with("/v1/messages")) return DialectKind::anthropic;
  return path.starts_with("/v1/") ? DialectKind::openai : DialectKind::ollama;
}

}  // namespace

House::House(const boost::asio::any_io_executor& on, ServerOptions opt,
             std::unique_ptr<WorkerFactory> workers)
    : executor(on),
      options(std::move(opt)),
      store(store_options(options)),
      registry(store, registry_options(options)),
      catalog(store, {options.load, options.context, options.prefer_go_templates, options.cache}),
      scheduler(workers == nullptr ? Scheduler(on, options.policy)
                                   : Scheduler(on, options.policy, std::move(workers))) {}

void Metrics::count(const Piece& piece) {
  if (std::holds_alternative<from_child::Failed>(piece)) ++failed;
  const auto* done = std::get_if<from_child::Done>(&piece);
  if (done == nullptr) return;
  prompt_tokens += done->statistics.prompt_tokens;
  cached_tokens += done->statistics.cached_tokens;
  generated_tokens += done->statistics.generated_tokens;
  prompt_seconds += done->statistics.prompt;
  generation_seconds += done->statistics.generation;
}

std::string House::random_id(size_t length) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string id;
  for (size_t i = 0; i < length; ++i) id += letters[random() % letters.size()];
  return id;
}

void House::show_devices(const Report& report) {
  json::object fields{{"devices", to_json(report).at("devices")}};
  const std::vector<std::string> idle = idle_gpu_lines(report);
  if (!idle.empty()) fields["idle_gpus"] = json::value_from(idle);
  const std::lock_guard lock(devices_mutex_);
  devices_ = std::move(fields);
}

json::object House::shown_devices() const {
  const std::lock_guard lock(devices_mutex_);
  return devices_;
}

Awaitable<std::string> read_body(Exchange& exchange) {
  std::string body = co_await exchange.body(most_body);
  co_return unpacked(std::move(body), exchange.header("Content-Encoding"), most_unpacked);
}

Awaitable<Json> read_json(Exchange& exchange) {
  const std::string body = co_await read_body(exchange);
  co_return fields::parse_body(body);
}

class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const boost::asio::any_io_executor& executor, ServerOptions options,
       std::unique_ptr<WorkerFactory> workers)
      : store_prune_(options.prune),
        house_(std::make_unique<House>(executor, options, std::move(workers))),
        loopback_(is_loopback(options.address)),
        access_(options.origins, loopback_, options.token, warnings_) {
    if (!loopback_ && options.token.empty()) {
      options.log(
          fmt::format("the server listens on {}:{} without a token: everybody who reaches it can use it, and "
                      "delete models; set HEARTH_TOKEN to change that",
                      options.address.host, options.address.port));
    }
    for (const std::string& w : warnings_) options.log(w);
  }

  void listen() {
    listener_ =
        std::make_unique<HttpListener>(house_->executor, house_->options.address, tls_entrance(),
                                       [self = weak_from_this()](Exchange& exchange) -> Awaitable<void> {
                                         const auto impl = self.lock();
                                         if (impl != nullptr) co_await impl->handle(exchange);
                                       });
    if (!store_prune_) return;
    boost::asio::post(house_->threads, [house = house_.get()] {
      try {
        const PruneReport report = house->store.prune();
        if (report.files > 0)
          house->options.log(
              fmt::format("removed {} unused files, {} MB", report.files, report.bytes / 1'000'000));
      } catch (const Error& e) {
        house->options.log(fmt::format("the store was not tidied: {}", e.what()));
      }
    });
  }

  std::unique_ptr<TlsEntrance> tls_entrance() const {
    const ServerOptions& o = house_->options;
    if (o.tls_certificate.empty() && o.tls_key.empty()) return nullptr;
    return std::make_unique<TlsEntrance>(o.tls_certificate, o.tls_key);
  }

  uint16_t port() const { return listener_->port(); }
  void show_devices(const Report& report) { house_->show_devices(report); }
  void await_devices() { house_->catalog.await_devices(); }
  // The scheduler first: a load that waits for the catalog is placed by the scheduler's budgets.
  void use_devices(const LoadRequest& load) {
    boost::asio::post(house_->executor, [self = weak_from_this(), load] {
      const auto impl = self.lock();
      if (impl == nullptr) return;
      impl->house_->scheduler.use_devices(load.budgets);
      impl->house_->catalog.use_devices(load);
    });
  }

  void shut_down(std::chrono::nanoseconds patience, std::function<void()> done) {
    listener_->stop();
    house_->scheduler.shut_down(patience, [self = shared_from_this(), done = std::move(done)] {
      self->listener_->close_all();
      done();
    });
  }

 private:
  Awaitable<void> handle(Exchange& exchange) {
    const auto begin = std::chrono::steady_clock::now();
    std::optional<Error> failed;
    try {
      co_await answer(exchange);
    } catch (const Error& e) {
      failed = e;
    } catch (const boost::system::system_error& e) {
      exchange.close_after();
      note(exchange, begin, "the client has left");
      throw;
    } catch (const std::exception& e) {
      failed.emplace(Code::bug, fmt::format("a fault of hearth: {}", e.what()),
                     "please report it with the log");
    }
    try {
      if (failed) co_await report(exchange, *failed);
    } catch (const boost::system::system_error&) {  // nobody is there any more to hear it
      exchange.close_after();
    }
    note(exchange, begin, failed ? failed->what() : "");
  }

  void note(const Exchange& exchange, std::chrono::steady_clock::time_point begin,
            const std::string& failed) {
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    ++house_->metrics.answers[exchange.status()];
    house_->options.log(fmt::format("{} {} {} {:.1f} ms{}{}", exchange.status(), exchange.method(),
                                    exchange.path(), ms, failed.empty() ? "" : ": ", failed));
  }

  Awaitable<void> report(Exchange& exchange, const Error& e) {
    if (exchange.answered()) {  // in the middle of a stream there is no other way to say it
      exchange.close_after();
      if (e.code != Code::cancelled) {
        const std::string line = stream_error(dialect_of(exchange.path()), e);
        co_await exchange.write(line);
        co_await exchange.end();
      }
      co_return;
    }
    if (e.code == Code::busy) exchange.add("Retry-After", "1");
    constexpr size_t id_length = 24;
    const ErrorReply reply = error_reply(dialect_of(exchange.path()), e, house_->random_id(id_length));
    co_await exchange.send(reply.status, json_type, reply.body);
  }

  Awaitable<void> answer(Exchange& exchange) {
    const auto verdict = access_.judge(exchange.method(), exchange.header("Host"), exchange.header("Origin"),
                                       exchange.header("Authorization"), exchange.header("x-api-key"));
    for (const auto& [name, value] : verdict.headers) exchange.add(name, value);
    if (verdict.status == 401) {
      exchange.add("WWW-Authenticate", "Bearer");
      const ErrorReply reply = error_reply(dialect_of(exchange.path()),
                                           Error(Code::forbidden, "unauthorized: a token is needed",
                                                 "send it as \"Authorization: Bearer TOKEN\""),
                                           "", 401);
      co_return co_await exchange.send(401, json_type, reply.body);
    }
    if (verdict.status != 0) co_return co_await exchange.send(verdict.status, "", "");
    const std::string path(exchange.path());
    const Found found = find_route(exchange.method(), path);
    if (found.route != nullptr) co_return co_await found.route->handler(*house_, exchange);
    constexpr std::string_view plain = "text/plain; charset=utf-8";
    if (found.path_known) co_return co_await exchange.send(405, plain, "405 method not allowed");
    if (path.size() > 1 && path.ends_with('/')) {
      const std::string shorter = path.substr(0, path.find_last_not_of('/') + 1);
      if (!shorter.empty() && shorter.find_first_of("\r\n") == std::string::npos &&
          find_route(exchange.method(), shorter).path_known) {
        exchange.add("Location", shorter);
        co_return co_await exchange.send(exchange.method() == "GET" ? 301 : 307, "", "");
      }
    }
    co_await exchange.send(404, plain, "404 page not found");
  }

  bool store_prune_;
  std::unique_ptr<House> house_;
  bool loopback_;
  std::vector<std::string> warnings_;
  AccessRules access_;
  std::unique_ptr<HttpListener> listener_;
};

Server::Server(const boost::asio::any_io_executor& executor, ServerOptions options,
               std::unique_ptr<WorkerFactory> workers)
    : impl_(std::make_shared<Impl>(executor, std::move(options), std::move(workers))) {
  impl_->listen();
}

Server::~Server() = default;
void Server::show_devices(const Report& report) { impl_->show_devices(report); }
uint16_t Server::port() const { return impl_->port(); }

void Server::use_devices(const LoadRequest& load) { impl_->use_devices(load); }
void Server::await_devices() { impl_->await_devices(); }
void Server::shut_down(std::chrono::nanoseconds patience, std::function<void()> done) {
  impl_->shut_down(patience, std::move(done));
}

}  // namespace hearth
