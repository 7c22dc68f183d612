// hearth serve: the server in this process, models in children.
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/memory.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/environment.h"
#include "hardware/report.h"
#include "hardware/system_view.h"
#include "scheduler/survey.h"
#include "server/server.h"

namespace hearth {
namespace {

void set_up_log() {
  auto log = spdlog::stderr_color_mt("serve");
  log->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  const std::string debug = setting("DEBUG");
  const bool number = !debug.empty() && debug.find_first_not_of("-0123456789") == std::string::npos;
  const int level = number ? std::atoi(debug.c_str()) : bool_setting("DEBUG", false) ? 1 : 0;
  log->set_level(level <= -2  ? spdlog::level::err
                 : level < 0  ? spdlog::level::warn
                 : level == 0 ? spdlog::level::info
                              : spdlog::level::debug);
  spdlog::set_default_logger(log);
}

KvTypes cache_types() {
  const std::string name = setting("KV_CACHE_TYPE");
  if (name.empty()) return {};
  const KvType type = find_kv_type(name);
  return {type, type};
}

std::optional<bool> go_templates() {
  if (setting("GO_TEMPLATE").empty()) return std::nullopt;
  return bool_setting("GO_TEMPLATE", true);
}

// What stays free on every accelerator, in bytes; llama.cpp's variable gives MiB, of the first device where
// it is a list.
uint64_t left_free() {
  const uint64_t bytes = uint_setting("GPU_OVERHEAD", 0);
  const char* fit = std::getenv("LLAMA_ARG_FIT_TARGET");
  const uint64_t mib = fit != nullptr ? std::strtoull(fit, nullptr, 10) : 0;
  constexpr uint64_t most = 1 << 20;
  return std::max(bytes, std::min(mib, most) << 20);
}

// A folder that nobody else may read, for bodies of requests; none where they are not to be kept.
std::filesystem::path request_folder() {
  if (!bool_setting("DEBUG_LOG_REQUESTS", false)) return {};
  std::string pattern = (std::filesystem::temp_directory_path() / "hearth-requests-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Error(Code::io, "OLLAMA_DEBUG_LOG_REQUESTS: cannot make a folder for temporary files",
                "set TMPDIR to a folder that can be written");
  }
  spdlog::warn(fmt::format("requests to models are kept in {}, with what people write in them", pattern));
  return pattern;
}

ServerOptions options_from_environment(const std::string& version) {
  ServerOptions o;
  o.address = HostAddress::parse(setting("HOST"));
  if (!o.address.warning.empty()) spdlog::warn(fmt::format("OLLAMA_HOST: {}", o.address.warning));
  o.origins = setting("ORIGINS");
  o.token = setting("TOKEN");
  o.tls_certificate = setting("TLS_CERTIFICATE");
  o.tls_key = setting("TLS_KEY");
  if (o.tls_certificate.empty() != o.tls_key.empty()) {
    throw Error(Code::bad_request, "TLS needs both a certificate and its key",
                "set HEARTH_TLS_CERTIFICATE and HEARTH_TLS_KEY to PEM files");
  }
  const std::string models = setting("MODELS");
  o.models = models.empty() ? home_folder() / ".ollama" / "models" : std::filesystem::path(models);
  o.key_file = home_folder() / ".ollama" / "id_ed25519";
  o.prune = !bool_setting("NOPRUNE", false);
  o.policy.keep_alive = duration_setting("KEEP_ALIVE", std::chrono::minutes(5));
  o.idle_comment = duration_setting("SSE_PING_INTERVAL", o.idle_comment);
  o.policy.load_timeout = duration_setting("LOAD_TIMEOUT", std::chrono::minutes(5));
  o.policy.parallel = static_cast<uint32_t>(uint_setting("NUM_PARALLEL", 0));
  o.policy.most_waiting = static_cast<uint32_t>(uint_setting("MAX_QUEUE", 512));
  o.policy.most_loaded = static_cast<uint32_t>(uint_setting("MAX_LOADED_MODELS", 0));
  o.context = static_cast<uint32_t>(uint_setting("CONTEXT_LENGTH", uint_setting("NUM_CTX", 0)));
  o.load.wish.kv = cache_types();
  o.load.wish.parallel = o.policy.parallel;
  take_settings(o.load);
  o.load.wish.spread = bool_setting("SCHED_SPREAD", false);
  o.cache = cache_folder() / "models";
  o.prefer_go_templates = go_templates();
  o.version = version;
  o.request_folder = request_folder();
  o.log = [](const std::string& line) { spdlog::info(line); };
  return o;
}

void log_configuration(ServerOptions o, const Server& server) {
  if (o.address.scheme != "unix") o.address.port = server.port();
  if (o.address.scheme != "unix" && !o.tls_certificate.empty()) o.address.scheme = "https";
  spdlog::info(
      fmt::format("hearth {}, API of Ollama {}, models in {}", o.version, api_version, o.models.string()));
  spdlog::info(
      fmt::format("listening on {}", o.address.scheme == "unix" ? o.address.path : o.address.dial()));
  spdlog::info(fmt::format(
      "keep-alive {} s, at most {} models{}, {} waiting requests, context {}, cache {}/{}, memory {} MiB "
      "free",
      std::chrono::duration_cast<std::chrono::seconds>(o.policy.keep_alive).count(),
      o.policy.most_loaded == 0 ? 3 : o.policy.most_loaded, o.policy.most_loaded == 0 ? " per card" : "",
      o.policy.most_waiting, o.context == 0 ? "as planned" : std::to_string(o.context),
      to_string(o.load.wish.kv.k), to_string(o.load.wish.kv.v), available_memory() >> 20));
}

// Finds out which devices models are loaded on, beside the server, which answers meanwhile: what the cache
// has is asked for its free memory, what it lacks is probed. Loads wait for it a while.
class Scout {
 public:
  Scout(Server& server, LoadRequest load) : server_(server), load_(std::move(load)) {
    Inventory inventory = take_inventory(*live_system());
    const std::string attention = without_flash_attention(inventory.environment);
    if (!attention.empty()) spdlog::warn(attention);
    if (setting("DEVICES").empty() && !worth_probing(inventory)) {
      server_.show_devices(examine(inventory, {}));
      return;
    }
    server_.await_devices();
    thread_ = std::thread([this] { look(); });
  }
  Scout(const Scout&) = delete;
  Scout& operator=(const Scout&) = delete;
  ~Scout() {
    cancel();
    if (thread_.joinable()) thread_.join();
  }
  void cancel() { cancelled_ = true; }

