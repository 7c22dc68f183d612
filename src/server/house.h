#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include "scheduler/scheduler.h"
#include "server/http/exchange.h"
#include "server/models/catalog.h"
#include "server/server.h"
#include "store/registry.h"
#include "store/store.h"

namespace hearth {

// What /metrics tells.
struct Metrics {
  std::map<int, uint64_t> answers;  // by HTTP status
  uint64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0, failed = 0;
  double prompt_seconds = 0, generation_seconds = 0;

  void count(const Piece& piece);
};

// What every route works with.
struct House {
  House(const boost::asio::any_io_executor& on, ServerOptions opt, std::unique_ptr<WorkerFactory> workers);

  boost::asio::any_io_executor executor;
  ServerOptions options;
  Store store;
  Registry registry;
  Catalog catalog;
  Scheduler scheduler;
  boost::asio::thread_pool threads{16};  // for what blocks: files, registries, children
  std::mt19937_64 random{std::random_device{}()};
  Metrics metrics;
  uint64_t kept_requests = 0;  // in options.request_folder

  // The fields of /api/ps that tell of devices.
  void show_devices(const Report& report);
  json::object shown_devices() const;

  // Runs `work` on a thread where it may block; the result, or what it throws, comes back here.
  template <class Work>
  auto blocking(Work work) -> Awaitable<decltype(work())> {
    using Result = decltype(work());
    co_return co_await boost::asio::co_spawn(
        threads, [work = std::move(work)]() mutable -> Awaitable<Result> { co_return work(); },
        boost::asio::use_awaitable);
  }

  // Random characters a-z0-9 for ids that clients see.
  std::string random_id(size_t length);

 private:
  mutable std::mutex devices_mutex_;
  json::object devices_;
};

using Handler = Awaitable<void> (*)(House&, Exchange&);

enum class DialectKind : uint8_t { ollama, openai, anthropic };

struct HttpRoute {
  std::string_view method, path;  // a path that ends in "/*" takes everything below
  DialectKind dialect;
  Handler handler;
};

// The tables, one per group of routes.
std::span<const HttpRoute> inference_routes();
std::span<const HttpRoute> model_routes();
std::span<const HttpRoute> transfer_routes();
std::span<const HttpRoute> service_routes();

inline constexpr std::string_view json_type = "application/json; charset=utf-8";
// No body of a request is read into memory beyond this, or unpacked beyond that; blobs are streamed to the
// disk.
inline constexpr size_t most_body = size_t{512} << 20, most_unpacked = 20'000'000;

// The body, unpacked; the same as a JSON object. Throw Error(bad_request).
Awaitable<std::string> read_body(Exchange& exchange);
Awaitable<Json> read_json(Exchange& exchange);

}  // namespace hearth
