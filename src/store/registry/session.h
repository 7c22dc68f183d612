#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "http/client.h"
#include "store/name.h"

namespace hearth {

// What a `WWW-Authenticate: Bearer realm="…",service="…",scope="…"` header asks for.
struct Challenge {
  std::string realm, service, scope;  // scope: words with blanks between
  static std::optional<Challenge> parse(std::string_view header);
};

enum class Redirects { same_host, any_host };

// The talk with one registry about one model: base address, redirects, and the token once one was needed. For
// several threads, each with a client of its own.
class RegistrySession {
 public:
  // Throws Error(bad_request) for http:// without `insecure`.
  RegistrySession(const ModelName& name, bool insecure, std::filesystem::path key_file);

  // BASE/PATH, BASE being scheme://host/v2/namespace/model.
  Url address(std::string_view path) const;

  // Sends with the token, follows at most 10 redirects within the host (or to any, without the token) and
  // answers one 401. A redirect that is not followed is returned as it is. Throws what HttpClient throws, and
  // Error(bad_request) "unauthorized: access denied".
  HttpResponse send(HttpClient& client, HttpRequest request, Redirects redirects,
                    const std::stop_token& stop);

  // The Authorization value for an address; empty for foreign hosts or without a token.
  std::string authorization(const Url& url) const;

  // What a Location header means; throws HttpFailure for none, for other schemes, and for https → http.
  Url follow(const Url& from, const HttpResponse& response) const;

 private:
  void authenticate(HttpClient& client, const Challenge& challenge, const std::stop_token& stop);
  std::string ask_for_token(HttpClient& client, const Url& url, bool sign, const std::stop_token& stop);

  Url base_;
  bool insecure_;
  std::filesystem::path key_file_;
  mutable std::mutex mutex_;
  std::string token_;  // guarded by mutex_
};

// "<status>: <what the registry says>", one line: the messages of its JSON errors where there are some, else
// the body.
std::string registry_error(const HttpResponse& response);

// Throws registry_error as Error(bad_request), or as HttpFailure where trying again may help (5xx, 408, 429).
[[noreturn]] void fail_on_response(const HttpResponse& response);

}  // namespace hearth
