#include "cli/local_worker.h"

#include <fmt/format.h>

#include "base/error.h"

namespace hearth {

LocalWorker::LocalWorker(const LoadRequest& request) : child_(worker_role), channel_(child_.socket()) {
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

LocalWorker::Answer LocalWorker::ask(const Request& request,
                                     const std::function<void(const std::string&)>& on_text,
                                     const std::function<bool()>& interrupted) {
  const RequestId id{next_id_++};
  if (!channel_.send(encode(ToChild(to_child::Start{id, request})))) report_death();
  for (;;) {
    const FromChild event = next(interrupted, id);
    if (const auto* text = std::get_if<from_child::Text>(&event)) on_text(text->text);
    if (const auto* failed = std::get_if<from_child::Failed>(&event)) {
      throw Error(failed->code, failed->message, failed->remedy);
    }
    if (const auto* done = std::get_if<from_child::Done>(&event)) return {done->reason, done->statistics};
  }
}

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
