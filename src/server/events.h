#pragma once

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include "server/http/exchange.h"

namespace hearth {

// Things that happen for a coroutine that waits for them; all on one executor. Made as a shared_ptr: whoever
// pushes may outlive whoever waits.
template <class T>
class Events {
 public:
  explicit Events(const boost::asio::any_io_executor& executor)
      : signal_(executor, std::chrono::steady_clock::time_point::max()) {}

  void push(T event) {
    waiting_.push_back(std::move(event));
    signal_.cancel();
  }
  // Nothing more comes, or nobody wants it.
  void close() {
    closed_ = true;
    signal_.cancel();
  }
  bool closed() const noexcept { return closed_; }
  size_t size() const noexcept { return waiting_.size(); }

  // The next one if it is here already.
  std::optional<T> take() {
    if (waiting_.empty()) return std::nullopt;
    std::optional<T> event(std::move(waiting_.front()));
    waiting_.pop_front();
    return event;
  }

  // Waits until there is one or nothing more comes. False: neither happened for so long.
  Awaitable<bool> ready(std::chrono::steady_clock::duration patience) {
    signal_.expires_after(patience);
    while (waiting_.empty() && !closed_ && signal_.expiry() > std::chrono::steady_clock::now()) {
      boost::system::error_code woken;
      co_await signal_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
    }
    signal_.expires_at(std::chrono::steady_clock::time_point::max());
    co_return !waiting_.empty() || closed_;
  }

  // The next one; none when closed and empty.
  Awaitable<std::optional<T>> next() {
    while (waiting_.empty() && !closed_) {
      boost::system::error_code woken;
      co_await signal_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
    }
    co_return take();
  }

 private:
  boost::asio::steady_timer signal_;
  std::deque<T> waiting_;
  bool closed_ = false;
};

}  // namespace hearth
