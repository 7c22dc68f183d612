// Commands that ask a server about its models: list, ps, cp, rm, stop.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "cli/api_client.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/table.h"

namespace hearth {
namespace {

std::string text_of(const Json& j, const char* key) {
  const Json* at = j.as_object().if_contains(key);
  return at != nullptr && at->is_string() ? std::string(at->as_string()) : std::string();
}
uint64_t number_of(const Json& j, const char* key) {
  const Json* at = j.as_object().if_contains(key);
  return at != nullptr && at->is_number() ? at->to_number<uint64_t>() : 0;
}

bool begins_with_any_case(const std::string& name, const std::string& prefix) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  return name.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), name.begin(), same);
}

void list(const std::string& prefix) {
  const Json answer = ApiClient::connect().call("GET", "/api/tags");
  const auto now = std::chrono::system_clock::now();
  Table table({"NAME", "ID", "SIZE", "MODIFIED"});
  for (const Json& m : answer.at("models").as_array()) {
    if (!begins_with_any_case(text_of(m, "name"), prefix)) continue;
    table.add({text_of(m, "name"), text_of(m, "digest").substr(0, 12), human_bytes(number_of(m, "size")),
               human_age(parse_time(text_of(m, "modified_at")), now)});
  }
  fmt::print("{}", table.text());
}

// Where a model's bytes are, as scripts expect it.
std::string processor(uint64_t size, uint64_t vram) {
  if (size == 0 || vram > size) return "Unknown";
  if (vram == size) return "100% GPU";
  if (vram == 0) return "100% CPU";
  const auto cpu =
      static_cast<int>(std::lround(100.0 * static_cast<double>(size - vram) / static_cast<double>(size)));
  return fmt::format("{}%/{}% CPU/GPU", cpu, 100 - cpu);
}

void ps(const std::string& prefix) {
  const Json answer = ApiClient::connect().call("GET", "/api/ps");
  const auto now = std::chrono::system_clock::now();
  Table table({"NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"});
  for (const Json& m : answer.at("models").as_array()) {
    if (!begins_with_any_case(text_of(m, "name"), prefix)) continue;
    const auto expires = parse_time(text_of(m, "expires_at"));
    table.add({text_of(m, "name"), text_of(m, "digest").substr(0, 12), human_bytes(number_of(m, "size")),
               processor(number_of(m, "size"), number_of(m, "size_vram")),
               std::to_string(number_of(m, "context_length")),
               expires < now ? "Stopping..." : human_age(expires, now)});
  }
  fmt::print("{}", table.text());
  // Not among the lines that scripts read.
  if (const Json* idle = answer.as_object().if_contains("idle_gpus")) {
    for (const Json& line : idle->as_array())
      fmt::print(stderr, "Warning: {}\n", std::string_view(line.as_string()));
  }
}

void copy(const std::string& source, const std::string& destination) {
  ApiClient::connect().call("POST", "/api/copy", {{"source", source}, {"destination", destination}});
  fmt::print("copied '{}' to '{}'\n", source, destination);
}

void unload(ApiClient& client, const std::string& model) {
  client.call("POST", "/api/generate", {{"model", model}, {"keep_alive", 0}, {"stream", false}});
}

void stop(const std::string& model) {
  ApiClient client = ApiClient::connect();
  try {
    client.call("POST", "/api/show", {{"model", model}});
    unload(client, model);
  } catch (const Error& e) {
    if (e.code != Code::not_found) throw;
    throw Error(Code::not_found, fmt::format("couldn't find model \"{}\" to stop", model),
                "see the names with `hearth list`");
  }
}

void remove(const std::vector<std::string>& models) {
  ApiClient client = ApiClient::connect();
  for (const std::string& model : models) {
    try {
      unload(client, model);
    } catch (const Error& e) {
      if (e.code != Code::not_found)
        fmt::print(stderr, "Warning: unable to stop model '{}': {}\n", model, e.message);
    }
    client.call("DELETE", "/api/delete", {{"model", model}});
    fmt::print("deleted '{}'\n", model);
  }
}

}  // namespace

void add_list(Arguments app) {
  auto prefix = std::make_shared<std::string>();
  app.alias("ls");
  app.option("PREFIX", *prefix, "only names that begin so");
  app.footer("Environment: OLLAMA_HOST");
  app.run([prefix] { list(*prefix); });
}

void add_ps(Arguments app) {
  auto prefix = std::make_shared<std::string>();
  app.option("PREFIX", *prefix, "only names that begin so");
  app.footer("Environment: OLLAMA_HOST");
  app.run([prefix] { ps(*prefix); });
}

void add_cp(Arguments app) {
  auto names = std::make_shared<std::pair<std::string, std::string>>();
  app.option("SOURCE", names->first, "a model").required();
  app.option("DESTINATION", names->second, "its second name").required();
  app.footer("Environment: OLLAMA_HOST");
  app.run([names] { copy(names->first, names->second); });
}

void add_rm(Arguments app) {
  auto models = std::make_shared<std::vector<std::string>>();
  app.option("MODEL", *models, "models to delete").required();
  app.footer("Environment: OLLAMA_HOST");
  app.run([models] { remove(*models); });
}

void add_stop(Arguments app) {
  auto model = std::make_shared<std::string>();
  app.option("MODEL", *model, "the model to unload").required();
  app.footer("Environment: OLLAMA_HOST");
  app.run([model] { stop(*model); });
}

}  // namespace hearth
