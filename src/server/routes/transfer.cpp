// Routes that move models: pull, push, create, blobs. They answer with a stream of statuses.
#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <stop_token>

#include "base/error.h"
#include "server/dialects/fields.h"
#include "server/dialects/ollama/requests.h"
#include "server/events.h"
#include "server/house.h"
#include "server/models/create.h"

namespace hearth {
namespace {

using Lines = Events<json::object>;

struct StatusJob {
  Emit emit;
  std::stop_token stop;
};

// Runs `work` on a thread and streams what it emits; {"status":"success"} is its own last word. Without a
// stream the end is one object. The client's leaving stops the work.
template <class Work>
Awaitable<void> stream_statuses(House& house, Exchange& exchange, bool stream, Work work) {
  const auto lines = std::make_shared<Lines>(house.executor);
  std::stop_source stop;
  exchange.watch([stop]() mutable { stop.request_stop(); });
  const Emit emit = [lines, executor = house.executor](json::object line) {
    boost::asio::post(executor, [lines, line = std::move(line)]() mutable { lines->push(std::move(line)); });
  };
  boost::asio::post(house.threads,
                    [lines, emit, work = std::move(work), stop, executor = house.executor]() mutable {
                      try {
                        work(emit, stop.get_token());
                      } catch (const Error& e) {
                        emit(ollama::error_json(e));
                      } catch (const std::exception& e) {
                        emit({{"error", e.what()}});
                      }
                      boost::asio::post(executor, [lines] { lines->close(); });
                    });
  json::object last;
  if (stream) co_await exchange.begin("application/x-ndjson");
  while (auto line = co_await lines->next()) {
    std::string bytes;
    for (; line; line = lines->take()) {
      bytes += json::serialize(*line) + "\n";
      last = std::move(*line);
    }
    if (stream && !stop.stop_requested()) co_await exchange.write(bytes);
  }
  if (stream) co_return co_await exchange.end();
  const bool failed = last.contains("error");
  const std::string text = json::serialize(last);
  co_await exchange.send(failed ? 500 : 200, "application/json", text);
}

std::string model_field(const Json& body) {
  const auto model = fields::text(body, "model");
  std::string name = model && !model->empty() ? *model : fields::text(body, "name").value_or("");
  if (name.empty()) throw Error(Code::bad_request, "model is required", "name a model");
  return name;
}

OnTransferProgress told(const Emit& emit) {
  return [emit](const TransferProgress& p) {
    json::object line{{"status", p.status}};
    if (p.digest) {
      line["digest"] = p.digest->text();
      line["total"] = p.total;
      if (p.completed > 0) line["completed"] = p.completed;
    }
    emit(std::move(line));
  };
}

Registry::Describe describer(House& house) {
  return [&house](const std::filesystem::path& file) { return config_of_file(house.catalog, file.string()); };
}

Awaitable<void> pull(House& house, Exchange& exchange) {
  const Json body = co_await read_json(exchange);
  const std::string text = model_field(body);
  const bool insecure = fields::flag(body, "insecure").value_or(false);
  const bool file = Registry::is_file_address(text);
  const ModelName name = file ? Registry::name_of_file(text) : ModelName::parse_or_throw(text);
  if (!file && name.scheme == "http" && !insecure) {
    throw Error(Code::bad_request, fmt::format("{} asks for plain http", text),
                "use https, or allow it with \"insecure\"");
  }
  const auto work = [&house, text, name, insecure, file](const Emit& emit, const std::stop_token& stop) {
    if (file) {
      house.registry.pull_file(text, name, insecure, describer(house), told(emit), stop);
    } else {
      house.registry.pull(name, insecure, told(emit), stop);
    }
  };
  co_await stream_statuses(house, exchange, fields::flag(body, "stream").value_or(true), work);
}

Awaitable<void> push(House& house, Exchange& exchange) {
  const Json body = co_await read_json(exchange);
  const ModelName name = ModelName::parse_or_throw(model_field(body));
  const bool insecure = fields::flag(body, "insecure").value_or(false);
  const auto work = [&house, name, insecure](const Emit& emit, const std::stop_token& stop) {
    house.registry.push(name, insecure, told(emit), stop);
  };
  co_await stream_statuses(house, exchange, fields::flag(body, "stream").value_or(true), work);
}

Awaitable<void> create(House& house, Exchange& exchange) {
  const Json body = co_await read_json(exchange);
  CreateOrder order = parse_create(body);
  if (order.source)
    co_await house.blocking([&] { return house.catalog.check_template(*order.source), true; });
  const auto work = [&house, order](const Emit& emit, const std::stop_token& stop) {
    create_model({house.store, house.catalog, house.registry, emit, stop}, order);
  };
  co_await stream_statuses(house, exchange, fields::flag(body, "stream").value_or(true), work);
}

Digest digest_of_path(const Exchange& exchange) {
  return Digest::parse_or_throw(exchange.path().substr(std::string_view("/api/blobs/").size()));
}

Awaitable<void> has_blob(House& house, Exchange& exchange) {
  const Digest digest = digest_of_path(exchange);
  const bool there = co_await house.blocking([&] { return house.store.blob_size(digest).has_value(); });
  co_await exchange.send(there ? 200 : 404, "", "");
}

Awaitable<void> take_blob(House& house, Exchange& exchange) {
  const Digest digest = digest_of_path(exchange);
  const bool there = co_await house.blocking([&] {
    const bool known = house.store.blob_size(digest).has_value();
    if (known) house.store.touch(digest);
    return known;
  });
  if (there) co_return co_await exchange.send(200, "", "");
  auto writer = co_await house.blocking([&] { return std::make_unique<BlobWriter>(house.store); });
  constexpr size_t piece = size_t{1} << 20;
  for (std::string bytes = co_await exchange.some(piece); !bytes.empty();
       bytes = co_await exchange.some(piece)) {
    co_await house.blocking([&] {
      writer->write(bytes);
      return true;
    });
  }
  co_await house.blocking([&] {
    writer->finish(media::model, digest);
    return true;
  });
  co_await exchange.send(201, "", "");
}

constexpr DialectKind native = DialectKind::ollama;
constexpr HttpRoute routes[] = {{"POST", "/api/pull", native, pull},
                                {"POST", "/api/push", native, push},
                                {"POST", "/api/create", native, create},
                                {"HEAD", "/api/blobs/*", native, has_blob},
                                {"POST", "/api/blobs/*", native, take_blob}};

}  // namespace

std::span<const HttpRoute> transfer_routes() { return routes; }

}  // namespace hearth