 private:
  void look() {
    try {
      KnownDevices known = probed_devices(
          [] { spdlog::info("looking at the devices of this machine: once per driver and kernel"); },
          &cancelled_);
      LoadRequest load = load_;
      use_devices(known, load);
      tell(known);
      // A machine's only device is asked for its memory by each worker; what several share is dealt out here.
      if (!load.devices.empty()) take_budgets(load);
      server_.use_devices(load);
      measure_when_idle(known, load);
    } catch (const std::exception& e) {
      spdlog::warn(fmt::format("the devices could not be examined, models run on the CPU: {}", e.what()));
      server_.use_devices(load_);
    }
  }

  // Rates of a busy machine would mislead plans for as long as their verdict holds.
  void measure_when_idle(KnownDevices& known, LoadRequest& load) const {
    while (measured_busy(known.known)) {
      for (int i = 0; i < 150 && !cancelled_; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
      if (cancelled_) return;
      if (!measure_devices_again(known, &cancelled_)) continue;
      LoadRequest now = load_;
      use_devices(known, now);
      if (now.devices == load.devices && now.budgets.size() == load.budgets.size()) {
        for (size_t i = 0; i < load.budgets.size(); ++i) load.budgets[i].rates = now.budgets[i].rates;
        spdlog::info("devices that were measured on a busy machine are measured again");
        server_.use_devices(load);
      } else {
        spdlog::info("measured on an idle machine other devices are chosen: from the next start");
      }
      server_.show_devices(examine(known.inventory, known.known.verdicts));
    }
  }

  void take_budgets(LoadRequest& load) const {
    try {
      load.budgets = device_budgets(load, left_free());
    } catch (const Error& e) {
      const bool named = !setting("DEVICES").empty();
      spdlog::warn(fmt::format("{}: {}", named ? "HEARTH_DEVICES" : "models run on the CPU", e.what()));
      if (!named) load = load_;
    }
  }

  // A GPU that is there and unused is told of here, and by the server to whoever asks.
  void tell(const KnownDevices& known) const {
    for (const std::string& note : known.known.notes) spdlog::info(note);
    for (const ChosenDevice& d : known.choice.use) {
      if (d.backend != "cpu" || known.choice.uses_gpu())
        spdlog::info(fmt::format("device {}: {}", d.device, d.reason));
    }
    for (const ChosenDevice& d : known.choice.left)
      spdlog::info(fmt::format("device {} is left out: {}", d.device, d.reason));
    const Report report = examine(known.inventory, known.known.verdicts);
    for (const std::string& line : idle_gpu_lines(report)) spdlog::warn(line);
    server_.show_devices(report);
  }

  Server& server_;
  LoadRequest load_;
  std::atomic<bool> cancelled_{false};
  std::thread thread_;
};

void serve() {
  set_up_log();
  ::signal(SIGPIPE, SIG_IGN);
  ServerOptions options = options_from_environment(HEARTH_VERSION);
  boost::asio::io_context io(1);
  Server server(io.get_executor(), options);
  log_configuration(options, server);
  Scout scout(server, options.load);
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code& e, int) {
    if (e) return;
    spdlog::info("shutting down");
    scout.cancel();
    // A second signal does not wait any more.
    signals.async_wait([&](const boost::system::error_code& again, int) {
      if (!again) io.stop();
    });
    server.shut_down(std::chrono::seconds(5), [&] { io.stop(); });
  });
  io.run();
}

}  // namespace

void add_serve(Arguments app) {
  app.alias("start");
  app.footer(
      "Environment: OLLAMA_HOST, OLLAMA_MODELS, OLLAMA_KEEP_ALIVE, OLLAMA_CONTEXT_LENGTH, "
      "OLLAMA_KV_CACHE_TYPE,\n"
      "OLLAMA_NUM_PARALLEL, OLLAMA_MAX_LOADED_MODELS, OLLAMA_MAX_QUEUE, OLLAMA_LOAD_TIMEOUT, "
      "OLLAMA_ORIGINS,\n"
      "OLLAMA_NOPRUNE, OLLAMA_GO_TEMPLATE, OLLAMA_DEBUG; HEARTH_TOKEN, HEARTH_TLS_CERTIFICATE, "
      "HEARTH_TLS_KEY,\n"
      "HEARTH_CPU, HEARTH_THREADS, HEARTH_SSE_PING_INTERVAL.\n"
      "Each OLLAMA_X may be written HEARTH_X, which wins.");
  app.run([] { serve(); });
}

}  // namespace hearth
