#include "cli/api_client.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/environment.h"

namespace hearth {
namespace {

Code code_of(int status) {
  switch (status) {
    case 400: return Code::bad_request;
    case 404: return Code::not_found;
    case 501: return Code::unsupported;
    case 503: return Code::busy;
    default: return Code::io;
  }
}

std::string remedy_of(const Json& answer) {
  const Json* at = answer.as_object().if_contains("remedy");
  return at != nullptr && at->is_string() ? std::string(at->as_string()) : std::string();
}

// The server's own words.
[[noreturn]] void fail(int status, const std::string& body) {
  boost::system::error_code broken;
  const Json parsed = json::parse(body, broken);
  const Json* text = !broken && parsed.is_object() ? parsed.as_object().if_contains("error") : nullptr;
  if (text != nullptr && text->is_string())
    throw Error(code_of(status), std::string(text->as_string()), remedy_of(parsed));
  throw Error(code_of(status), fmt::format("the server answered with status {}", status),
              "look at the server's log");
}

Json parse_line(std::string_view line) {
  boost::system::error_code broken;
  Json parsed = json::parse(line, broken);
  if (broken || !parsed.is_object()) {
    throw Error(Code::io, "the server's answer is no JSON", "check OLLAMA_HOST: is it an Ollama server?");
  }
  const Json* error = parsed.as_object().if_contains("error");
  if (error != nullptr && error->is_string())
    throw Error(Code::io, std::string(error->as_string()), remedy_of(parsed));
  return parsed;
}

constexpr auto no_stall = std::chrono::hours(24);  // loading a model may take its time

}  // namespace

ApiClient::ApiClient(const HostAddress& address)
    : base_(address.dial()), client_(HttpOptions{"hearth", std::chrono::seconds(5), no_stall}) {}

ApiClient ApiClient::connect() {
  const HostAddress address = HostAddress::parse(setting("HOST"));
  if (!address.warning.empty()) fmt::print(stderr, "Warning: OLLAMA_HOST: {}\n", address.warning);
  ApiClient client(address);
  try {
    client.head("/");
  } catch (const Error&) {
    throw Error(Code::io, fmt::format("could not connect to a server at {}", client.base_),
                "start one with `hearth serve`, or set OLLAMA_HOST");
  }
  return client;
}

HttpRequest ApiClient::request(const std::string& method, const std::string& path) const {
  HttpRequest r;
  r.method = method;
  const auto url = Url::parse(base_ + path);
  if (!url) throw Error(Code::bad_request, fmt::format("'{}' is no address", base_), "check OLLAMA_HOST");
  r.url = *url;
  r.body_limit = size_t{256} << 20;
  return r;
}

int ApiClient::head(const std::string& path) { return client_.send(request("HEAD", path), {}).status; }

Json ApiClient::call(const std::string& method, const std::string& path, const Json& body) {
  HttpRequest r = request(method, path);
  if (!body.is_null()) {
    r.body = json::serialize(body);
    r.headers.emplace_back("Content-Type: application/json");
  }
  const HttpResponse response = client_.send(r, {});
  if (!response.ok()) fail(response.status, response.body);
  if (response.body.find_first_not_of(" \r\n\t") == std::string::npos) return nullptr;
  return parse_line(response.body);
}

void ApiClient::stream(const std::string& path, const Json& body,
                       const std::function<bool(const Json&)>& on_line, const std::stop_token& stop) {
  HttpRequest r = request("POST", path);
  r.body = json::serialize(body);
  r.headers.emplace_back("Content-Type: application/json");
  std::string held;
  r.sink = [&](std::string_view bytes) {
    held += bytes;
    for (size_t end; (end = held.find('\n')) != std::string::npos;) {
      const std::string line = held.substr(0, end);
      held.erase(0, end + 1);
      if (!line.empty() && !on_line(parse_line(line))) return false;
    }
    return true;
  };
  const HttpResponse response = client_.send(r, stop);
  if (!response.ok()) fail(response.status, response.body);
  if (held.find_first_not_of(" \r\n\t") != std::string::npos) on_line(parse_line(held));
}

void ApiClient::upload(const std::string& path, const HttpRequest::Upload& bytes) {
  HttpRequest r = request("POST", path);
  r.upload = bytes;
  const HttpResponse response = client_.send(r, {});
  if (!response.ok()) fail(response.status, response.body);
}

}  // namespace hearth
