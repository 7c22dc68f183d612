#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <memory>
#include <string>

namespace hearth {

// Ends TLS: what arrives encrypted on a connection goes on, decrypted, through a socket pair whose other end
// is served like any connection. So nothing else of the server knows about TLS.
class TlsEntrance {
 public:
  // A certificate (chain) and its key as PEM files. Throws Error(io) naming the file.
  TlsEntrance(const std::string& certificate, const std::string& key);
  ~TlsEntrance();
  TlsEntrance(const TlsEntrance&) = delete;
  TlsEntrance& operator=(const TlsEntrance&) = delete;

  // Shakes hands, then copies until either end is closed. No exception leaves it.
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket encrypted,
                                     boost::asio::local::stream_protocol::socket plain);

 private:
  struct Context;
  std::shared_ptr<Context> context_;
};

}  // namespace hearth
