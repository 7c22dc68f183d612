#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth {

template <class T>
using Awaitable = boost::asio::awaitable<T>;
using StreamSocket = boost::asio::generic::stream_protocol::socket;
using Headers = std::vector<std::pair<std::string, std::string>>;

// One HTTP request and its answer. Lives on the stack of the connection's coroutine; everything happens on
// the server's executor. Writing to a client that has left throws boost::system::system_error.
class Exchange {
 public:
  using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

  Exchange(StreamSocket& socket, boost::beast::flat_buffer& buffer, Parser& parser);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  std::string_view method() const noexcept { return method_; }
  std::string_view path() const noexcept { return path_; }  // decoded, without the query
  std::string_view header(std::string_view name) const;
  std::optional<uint64_t> content_length() const;

  // The whole body. Throws Error(bad_request) above `limit` bytes.
  Awaitable<std::string> body(size_t limit);
  // The body's next bytes, at most `most`; empty at its end.
  Awaitable<std::string> some(size_t most);

  // Headers for the answer, set before it begins.
  void add(std::string name, std::string value) { headers_.emplace_back(std::move(name), std::move(value)); }
  // The whole answer at once. A HEAD request gets everything but the body.
  Awaitable<void> send(int status, std::string_view content_type, std::string_view body);
  // An answer in pieces: status 200 and headers, any number of writes, the end.
  Awaitable<void> begin(std::string_view content_type);
  Awaitable<void> write(std::string_view bytes);
  Awaitable<void> end();

  bool answered() const noexcept { return begun_; }
  // Whether the connection can carry another request.
  bool reusable() const noexcept { return keep_alive_ && ended_ && parser_.is_done(); }
  void close_after() noexcept { keep_alive_ = false; }

  // Calls `gone` once if the client leaves while the answer is made. Starts when the body was read.
  void watch(std::function<void()> gone);

  // Of the answer, for the log.
  int status() const noexcept { return status_; }

 private:
  struct Watch;
  std::string head(int status, std::string_view content_type, std::optional<size_t> length) const;
  Awaitable<void> put(std::string bytes);

  StreamSocket& socket_;
  boost::beast::flat_buffer& buffer_;
  Parser& parser_;
  std::string method_, path_;
  Headers headers_;
  std::shared_ptr<Watch> watch_;
  bool keep_alive_, begun_ = false, ended_ = false, continued_ = false;
  int status_ = 0;
};

// Percent signs of a path resolved; broken ones stay.
std::string decoded_path(std::string_view target);

}  // namespace hearth
