#include "server/http/listener.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <chrono>
#include <list>

#include "base/error.h"

namespace hearth {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;

namespace {

// A client has this long to finish the head of a request, and may be silent this long between two.
constexpr auto head_time = std::chrono::seconds(30);
constexpr auto idle_time = std::chrono::minutes(10);
constexpr size_t most_head = 64 << 10;

[[noreturn]] void cannot_listen(const std::string& where, const boost::system::error_code& e) {
  const bool taken = e == asio::error::address_in_use;
  throw Error(
      Code::io, fmt::format("listen tcp {}: {}", where, taken ? "address already in use" : e.message()),
      taken ? "another server has it: stop that, or set OLLAMA_HOST to another port" : "check OLLAMA_HOST");
}

}  // namespace

class HttpListener::State : public std::enable_shared_from_this<State> {
 public:
  State(const asio::any_io_executor& executor, std::unique_ptr<TlsEntrance> tls, ExchangeHandler handler)
      : executor_(executor),
        tls_(std::move(tls)),
        handler_(std::move(handler)),
        tcp_(executor),
        local_(executor) {}

  void listen(const HostAddress& address) {
    if (address.scheme == "unix") {
      ::unlink(address.path.c_str());
      boost::system::error_code e;
      local_.open(Local(), e);
      if (!e) local_.bind(Local::endpoint(address.path), e);
      if (!e) local_.listen(asio::socket_base::max_listen_connections, e);
      if (e) cannot_listen(address.path, e);
      path_ = address.path;
      asio::co_spawn(executor_, accept(shared_from_this(), local_), asio::detached);
      return;
    }
    const std::string where = fmt::format("{}:{}", address.host, address.port);
    boost::system::error_code e;
    const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
    tcp::endpoint endpoint(tcp::v6(), address.port);
    if (!host.empty()) {
      tcp::resolver resolver(executor_);
      const auto found = resolver.resolve(host, std::to_string(address.port), e);
      if (e || found.empty()) cannot_listen(where, e);
      endpoint = found.begin()->endpoint();
    }
    tcp_.open(endpoint.protocol(), e);
    if (e && host.empty()) {  // a machine without IPv6
      endpoint = {tcp::v4(), address.port};
      tcp_.open(endpoint.protocol(), e);
    }
    if (!e) tcp_.set_option(asio::socket_base::reuse_address(true), e);
    if (!e && endpoint.protocol() == tcp::v6() && host.empty()) tcp_.set_option(asio::ip::v6_only(false), e);
    if (!e) tcp_.bind(endpoint, e);
    if (!e) tcp_.listen(asio::socket_base::max_listen_connections, e);
    if (e) cannot_listen(where, e);
    asio::co_spawn(executor_, accept(shared_from_this(), tcp_), asio::detached);
  }

  uint16_t port() const {
    boost::system::error_code e;
    return tcp_.local_endpoint(e).port();
  }
  size_t connections() const { return connections_.size(); }

  void stop() {
    stopping_ = true;
    boost::system::error_code ignored;
    tcp_.close(ignored);
    local_.close(ignored);
    if (!path_.empty()) ::unlink(path_.c_str());
    for (const auto& c : connections_) {
      if (!c->busy) c->socket.close(ignored);
    }
  }

  void close_all() {
    stop();
    boost::system::error_code ignored;
    for (const auto& c : connections_) c->socket.close(ignored);
  }

 private:
  struct Connection {
    explicit Connection(StreamSocket s) : socket(std::move(s)) {}
    StreamSocket socket;
    bool busy = false;
  };

