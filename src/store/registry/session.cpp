#include "store/registry/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "base/json.h"
#include "store/digest.h"
#include "store/files/files.h"
#include "store/registry/signing_key.h"

namespace hearth {
namespace {

constexpr int most_redirects = 10;
constexpr size_t longest_error = 500;

[[noreturn]] void deny() {
  throw Error(
      Code::bad_request, "unauthorized: access denied",
      "the model is private or does not exist; register your public key (id_ed25519.pub) with the registry");
}

std::string one_line(std::string_view text) {
  std::string line(text.substr(0, longest_error));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; },
      ' ');
  const size_t last = line.find_last_not_of(' ');
  line.resize(last == std::string::npos ? 0 : last + 1);
  return line;
}

json::value parse_or_null(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  return error ? json::value() : value;
}

// The value of NAME="…" in a header of parameters.
std::string parameter(std::string_view header, std::string_view name) {
  const std::string begin = fmt::format("{}=\"", name);
  for (size_t at = header.find(begin); at != std::string_view::npos; at = header.find(begin, at + 1)) {
    if (at > 0 && header[at - 1] != ' ' && header[at - 1] != ',') continue;  // the end of a longer name
    const size_t from = at + begin.size(), to = header.find('"', from);
    if (to == std::string_view::npos) return {};
    return std::string(header.substr(from, to - from));
  }
  return {};
}

}  // namespace

std::optional<Challenge> Challenge::parse(std::string_view header) {
  if (header.size() < 7 || !equal_ignoring_case(header.substr(0, 7), "bearer ")) return std::nullopt;
  header.remove_prefix(7);
  Challenge challenge{parameter(header, "realm"), parameter(header, "service"), parameter(header, "scope")};
  if (challenge.realm.empty()) return std::nullopt;
  return challenge;
}

std::string registry_error(const HttpResponse& response) {
  std::string text;
  const json::value value = parse_or_null(response.body);
  if (const json::object* object = value.if_object()) {
    const json::value* errors = object->if_contains("errors");
    if (errors && errors->is_array()) {
      for (const json::value& one : errors->get_array()) {
        const json::value* message = one.is_object() ? one.get_object().if_contains("message") : nullptr;
        if (!message || !message->is_string()) continue;
        if (!text.empty()) text += "; ";
        text += std::string_view(message->get_string().data(), message->get_string().size());
      }
    }
  }
  return fmt::format("{}: {}", response.status, one_line(text.empty() ? response.body : text));
}

void fail_on_response(const HttpResponse& response) {
  if (response.status >= 500 || response.status == 408 || response.status == 429) {
    throw HttpFailure(registry_error(response));
  }
  throw Error(response.status == 404 ? Code::not_found : Code::bad_request, registry_error(response),
              "check the name of the model and the registry");
}

RegistrySession::RegistrySession(const ModelName& name, bool insecure, std::filesystem::path key_file)
    : insecure_(insecure), key_file_(std::move(key_file)) {
  if (name.scheme == "http" && !insecure) {
    throw Error(Code::bad_request, fmt::format("{} asks for plain http", name.full_display()),
                "use https, or allow it with insecure");
  }
  const auto base = Url::parse(
      fmt::format("{}://{}/v2/{}/{}", insecure ? "http" : "https", name.host, name.space, name.model));
  if (!base) {
    throw Error(Code::bad_request, fmt::format("\"{}\" is no host of a registry", name.host),
                "write host or host:port");
  }
  base_ = *base;
}

Url RegistrySession::address(std::string_view path) const {
  const auto url = Url::parse(fmt::format("{}/{}", base_.text, path));
  if (!url) throw Error(Code::bug, fmt::format("no address for {}", path), "report this");
  return *url;
}

std::string RegistrySession::authorization(const Url& url) const {
  const std::lock_guard lock(mutex_);
  if (token_.empty() || !url.same_host(base_) || url.scheme != base_.scheme) return {};
  return "Bearer " + token_;
}

