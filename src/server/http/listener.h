#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "http/host.h"
#include "server/http/exchange.h"
#include "server/http/tls.h"

namespace hearth {

// Answers one request. What it throws ends the connection.
using ExchangeHandler = std::function<Awaitable<void>(Exchange&)>;

// Accepts connections and reads requests from them, one after the other per connection. Everything happens on
// one executor.
class HttpListener {
 public:
  // Throws Error(io): "listen tcp …: address already in use".
  // With `tls` TCP connections are encrypted.
  HttpListener(const boost::asio::any_io_executor& executor, const HostAddress& address,
               std::unique_ptr<TlsEntrance> tls, ExchangeHandler handler);
  ~HttpListener();
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  // The port that was taken (of interest where 0 was asked for).
  uint16_t port() const noexcept;
  // No new connections; those that wait for a request are closed, running requests go on.
  void stop();
  // Closes all connections.
  void close_all();
  size_t connections() const noexcept;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace hearth