  template <class Acceptor>
  static Awaitable<void> accept(std::shared_ptr<State> self, Acceptor& acceptor) {
    for (;;) {
      boost::system::error_code e;
      auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, e));
      if (self->stopping_) co_return;
      if (e) {
        // Out of descriptors: those that are open will end.
        asio::steady_timer pause(self->executor_, std::chrono::milliseconds(50));
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, e));
        continue;
      }
      if constexpr (std::is_same_v<Acceptor, tcp::acceptor>) {
        socket.set_option(tcp::no_delay(true), e);
        if (self->tls_ != nullptr) {
          decrypt(self, std::move(socket));
          continue;
        }
      }
      begin(self, StreamSocket(std::move(socket)));
    }
  }

  static void begin(const std::shared_ptr<State>& self, StreamSocket socket) {
    self->connections_.push_back(std::make_shared<Connection>(std::move(socket)));
    asio::co_spawn(self->executor_, serve(self, std::prev(self->connections_.end())), asio::detached);
  }

  // What is decrypted arrives over a socket pair.
  static void decrypt(const std::shared_ptr<State>& self, tcp::socket socket) {
    Local::socket ours(self->executor_), theirs(self->executor_);
    boost::system::error_code e;
    asio::local::connect_pair(ours, theirs, e);
    if (e) return;  // out of descriptors
    asio::co_spawn(self->executor_, self->tls_->serve(std::move(socket), std::move(theirs)), asio::detached);
    begin(self, StreamSocket(std::move(ours)));
  }

  // One connection until it ends. No exception leaves it.
  static Awaitable<void> serve(std::shared_ptr<State> self,
                               std::list<std::shared_ptr<Connection>>::iterator place) {
    try {
      co_await requests(*self, *place);
    } catch (const std::exception&) {  // the client is gone, or the handler gave up on it
    }
    self->connections_.erase(place);
  }

  static Awaitable<void> requests(State& self, std::shared_ptr<Connection> held) {
    Connection& connection = *held;
    beast::flat_buffer buffer(most_head + (256 << 10));
    for (bool reusable = true; reusable && !self.stopping_;) {
      Exchange::Parser parser;
      parser.header_limit(most_head);
      parser.body_limit(boost::none);
      if (!co_await read_head(self, held, buffer, parser)) co_return;
      connection.busy = true;
      {
        Exchange exchange(connection.socket, buffer, parser);
        co_await self.handler_(exchange);
        reusable = exchange.reusable();
      }
      connection.busy = false;
    }
    boost::system::error_code ignored;
    connection.socket.shutdown(StreamSocket::shutdown_send, ignored);
  }

  static Awaitable<bool> read_head(State& self, const std::shared_ptr<Connection>& held,
                                   beast::flat_buffer& buffer, Exchange::Parser& parser) {
    Connection& connection = *held;
    const auto closer = [weak = std::weak_ptr<Connection>(held)](const boost::system::error_code& e) {
      boost::system::error_code ignored;
      const auto late = weak.lock();
      if (!e && late != nullptr && !late->busy) late->socket.close(ignored);
    };
    asio::steady_timer timer(self.executor_, idle_time);
    timer.async_wait(closer);
    boost::system::error_code e;
    if (buffer.size() == 0) {
      co_await connection.socket.async_wait(StreamSocket::wait_read,
                                            asio::redirect_error(asio::use_awaitable, e));
      if (e) co_return false;
    }
    timer.expires_after(head_time);
    timer.async_wait(closer);
    co_await http::async_read_header(connection.socket, buffer, parser,
                                     asio::redirect_error(asio::use_awaitable, e));
    timer.cancel();
    if (!e) co_return true;
    if (connection.socket.is_open() && e != http::error::end_of_stream &&
        e.category() == http::make_error_code(http::error::end_of_stream).category()) {
      const bool large = e == http::error::header_limit || e == http::error::buffer_overflow;
      const std::string text = fmt::format(
          "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: "
          "0\r\n\r\n",
          large ? "431 Request Header Fields Too Large" : "400 Bad Request");
      co_await asio::async_write(connection.socket, asio::buffer(text),
                                 asio::redirect_error(asio::use_awaitable, e));
    }
    co_return false;
  }

  asio::any_io_executor executor_;
  std::unique_ptr<TlsEntrance> tls_;  // null: none
  ExchangeHandler handler_;
  tcp::acceptor tcp_;
  Local::acceptor local_;
  std::string path_;
  std::list<std::shared_ptr<Connection>> connections_;
  bool stopping_ = false;
};

HttpListener::HttpListener(const asio::any_io_executor& executor, const HostAddress& address,
                           std::unique_ptr<TlsEntrance> tls, ExchangeHandler handler)
    : state_(std::make_shared<State>(executor, std::move(tls), std::move(handler))) {
  state_->listen(address);
}

HttpListener::~HttpListener() { state_->close_all(); }
uint16_t HttpListener::port() const noexcept { return state_->port(); }
void HttpListener::stop() { state_->stop(); }
void HttpListener::close_all() { state_->close_all(); }
size_t HttpListener::connections() const noexcept { return state_->connections(); }

}  // namespace hearth
