#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "hardware/report.h"
#include "http/host.h"
#include "scheduler/scheduler.h"
#include "store/registry.h"

namespace hearth {

struct ServerOptions {
  HostAddress address;
  std::string origins;  // OLLAMA_ORIGINS
  std::string token;    // asked for when not empty; required to listen beyond loopback
  std::string tls_certificate = {}, tls_key = {};  // PEM files; both empty: plain HTTP
  std::filesystem::path models, key_file;
  std::filesystem::path cache;  // what may be lost: dry runs of models. Empty: none are made
  bool prune = true;
  SchedulerPolicy policy;
  LoadRequest load;  // cache types, threads, instruction set for every model
  uint32_t context = 0;
  std::optional<bool> prefer_go_templates;
  // A stream in which nothing has happened for so long is kept open by a comment; 0: never.
  std::chrono::nanoseconds idle_comment = std::chrono::seconds(30);
  std::filesystem::path request_folder = {};  // bodies of requests to models are kept here; empty: nowhere
  std::string version;                        // hearth's own
  std::function<void(const std::string&)> log = [](const std::string&) {};
  RegistryOptions registry{};  // of pulls and pushes; the key file is filled in
};

// Everything of `hearth serve`: requests over HTTP, the models in the store, the workers that run them.
class Server {
 public:
  // Listens at once. `workers` replaces real processes in tests. Throws Error: the address is taken, or it
  // would be open to others without a token.
  Server(const boost::asio::any_io_executor& executor, ServerOptions options,
         std::unique_ptr<WorkerFactory> workers = nullptr);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  // What /api/ps and the page say of this machine's devices. From any thread.
  void show_devices(const Report& report);
  // Models that are loaded from now on use the devices of this load; those that are loaded move when they are
  // asked next. After await_devices() loads wait for this, half a minute at most. From any thread.
  void use_devices(const LoadRequest& load);
  void await_devices();
  // No new requests; running ones are cancelled after `patience`. `done` is called when no worker lives.
  void shut_down(std::chrono::nanoseconds patience, std::function<void()> done);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// What clients are told: they refuse servers older than the API that they know.
inline constexpr const char* api_version = "0.32.0";

}  // namespace hearth