Url RegistrySession::follow(const Url& from, const HttpResponse& response) const {
  const auto to = from.resolve(response.header("location"));
  if (!to) throw HttpFailure(fmt::format("{} redirects to no valid address", from.host));
  if (from.scheme == "https" && to->scheme == "http" && !insecure_) {
    throw HttpFailure(fmt::format("{} redirects from https to http", from.host));
  }
  return *to;
}

HttpResponse RegistrySession::send(HttpClient& client, HttpRequest request, Redirects redirects,
                                   const std::stop_token& stop) {
  const std::vector<std::string> headers = request.headers;
  bool authenticated = false;
  for (int redirected = 0; redirected <= most_redirects;) {
    request.headers = headers;
    if (const std::string value = authorization(request.url); !value.empty()) {
      request.headers.push_back("Authorization: " + value);
    }
    HttpResponse response = client.send(request, stop);
    if (response.status == 401 && request.url.same_host(base_)) {
      const auto challenge = Challenge::parse(response.header("www-authenticate"));
      if (authenticated || !challenge) deny();
      authenticate(client, *challenge, stop);
      authenticated = true;
      continue;
    }
    if (!response.redirect() || response.status == 304) return response;
    const Url next = follow(request.url, response);
    if (redirects == Redirects::same_host && !next.same_host(request.url)) return response;
    request.url = next;
    ++redirected;
  }
  throw HttpFailure(fmt::format("{} redirects more than {} times", base_.host, most_redirects));
}

void RegistrySession::authenticate(HttpClient& client, const Challenge& challenge,
                                   const std::stop_token& stop) {
  const auto realm = Url::parse(challenge.realm);
  // Whoever could name another host here would be handed signatures and tokens for it.
  if (!realm || !realm->same_host(base_) || (realm->scheme == "http" && !insecure_)) {
    throw Error(
        Code::bad_request,
        fmt::format("{} sends to another host for its token: {}", base_.host, one_line(challenge.realm)),
        "this is refused; check the name of the registry");
  }
  std::string text = challenge.realm;
  text += text.find('?') == std::string::npos ? '?' : '&';
  std::string_view scopes = challenge.scope;
  // In the order of the alphabet, as Go writes queries: nonce, scope, service, ts.
  text += fmt::format("nonce={}", base64url(random_bytes(16)));
  while (!scopes.empty()) {
    const size_t blank = std::min(scopes.find(' '), scopes.size());
    if (blank > 0) text += fmt::format("&scope={}", escape_query(scopes.substr(0, blank)));
    scopes.remove_prefix(std::min(blank + 1, scopes.size()));
  }
  text += fmt::format("&service={}&ts={}", escape_query(challenge.service), std::time(nullptr));
  const auto url = Url::parse(text);
  if (!url) deny();
  std::string token = ask_for_token(client, *url, !key_file_.empty(), stop);
  if (token.empty() && !key_file_.empty())
    token = ask_for_token(client, *url, false, stop);  // some want no name
  if (token.empty()) deny();
  const std::lock_guard lock(mutex_);
  token_ = std::move(token);
}

// Empty if the registry gives none.
std::string RegistrySession::ask_for_token(HttpClient& client, const Url& url, bool sign,
                                           const std::stop_token& stop) {
  HttpRequest request;
  request.url = url;
  if (sign) {
    const SigningKey key = SigningKey::load_or_create(key_file_);
    const std::string signed_text = fmt::format("GET,{},{}", url.text, base64(digest_of("").hex()));
    request.headers.push_back(fmt::format("Authorization: {}:{}", key.public_key(), key.sign(signed_text)));
  }
  const HttpResponse response = client.send(request, stop);
  if (response.status >= 500) fail_on_response(response);
  if (!response.ok()) return {};
  const json::value value = parse_or_null(response.body);
  if (!value.is_object()) return {};
  for (const char* key : {"token", "access_token"}) {
    const json::value* token = value.get_object().if_contains(key);
    if (!token || !token->is_string()) continue;
    std::string text(token->get_string());
    // It goes into a header: nothing but one word of printable characters is one.
    const bool word = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!text.empty() && word) return text;
  }
  return {};
}

}  // namespace hearth
