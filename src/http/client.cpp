#include "http/client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>

namespace hearth {
namespace {

using Clock = std::chrono::steady_clock;

// One request while it runs; the callbacks of libcurl are C and must not throw, so what is thrown is kept.
struct Exchange {
  const HttpRequest& request;
  HttpResponse response{};
  Clock::time_point last_byte = Clock::now();
  std::exception_ptr thrown{};
  bool headers_done = false, stopped = false;
  uint64_t sent = 0;

  template <class Function>
  bool guarded(Function&& function) noexcept {
    try {
      if (function()) return true;
      stopped = true;
    } catch (...) {
      thrown = std::current_exception();
    }
    return false;
  }

  bool take_body(std::string_view bytes) {
    if (!headers_done) {
      headers_done = true;
      if (request.on_headers && !request.on_headers(response)) return false;
    }
    if (request.sink && response.ok()) return request.sink(bytes);
    if (response.body.size() + bytes.size() > request.body_limit) {
      if (!response.ok()) return false;  // enough for an error text
      throw Error(
          Code::corrupt_file,
          fmt::format("the answer of {} is larger than {} bytes", request.url.host, request.body_limit),
          "check the address of the registry");
    }
    response.body += bytes;
    return true;
  }
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

size_t on_header(char* data, size_t one, size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  exchange.last_byte = Clock::now();
  const std::string_view line(data, one * size);
  const bool kept = exchange.guarded([&] {
    if (line.starts_with("HTTP/")) {  // also after "100 Continue": the last status counts
      exchange.response = {};
      const size_t blank = line.find(' ');
      if (blank != std::string_view::npos) {
        const auto digits = line.substr(blank + 1);
        std::from_chars(digits.data(), digits.data() + digits.size(), exchange.response.status);
      }
    } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
      exchange.response.headers[lower(trim(line.substr(0, colon)))] = trim(line.substr(colon + 1));
    }
    return true;
  });
  return kept ? size * one : 0;
}

size_t on_body(char* data, size_t one, size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  exchange.last_byte = Clock::now();
  return exchange.guarded([&] { return exchange.take_body({data, one * size}); }) ? size * one : 0;
}

size_t on_read(char* into, size_t one, size_t room, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  exchange.last_byte = Clock::now();
  size_t got = 0;
  const bool read = exchange.guarded([&] {
    const uint64_t left = exchange.request.upload->size - exchange.sent;
    got = exchange.request.upload->read(into, static_cast<size_t>(std::min<uint64_t>(left, room * one)),
                                        exchange.sent);
    exchange.sent += got;
    return true;
  });
  return read ? got : CURL_READFUNC_ABORT;
}

int on_seek(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Exchange*>(user)->sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

struct FreeEasy {
  void operator()(CURL* made) const { curl_easy_cleanup(made); }
};
struct FreeMulti {
  void operator()(CURLM* made) const { curl_multi_cleanup(made); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

HeaderList header_list(const std::vector<std::string>& headers) {
  HeaderList list;
  for (const std::string& header : headers) list.reset(curl_slist_append(list.release(), header.c_str()));
  list.reset(curl_slist_append(list.release(), "Expect:"));  // never wait for "100 Continue"
  return list;
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

void set_network(CURL* easy, const Url& url) {
  if (url.loopback()) {
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
  } else if (url.scheme == "http" && !environment("http_proxy") && environment("HTTP_PROXY")) {
    // libcurl itself reads the lower-case form only, for the sake of CGI programs.
    curl_easy_setopt(easy, CURLOPT_PROXY, environment("HTTP_PROXY"));
  }
  if (const char* file = environment("SSL_CERT_FILE")) curl_easy_setopt(easy, CURLOPT_CAINFO, file);
  if (const char* folder = environment("SSL_CERT_DIR")) curl_easy_setopt(easy, CURLOPT_CAPATH, folder);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

void set_method(CURL* easy, const HttpRequest& request, Exchange& exchange) {
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.upload) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.upload->size));
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, &on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, &exchange);
  } else if (request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
  }
  if (request.method != "HEAD" && request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<uint64_t> HttpResponse::content_length() const {
  const std::string_view text = header("content-length");
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return length;
}

struct HttpClient::State {
  HttpOptions options;
  std::unique_ptr<CURL, FreeEasy> easy;
  std::unique_ptr<CURLM, FreeMulti> multi;
  char error_text[CURL_ERROR_SIZE] = {};

  void set_up(const HttpRequest& request, Exchange& exchange, curl_slist* headers) {
    CURL* handle = easy.get();
    curl_easy_reset(handle);
    set_network(handle, request.url);
    set_method(handle, request, exchange);
    error_text[0] = '\0';
    curl_easy_setopt(handle, CURLOPT_URL, request.url.text.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, options.user_agent.c_str());
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
    curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_text);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
  }

  // Until the end, a cancellation or a stall.
  CURLcode drive(const Exchange& exchange, const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] { curl_multi_wakeup(multi.get()); });
    int running = 1;
    while (true) {
      if (curl_multi_perform(multi.get(), &running) != CURLM_OK) return CURLE_FAILED_INIT;
      if (stop.stop_requested()) throw Error(Code::cancelled, "the transfer was cancelled", "start it again");
      if (!running) break;
      if (Clock::now() - exchange.last_byte > options.stall_timeout) {
        throw HttpStall(fmt::format("{} sent nothing for {} ms", exchange.request.url.host,
                                    options.stall_timeout.count()));
      }
      curl_multi_poll(multi.get(), nullptr, 0, 200, nullptr);
    }
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi.get(), &left);
    return message ? message->data.result : CURLE_FAILED_INIT;
  }
};

HttpClient::HttpClient(HttpOptions options) : state_(std::make_unique<State>()) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  state_->options = std::move(options);
  state_->easy.reset(curl_easy_init());
  state_->multi.reset(curl_multi_init());
  if (initialised != CURLE_OK || !state_->easy || !state_->multi) {
    throw Error(Code::bug, "libcurl cannot be initialised", "repair the installation");
  }
}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

HttpResponse HttpClient::send(const HttpRequest& request, const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(Code::cancelled, "the transfer was cancelled", "start it again");
  Exchange exchange{request};
  const HeaderList headers = header_list(request.headers);
  state_->set_up(request, exchange, headers.get());
  CURLM* multi = state_->multi.get();
  CURL* easy = state_->easy.get();
  if (curl_multi_add_handle(multi, easy) != CURLM_OK) throw HttpFailure("libcurl refuses the request");
  struct Remove {
    CURLM* from;
    CURL* what;
    ~Remove() { curl_multi_remove_handle(from, what); }
  } const remove{multi, easy};
  const CURLcode result = state_->drive(exchange, stop);
  if (exchange.thrown) std::rethrow_exception(exchange.thrown);
  if (result != CURLE_OK && !exchange.stopped) {
    const char* reason = state_->error_text[0] ? state_->error_text : curl_easy_strerror(result);
    throw HttpFailure(fmt::format("{}: {}", request.url.host, reason));
  }
  // A response without a body has had no chance to be looked at.
  if (!exchange.headers_done && request.on_headers) request.on_headers(exchange.response);
  return std::move(exchange.response);
}

}  // namespace hearth
