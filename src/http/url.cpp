#include "http/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

namespace hearth {
namespace {

struct FreeUrl {
  void operator()(CURLU* handle) const { curl_url_cleanup(handle); }
};
using Handle = std::unique_ptr<CURLU, FreeUrl>;

std::string part(CURLU* handle, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle, which, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

std::optional<Url> take(CURLU* handle) {
  Url url;
  url.scheme = lower(part(handle, CURLUPART_SCHEME));
  if (url.scheme != "http" && url.scheme != "https") return std::nullopt;
  url.host = lower(part(handle, CURLUPART_HOST));
  url.port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.path = part(handle, CURLUPART_PATH);
  url.text = part(handle, CURLUPART_URL);
  if (url.host.empty() || url.text.empty()) return std::nullopt;
  return url;
}

}  // namespace

std::optional<Url> Url::parse(std::string_view text) {
  const Handle handle(curl_url());
  if (curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK)
    return std::nullopt;
  return take(handle.get());
}

std::optional<Url> Url::resolve(std::string_view location) const {
  const Handle handle(curl_url());
  if (curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return std::nullopt;
  // Setting an address over another one resolves it; blanks occur in the wild and are escaped.
  if (curl_url_set(handle.get(), CURLUPART_URL, std::string(location).c_str(), CURLU_URLENCODE) !=
      CURLUE_OK) {
    return std::nullopt;
  }
  return take(handle.get());
}

bool Url::loopback() const {
  return host == "localhost" || host.starts_with("127.") || host == "[::1]" || host == "::1";
}

std::string escape_query(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view plain = "-._~";
  std::string out;
  for (const char c : text) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (alphanumeric || plain.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    out += '%';
    out += digits[static_cast<uint8_t>(c) >> 4];
    out += digits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

}  // namespace hearth
