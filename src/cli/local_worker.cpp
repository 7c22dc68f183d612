#include "cli/local_worker.h"

#include <fmt/format.h>

#include "base/error.h"
#include "worker/inspect.h"

namespace hearth {

LocalWorker::LocalWorker(const LoadRequest& request)
    : child_(worker_role), channel_(child_.socket()), path_(request.path) {
  if (!channel_.send(encode(ToChild(to_child::Load{request})))) report_death();
  const FromChild answer = next([] { return false; }, {0});
  if (const auto* failed = std::get_if<from_child::Failed>(&answer)) {
    throw Error(failed->code, failed->message, failed->remedy);
  }
  ready_ = std::get<from_child::Ready>(answer);
}

FromChild LocalWorker::next(const std::function<bool()>& interrupted, RequestId id) {
  for (bool cancelled = false;;) {
    if (!cancelled && interrupted()) {
      cancelled = true;
      channel_.send(encode(ToChild(to_child::Cancel{id})));
    }
    constexpr int poll_ms = 200;
    const Channel::Received got = channel_.receive(poll_ms);
    if (got.state == Channel::State::closed) report_death();
    if (got.state == Channel::State::message) return decode_from_child(got.message);
  }
}

Answer LocalWorker::ask(const Request& request, const Listener& listener,
                        const std::function<bool()>& interrupted) {
  const RequestId id{next_id_++};
  if (!channel_.send(encode(ToChild(to_child::Start{id, request})))) report_death();
  for (;;) {
    const FromChild event = next(interrupted, id);
    if (const auto* text = std::get_if<from_child::Text>(&event)) listener.text(text->text);
    if (const auto* thought = std::get_if<from_child::Thinking>(&event); thought && listener.thinking)
      listener.thinking(thought->text);
    if (const auto* called = std::get_if<from_child::Called>(&event); called && listener.called)
      listener.called(called->call);
    if (const auto* vectors = std::get_if<from_child::Vectors>(&event); vectors && listener.vectors)
      listener.vectors(vectors->vectors);
    if (const auto* failed = std::get_if<from_child::Failed>(&event)) {
      throw Error(failed->code, failed->message, failed->remedy);
    }
    if (const auto* done = std::get_if<from_child::Done>(&event)) return {done->reason, done->statistics};
  }
}

std::string LocalWorker::description() const {
  std::string text = fmt::format("  model      {}\n  device     {}\n  context    {} tokens\n", ready_.model,
                                 ready_.device, ready_.context);
  for (const DeviceBuffers& held : ready_.held) {
    for (const Buffer& b : held.buffers) {
      text += fmt::format("  {:<10} {:.1f} MiB{}{}\n", to_string(b.kind),
                          static_cast<double>(b.bytes) / (1 << 20), b.mapped ? " (the file itself)" : "",
                          ready_.held.size() > 1 ? " on " + held.device : "");
    }
  }
  return text;
}

std::string LocalWorker::template_text() {
  return json::value_to<std::string>(inspect_model(path_).at("template"));
}

bool LocalWorker::embeds() { return inspect_model(path_).at("capabilities").at(0) == "embedding"; }

void LocalWorker::report_death() {
  const std::string how = child_.wait_and_describe();
  std::string log = child_.log_tail();
  while (!log.empty() && log.back() == '\n') log.pop_back();
  for (char& c : log) {
    if (c == '\n') c = ';';
  }
  throw Error(Code::device_lost, fmt::format("the worker process {}{}{}", how, log.empty() ? "" : ": ", log),
              "try again with HEARTH_CPU=portable; if that helps, report it with this line");
}

}  // namespace hearth
