#pragma once

#include <string>

#include "cli/api_client.h"
#include "cli/talker.h"

namespace hearth {

// A model of a server.
class RemoteModel final : public Talker {
 public:
  // Pulls the model if the server does not have it, and loads it. Throws Error.
  explicit RemoteModel(const RunOptions& options);

  Answer ask(const Request& request, const Listener& listener,
             const std::function<bool()>& interrupted) override;
  std::vector<std::string> notes() const override { return {}; }
  std::string description() const override;
  std::string device() override;
  std::string template_text() override;
  bool embeds() override;

 private:
  Answer embed(const Request& request, const Listener& listener);
  json::object common(const Request& request) const;

  ApiClient client_;
  std::string model_, keep_alive_;
  uint32_t context_ = 0;
  Json shown_;  // what /api/show says
};

// A request's messages as /api/chat takes them.
json::array chat_messages(const std::vector<ChatMessage>& messages);

}  // namespace hearth
