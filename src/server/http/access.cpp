#include "server/http/access.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>

namespace hearth {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool matches(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  const std::string_view front = pattern.substr(0, star), back = pattern.substr(star + 1);
  return text.size() >= front.size() + back.size() && text.starts_with(front) && text.ends_with(back);
}

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? host.substr(1) : host.substr(1, end - 1);
  }
  const size_t colon = host.rfind(':');
  const bool one = colon != std::string_view::npos && host.find(':') == colon;
  return one ? host.substr(0, colon) : host;
}

bool is_private(const boost::asio::ip::address& a) {
  if (a.is_loopback() || a.is_unspecified()) return true;
  if (a.is_v6()) {
    const auto b = a.to_v6().to_bytes();
    return (b[0] & 0xFE) == 0xFC || (b[0] == 0xFE && (b[1] & 0xC0) == 0x80);
  }
  const auto b = a.to_v4().to_bytes();
  return b[0] == 10 || (b[0] == 172 && (b[1] & 0xF0) == 16) || (b[0] == 192 && b[1] == 168) ||
         (b[0] == 169 && b[1] == 254);
}

constexpr const char* allowed_headers =
    "Authorization, Content-Type, User-Agent, Accept, X-Requested-With, OpenAI-Beta, x-stainless-arch, "
    "x-stainless-async, x-stainless-custom-poll-interval, x-stainless-helper-method, x-stainless-lang, "
    "x-stainless-os, x-stainless-package-version, x-stainless-poll-helper, x-stainless-retry-count, "
    "x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout";

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

AccessRules::AccessRules(const std::string& extra, bool loopback, std::string token,
                         std::vector<std::string>& warnings)
    : loopback_(loopback), token_(std::move(token)) {
  for (size_t at = 0; at <= extra.size();) {
    const size_t end = std::min(extra.find(',', at), extra.size());
    std::string entry = extra.substr(at, end - at);
    at = end + 1;
    std::erase_if(entry, [](char c) { return c == ' ' || c == '\t'; });
    if (entry.empty()) continue;
    const auto stars = std::count(entry.begin(), entry.end(), '*');
    if (entry == "*") any_ = true;
    if (stars > 1 || (entry.find("://") == std::string::npos && stars == 0)) {
      warnings.push_back(
          fmt::format("OLLAMA_ORIGINS: '{}' is skipped: an origin has a scheme and at most one *", entry));
      continue;
    }
    patterns_.push_back(entry);
  }
  for (const char* scheme : {"http://", "https://"}) {
    for (const char* host : {"localhost", "127.0.0.1", "0.0.0.0"}) {
      patterns_.push_back(fmt::format("{}{}", scheme, host));
      patterns_.push_back(fmt::format("{}{}:*", scheme, host));
    }
  }
  for (const char* app : {"app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*"}) {
    patterns_.emplace_back(app);
  }
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) machine_ = lower(name.data());
}

bool AccessRules::allows_origin(std::string_view origin) const {
  return any_ || std::any_of(patterns_.begin(), patterns_.end(),
                             [&](const std::string& p) { return matches(p, origin); });
}

bool AccessRules::allows_host(std::string_view host) const {
  const std::string name = lower(without_port(host));
  boost::system::error_code no_address;
  const auto address = boost::asio::ip::make_address(name, no_address);
  if (!no_address) return is_private(address);
  if (name.empty() || name == "localhost" || (!machine_.empty() && name == machine_)) return true;
  return name.ends_with(".localhost") || name.ends_with(".local") || name.ends_with(".internal");
}

AccessRules::Verdict AccessRules::judge(std::string_view method, std::string_view host,
                                        std::string_view origin, std::string_view authorization,
                                        std::string_view api_key) const {
  Verdict v;
  const bool same = origin == fmt::format("http://{}", host) || origin == fmt::format("https://{}", host);
  const bool cross = !origin.empty() && !same;
  if (cross) {
    if (!allows_origin(origin)) return {403, {}};
    v.headers.emplace_back("Access-Control-Allow-Origin", any_ ? "*" : std::string(origin));
    if (!any_) v.headers.emplace_back("Vary", "Origin");
    if (method == "OPTIONS") {
      v.status = 204;
      v.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS");
      v.headers.emplace_back("Access-Control-Allow-Headers", allowed_headers);
      v.headers.emplace_back("Access-Control-Max-Age", "43200");
      return v;
    }
  }
  if (loopback_ && !allows_host(host)) return {403, {}};
  if (method == "OPTIONS" && origin.empty()) return {204, {}};
  if (token_.empty()) return v;
  constexpr std::string_view bearer = "Bearer ";
  const std::string_view given =
      authorization.starts_with(bearer) ? authorization.substr(bearer.size()) : api_key;
  if (!same_secret(given, token_)) v.status = 401;
  return v;
}

}  // namespace hearth
