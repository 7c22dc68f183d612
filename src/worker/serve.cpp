#include "worker/serve.h"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "device/modules.h"
#include "protocol/channel.h"
#include "protocol/messages.h"
#include "worker/inspect.h"
#include "worker/sandbox.h"
#include "worker/session.h"
#include "worker/survey.h"

namespace hearth {
namespace {

class Worker {
 public:
  explicit Worker(int fd) : channel_(fd) {}

  // Until the peer leaves or a device is lost: take messages, and compute while there is something to
  // compute.
  void loop() {
    for (bool busy = false;;) {
      const Channel::Received got = channel_.receive(busy ? 0 : -1);
      if (got.state == Channel::State::closed) return;
      if (got.state == Channel::State::message && !on_first(decode_to_child(got.message))) return;
      if (got.state == Channel::State::message) {
        busy = session_ != nullptr;
        continue;
      }
      try {
        busy = session_ != nullptr && compute();
      } catch (const Error& e) {
        computing_ = false;
        send(from_child::Failed{{0}, e.code, e.message, e.remedy});
        return;
      }
    }
  }

 private:
  // The parent is trusted, files are not: the sandbox begins after the first message and before what it asks
  // for.
  bool on_first(const ToChild& message) {
    if (!inside_) enter(request_in(message));
    inside_ = true;
    return on(message);
  }

  // What a message wants devices for; null: nothing.
  static const LoadRequest* request_in(const ToChild& message) {
    if (const auto* m = std::get_if<to_child::Load>(&message)) return &m->request;
    const auto* m = std::get_if<to_child::Survey>(&message);
    return m != nullptr ? &m->request : nullptr;
  }

  static void enter(const LoadRequest* request) {
    if (request != nullptr) take_environment(*request);
    const bool gpu = request != nullptr && open_drivers(*request);
    const std::string open = enter_sandbox(gpu ? SandboxFor::gpu : SandboxFor::cpu);
    if (!open.empty()) fmt::print(stderr, "the worker runs without a sandbox: {}\n", open);
  }

  // A driver opens device files and its caches when it starts. It stays open in its module; what goes wrong
  // here is told when the model is loaded.
  static bool open_drivers(const LoadRequest& request) {
    bool gpu = false;
    for (const std::string& name : request.devices) {
      if (name == "cpu") continue;
      gpu = true;
      try {
        open_device(name, {{}, request.backends});
      } catch (const Error&) {
      }
    }
    return gpu;
  }

  bool on(const ToChild& message) {
    if (const auto* m = std::get_if<to_child::Load>(&message)) load(m->request);
    if (const auto* m = std::get_if<to_child::Start>(&message)) start(*m);
    if (const auto* m = std::get_if<to_child::Cancel>(&message); m != nullptr && session_ != nullptr)
      session_->cancel(m->id);
    if (const auto* m = std::get_if<to_child::Inspect>(&message)) inspect(*m);
    if (const auto* m = std::get_if<to_child::Survey>(&message)) survey(*m);
    if (std::holds_alternative<to_child::Ping>(message)) send(from_child::Pong{});
    return !std::holds_alternative<to_child::Leave>(message);
  }

  // Drivers read it when they are loaded, which comes next.
  static void take_environment(const LoadRequest& request) {
    for (const auto& [name, value] : request.environment) {
      if (value.empty()) {
        ::unsetenv(name.c_str());
      } else {
        ::setenv(name.c_str(), value.c_str(), 1);
      }
    }
  }

  void load(const LoadRequest& request) {
    try {
      session_ = std::make_unique<Session>(request, [this](const FromChild& m) { return send(m); });
      send(session_->ready());
    } catch (const Error& e) {
      send(from_child::Failed{{0}, e.code, e.message, e.remedy});
    }
  }

  void inspect(const to_child::Inspect& m) {
    try {
      send(from_child::Inspected{inspect_model(m)});
    } catch (const Error& e) {
      send(from_child::Failed{{0}, e.code, e.message, e.remedy});
    }
  }

  void survey(const to_child::Survey& m) {
    try {
      send(survey_model(m));
    } catch (const Error& e) {
      send(from_child::Failed{{0}, e.code, e.message, e.remedy});
    }
  }

  void start(const to_child::Start& m) {
    if (session_ != nullptr) return session_->start(m);
    send(from_child::Failed{m.id, Code::bug, "a request came before a model", "report this"});
  }

  // What the requests of a batch have to say travels together: the peer may want a processor that computes.
  bool compute() {
    computing_ = true;
    const bool more = session_->step();
    computing_ = false;
    heard_ = channel_.flush();
    return more;
  }

  bool send(const FromChild& message) {
    channel_.hold(encode(message));
    if (!computing_) heard_ = channel_.flush();
    return heard_;
  }

  Channel channel_;
  bool computing_ = false, heard_ = true;
  bool inside_ = false;
  std::unique_ptr<Session> session_;
};

}  // namespace

int serve_worker(int fd) {
  try {
    Worker(fd).loop();
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}

}  // namespace hearth
