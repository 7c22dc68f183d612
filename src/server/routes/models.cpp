// Routes about the models in the store and those that are loaded.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "server/dialects/fields.h"
#include "server/dialects/openai/openai.h"
#include "server/house.h"
#include "server/models/describe.h"
#include "server/page.h"

namespace hearth {
namespace {

std::string model_field(const Json& body) {
  const auto model = fields::text(body, "model");
  return model && !model->empty() ? *model : fields::text(body, "name").value_or("");
}

Awaitable<void> reply(Exchange& exchange, const Json& body) {
  const std::string text = json::serialize(body);
  co_await exchange.send(200, json_type, text);
}

Awaitable<void> root(House&, Exchange& exchange) {
  if (exchange.header("Accept").find("text/html") != std::string_view::npos) {
    exchange.add(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; frame-ancestors 'none'");
    co_return co_await exchange.send(200, "text/html; charset=utf-8", page());
  }
  co_await exchange.send(200, "text/plain; charset=utf-8", "Ollama is running");
}

// Not written into the coroutine: GCC 12 takes lists of braces there for arrays.
Json version_json(const House& house) {
  return json::object{{"version", api_version}, {"hearth", house.options.version}};
}

Awaitable<void> version(House& house, Exchange& exchange) {
  const Json body = version_json(house);
  co_await reply(exchange, body);
}

Awaitable<void> tags(House& house, Exchange& exchange) {
  const Json body = co_await house.blocking([&]() -> Json {
    json::array models;
    bool shadowed = false;
    for (const InstalledModel& m : house.store.list()) {
      shadowed = shadowed || equal_ignoring_case(m.name.short_display(), builtin_model_name);
      models.push_back(tag_json(m));
    }
    if (!shadowed) models.push_back(builtin_tag_json(house.catalog));
    return json::object{{"models", std::move(models)}};
  });
  co_await reply(exchange, body);
}

Awaitable<void> show(House& house, Exchange& exchange) {
  const Json body = co_await read_json(exchange);
  const std::string name = model_field(body);
  if (name.empty()) throw Error(Code::bad_request, "model is required", "name a model");
  const bool copilot = exchange.header("User-Agent").starts_with("GitHubCopilotChat/");
  const Json shown = co_await house.blocking([&]() -> Json {
    json::object o;
    try {
      o = show_json(house.catalog.resolve(name), house.catalog, body);
    } catch (const Error& e) {
      if (e.code != Code::not_found) throw;
      throw Error(e.code,
                  fmt::format("model '{}' not found", ModelName::parse_or_throw(name).short_display()),
                  e.remedy);
    }
    if (copilot) o["model_info"].as_object()["general.basename"] = name;
    return o;
  });
  co_await reply(exchange, shown);
}

json::object resident_json(House& house, const Resident& r) {
  const ResolvedModel model = house.catalog.resolve(r.spec.name);
  uint64_t bytes = 0, on_cards = 0;
  json::array buffers;
  for (const DeviceBuffers& held : r.ready.held) {
    for (const Buffer& b : held.buffers) {
      bytes += b.bytes;
      on_cards += held.device == "cpu" ? 0 : b.bytes;
      buffers.push_back(
          {{"device", held.device}, {"kind", to_string(b.kind)}, {"bytes", b.bytes}, {"mapped", b.mapped}});
    }
  }
  // "For ever" is what the clock's nanoseconds can hold.
  const auto expires =
      r.expires.value_or(std::chrono::system_clock::now() + std::chrono::hours(24) * 365 * 200);
  json::object o{{"name", r.spec.name},
                 {"model", r.spec.name},
                 {"size", bytes},
                 {"digest", Catalog::digest(model)},
                 {"details", details_json(model, house.catalog, false)},
                 {"expires_at", local_time(expires)},
                 {"size_vram", on_cards},
                 {"context_length", r.ready.context},
                 {"device", r.ready.device},
                 {"buffers", std::move(buffers)},
                 {"notes", json::value_from(r.ready.notes)},
                 {"running", r.running},
                 {"waiting", r.waiting}};
  if (r.spec.load.vectors) o["vectors"] = true;  // beside what makes text of the same file
  return o;
}

Awaitable<void> ps(House& house, Exchange& exchange) {
  const std::vector<Resident> residents = house.scheduler.residents();
  const Json body = co_await house.blocking([&]() -> Json {
    std::vector<Resident> sorted = residents;
    const auto later = [](const Resident& a, const Resident& b) {
      return a.expires && b.expires ? *a.expires > *b.expires : b.expires.has_value() && !a.expires;
    };
    std::sort(sorted.begin(), sorted.end(), later);
    json::array models;
    for (const Resident& r : sorted) {
      try {
        models.push_back(resident_json(house, r));
      } catch (const Error& e) {  // deleted while it is loaded
        house.options.log(fmt::format("{} is loaded but not described: {}", r.spec.name, e.what()));
      }
    }
    json::object shown = house.shown_devices();
    shown["models"] = std::move(models);
    return shown;
  });
  co_await reply(exchange, body);
}

ModelName name_for(const char* role, const std::string& text) {
  const auto name = ModelName::parse(text);
  if (!name) {
    throw Error(Code::bad_request, fmt::format("{} \"{}\" is invalid", role, text), "use NAME or NAME:TAG");
  }
  return *name;
}

Awaitable<void> copy(House& house, Exchange& exchange) {
  const Json body = co_await read_json(exchange);
  const std::string asked = fields::text(body, "source").value_or("");
  const ModelName from = name_for("source", asked);
  const ModelName to = name_for("destination", fields::text(body, "destination").value_or(""));
  co_await house.blocking([&] {
    if (!house.store.find(from)) {
      throw Error(Code::not_found, fmt::format("model \"{}\" not found", asked),
                  "see the installed models with list");
    }
    house.store.copy(from, to);
    return true;
  });
  co_await exchange.send(200, "", "");
}

Awaitable<void> remove(House& house, Exchange& exchange) {
  const Json body = co_await read_json(exchange);
  const std::string text = model_field(body);
  const auto name = ModelName::parse(text);
  if (!name) throw Error(Code::bad_request, "invalid model name", "use NAME or NAME:TAG");
  const std::string key = co_await house.blocking([&] {
    if (!house.store.find(*name)) {
      throw Error(Code::not_found, fmt::format("model '{}' not found", text), "see `hearth list`");
    }
    std::string found = key_of(house.catalog.resolve(text));
    house.store.remove(*name);
    return found;
  });
  house.scheduler.unload(key);
  house.scheduler.unload(key_of_vectors(key));
  co_await exchange.send(200, "", "");
}

Awaitable<void> status(House&, Exchange& exchange) {
  co_await exchange.send(200, json_type, R"({"cloud":{"disabled":true,"source":"config"}})");
}
Awaitable<void> no_account(House&, Exchange& exchange) {
  co_await exchange.send(401, json_type, R"({"error":"unauthorized"})");
}
Awaitable<void> no_search(House&, Exchange& exchange) {
  co_await exchange.send(403, json_type,
                         R"({"error":"web search is a cloud feature, which this server does not have"})");
}
Awaitable<void> no_recommendations(House&, Exchange& exchange) {
  co_await exchange.send(200, json_type, R"({"recommendations":[]})");
}
json::object listed(const InstalledModel& m) {
  return openai::model_json(m.name.short_display(), m.name.space, m.modified);
}

Awaitable<void> openai_models(House& house, Exchange& exchange) {
  const Json body = co_await house.blocking([&]() -> Json {
    json::array data;
    bool shadowed = false;
    for (const InstalledModel& m : house.store.list()) {
      shadowed = shadowed || equal_ignoring_case(m.name.short_display(), builtin_model_name);
      data.push_back(listed(m));
    }
    if (!shadowed) data.push_back(openai::model_json(std::string(builtin_model_name), "hearth", {}));
    return json::object{{"object", "list"}, {"data", std::move(data)}};
  });
  co_await reply(exchange, body);
}

Awaitable<void> openai_model(House& house, Exchange& exchange) {
  const std::string name(exchange.path().substr(std::string_view("/v1/models/").size()));
  const Json body = co_await house.blocking([&]() -> Json {
    const ResolvedModel m = house.catalog.resolve(name);
    json::object o = m.installed ? listed(*m.installed) : openai::model_json(name, "hearth", {});
    o["id"] = name;
    return o;
  });
  co_await reply(exchange, body);
}

constexpr DialectKind native = DialectKind::ollama;
constexpr HttpRoute routes[] = {
    {"GET", "/", native, root},
    {"HEAD", "/", native, root},
    {"GET", "/api/version", native, version},
    {"HEAD", "/api/version", native, version},
    {"GET", "/api/tags", native, tags},
    {"HEAD", "/api/tags", native, tags},
    {"GET", "/api/ps", native, ps},
    {"POST", "/api/show", native, show},
    {"POST", "/api/copy", native, copy},
    {"DELETE", "/api/delete", native, remove},
    {"GET", "/api/status", native, status},
    {"POST", "/api/me", native, no_account},
    {"POST", "/api/signout", native, no_account},
    {"DELETE", "/api/user/keys/*", native, no_account},
    {"POST", "/api/experimental/web_search", native, no_search},
    {"POST", "/api/experimental/web_fetch", native, no_search},
    {"GET", "/api/experimental/model-recommendations", native, no_recommendations},
    {"GET", "/v1/models", DialectKind::openai, openai_models},
    {"GET", "/v1/models/*", DialectKind::openai, openai_model}};

}  // namespace

std::span<const HttpRoute> model_routes() { return routes; }

}  // namespace hearth
