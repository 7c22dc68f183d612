#include "server/http/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>

#include "base/error.h"

namespace hearth {

namespace asio = boost::asio;
namespace http = boost::beast::http;

// Waits for the client to say something while it should be listening: nothing to read but the end means that
// it has left. Outlives the exchange by one cancelled wait at most.
struct Exchange::Watch : std::enable_shared_from_this<Watch> {
  explicit Watch(StreamSocket& s) : socket(&s) {}
  StreamSocket* socket;  // null: the exchange is over
  std::function<void()> gone;

  void wait() {
    socket->async_wait(
        StreamSocket::wait_read, [self = shared_from_this()](const boost::system::error_code& e) {
          if (self->socket == nullptr) return;
          if (e) return self->tell();
          std::array<char, 1> byte{};
          boost::system::error_code failed;
          self->socket->non_blocking(true, failed);
          const size_t n = self->socket->receive(asio::buffer(byte), StreamSocket::message_peek, failed);
          if (failed == asio::error::would_block) return self->wait();
          if (failed || n == 0) return self->tell();
          // The next request is here already: whoever pipelines is not watched any more.
        });
  }
  void tell() {
    const auto call = std::exchange(gone, nullptr);
    if (call) call();
  }
};

Exchange::Exchange(StreamSocket& socket, boost::beast::flat_buffer& buffer, Parser& parser)
    : socket_(socket),
      buffer_(buffer),
      parser_(parser),
      method_(parser.get().method_string()),
      path_(decoded_path({parser.get().target().data(), parser.get().target().size()})),
      keep_alive_(parser.get().keep_alive()) {}

Exchange::~Exchange() {
  if (watch_ == nullptr) return;
  watch_->socket = nullptr;
  watch_->gone = nullptr;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

std::string_view Exchange::header(std::string_view name) const {
  const auto at = parser_.get().find({name.data(), name.size()});
  if (at == parser_.get().end()) return {};
  return {at->value().data(), at->value().size()};
}

std::optional<uint64_t> Exchange::content_length() const {
  const auto length = parser_.content_length();
  return length ? std::optional<uint64_t>(*length) : std::nullopt;
}

Awaitable<std::string> Exchange::some(size_t most) {
  if (!continued_ && header("Expect").starts_with("100")) {
    co_await asio::async_write(socket_, asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n")),
                               asio::use_awaitable);
  }
  continued_ = true;
  std::string bytes(most, '\0');
  size_t got = 0;
  while (!parser_.is_done() && got == 0) {
    auto& body = parser_.get().body();
    body.data = bytes.data();
    body.size = most;
    boost::system::error_code error;
    co_await http::async_read(socket_, buffer_, parser_, asio::redirect_error(asio::use_awaitable, error));
    if (error && error != http::error::need_buffer) throw boost::system::system_error(error);
    got = most - parser_.get().body().size;
  }
  bytes.resize(got);
  co_return bytes;
}

Awaitable<std::string> Exchange::body(size_t limit) {
  std::string whole;
  const uint64_t length = content_length().value_or(0);
  constexpr size_t piece = 256 << 10;
  whole.reserve(static_cast<size_t>(std::min<uint64_t>(length, piece)));
  for (;;) {
    if (length > limit || whole.size() > limit) {
      close_after();
      throw Error(Code::bad_request, fmt::format("the request body is larger than {} MiB", limit >> 20),
                  "send less at once");
    }
    const size_t left = length > whole.size() ? static_cast<size_t>(length) - whole.size() : 4096;
    const std::string part = co_await some(std::clamp<size_t>(left, 1, piece));
    if (part.empty()) break;
    whole += part;
  }
  co_return whole;
}

std::string Exchange::head(int status, std::string_view content_type, std::optional<size_t> length) const {
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", status, std::string_view(reason.data(), reason.size()));
  if (!content_type.empty()) out += fmt::format("Content-Type: {}\r\n", content_type);
  if (length) {
    out += fmt::format("Content-Length: {}\r\n", *length);
  } else {
    out += "Transfer-Encoding: chunked\r\nCache-Control: no-cache\r\n";
  }
  if (!keep_alive_) out += "Connection: close\r\n";
  for (const auto& [name, value] : headers_) out += fmt::format("{}: {}\r\n", name, value);
  return out + "\r\n";
}

Awaitable<void> Exchange::put(std::string bytes) {
  co_await asio::async_write(socket_, asio::buffer(bytes), asio::use_awaitable);
}

Awaitable<void> Exchange::send(int status, std::string_view content_type, std::string_view body) {
  begun_ = true;
  status_ = status;
  // What is left of a body that nobody wanted would be taken for the next request.
  if (!parser_.is_done()) close_after();
  const bool no_body = status == 204 || status == 304;
  std::string bytes = head(status, content_type, no_body ? 0 : body.size());
  if (method_ != "HEAD" && !no_body) bytes += body;
  co_await put(std::move(bytes));
  ended_ = true;
}

Awaitable<void> Exchange::begin(std::string_view content_type) {
  begun_ = true;
  status_ = 200;
  if (!parser_.is_done()) close_after();
  co_await put(head(200, content_type, std::nullopt));
}

Awaitable<void> Exchange::write(std::string_view bytes) {
  if (bytes.empty()) co_return;
  co_await put(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
}

Awaitable<void> Exchange::end() {
  co_await put("0\r\n\r\n");
  ended_ = true;
}

void Exchange::watch(std::function<void()> gone) {
  watch_ = std::make_shared<Watch>(socket_);
  watch_->gone = std::move(gone);
  watch_->wait();
}

std::string decoded_path(std::string_view target) {
  target = target.substr(0, std::min(target.find('?'), target.find('#')));
  const auto hex = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] == '%' && i + 2 < target.size() && hex(target[i + 1]) >= 0 && hex(target[i + 2]) >= 0) {
      out += static_cast<char>(hex(target[i + 1]) * 16 + hex(target[i + 2]));
      i += 2;
    } else {
      out += target[i];
    }
  }
  return out;
}

}  // namespace hearth
