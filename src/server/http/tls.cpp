#include "server/http/tls.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>

#include "base/error.h"

namespace hearth {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;

namespace {

constexpr auto patience = std::chrono::seconds(10);  // for the handshake, and for the farewell

// Both ends of one connection; whichever coroutine is last frees them.
struct Bridge {
  Bridge(tcp::socket socket, ssl::context& context, Local::socket inner)
      : outside(std::move(socket), context), inside(std::move(inner)), timer(inside.get_executor()) {}
  ssl::stream<tcp::socket> outside;
  Local::socket inside;
  asio::steady_timer timer;

  void close() {
    boost::system::error_code ignored;
    outside.lowest_layer().close(ignored);
    inside.close(ignored);
  }
};

// Closes the bridge when it has waited too long.
void set_alarm(const std::shared_ptr<Bridge>& bridge) {
  bridge->timer.expires_after(patience);
  bridge->timer.async_wait([weak = std::weak_ptr(bridge)](const boost::system::error_code& e) {
    const auto late = weak.lock();
    if (!e && late != nullptr) late->close();
  });
}

template <class From, class To>
asio::awaitable<void> copy(From& from, To& to) {
  std::array<char, 16 << 10> bytes;
  boost::system::error_code e;
  for (;;) {
    const size_t n =
        co_await from.async_read_some(asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, e));
    if (n > 0)
      co_await asio::async_write(to, asio::buffer(bytes.data(), n),
                                 asio::redirect_error(asio::use_awaitable, e));
    if (e) co_return;
  }
}

asio::awaitable<void> inwards(std::shared_ptr<Bridge> bridge) {
  co_await copy(bridge->outside, bridge->inside);
  // The client has said its last word: the request that runs is cancelled.
  boost::system::error_code ignored;
  bridge->inside.shutdown(Local::socket::shutdown_send, ignored);
}

[[noreturn]] void unusable(const char* what, const std::string& file, const boost::system::error_code& e) {
  throw Error(Code::io, fmt::format("the {} {} cannot be used: {}", what, file, e.message()),
              "give HEARTH_TLS_CERTIFICATE and HEARTH_TLS_KEY files in PEM format that belong together");
}

}  // namespace

struct TlsEntrance::Context {
  ssl::context tls{ssl::context::tls_server};
};

TlsEntrance::TlsEntrance(const std::string& certificate, const std::string& key)
    : context_(std::make_shared<Context>()) {
  boost::system::error_code e;
  ssl::context& tls = context_->tls;
  tls.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, e);
  tls.use_certificate_chain_file(certificate, e);
  if (e) unusable("certificate", certificate, e);
  tls.use_private_key_file(key, ssl::context::pem, e);
  if (e) unusable("key", key, e);
}

TlsEntrance::~TlsEntrance() = default;

asio::awaitable<void> TlsEntrance::serve(tcp::socket encrypted, Local::socket plain) {
  const auto context = context_;  // outlives the entrance
  const auto bridge = std::make_shared<Bridge>(std::move(encrypted), context->tls, std::move(plain));
  boost::system::error_code e;
  set_alarm(bridge);
  co_await bridge->outside.async_handshake(ssl::stream_base::server,
                                           asio::redirect_error(asio::use_awaitable, e));
  bridge->timer.cancel();
  if (e) co_return bridge->close();
  asio::co_spawn(bridge->inside.get_executor(), inwards(bridge), asio::detached);
  co_await copy(bridge->inside, bridge->outside);
  set_alarm(bridge);
  co_await bridge->outside.async_shutdown(asio::redirect_error(asio::use_awaitable, e));
  bridge->timer.cancel();
  bridge->close();
}

}  // namespace hearth
