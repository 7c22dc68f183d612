#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/subprocess.h"
#include "cli/talker.h"
#include "protocol/channel.h"
#include "protocol/messages.h"

namespace hearth {

// A worker process of our own, for commands that need no server. Whatever a model file does to it, this
// process lives and can say what happened.
class LocalWorker final : public Talker {
 public:
  // Starts the child and loads the model. Throws the child's Error, or one that says how it died.
  explicit LocalWorker(const LoadRequest& request);

  const from_child::Ready& ready() const noexcept { return ready_; }

  Answer ask(const Request& request, const Listener& listener,
             const std::function<bool()>& interrupted) override;
  std::vector<std::string> notes() const override { return ready_.notes; }
  std::string description() const override;
  std::string device() override { return ready_.device; }
  std::string template_text() override;
  bool embeds() override;

 private:
  FromChild next(const std::function<bool()>& interrupted, RequestId id);
  [[noreturn]] void report_death();

  Subprocess child_;
  Channel channel_;
  std::string path_;
  from_child::Ready ready_;
  uint64_t next_id_ = 1;
};

// The role in which main() starts a child of this class.
inline constexpr const char* worker_role = "internal-worker";

}  // namespace hearth
