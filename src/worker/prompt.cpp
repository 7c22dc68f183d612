#include "worker/prompt.h"

#include <fmt/format.h>

namespace hearth {
namespace {

std::string piece_of(const Tokenizer& tokenizer, std::optional<TokenId> token) {
  return token ? std::string(tokenizer.piece(*token)) : std::string();
}

json::object context_of(const std::vector<ChatMessage>& messages, const Tokenizer& tokenizer) {
  json::array list;
  for (const ChatMessage& m : messages) list.push_back({{"role", m.role}, {"content", m.content}});
  return {{"messages", std::move(list)},
          {"tools", nullptr},
          {"documents", nullptr},
          {"add_generation_prompt", true},
          {"bos_token", piece_of(tokenizer, tokenizer.bos())},
          {"eos_token", piece_of(tokenizer, tokenizer.eos())}};
}

// Templates that know no system message raise; then its text goes in front of the first user message.
std::vector<ChatMessage> without_system(const std::vector<ChatMessage>& messages) {
  std::vector<ChatMessage> rest;
  std::string system;
  for (const ChatMessage& m : messages) {
    if (m.role == "system") {
      system += m.content + "\n\n";
      continue;
    }
    rest.push_back(m);
    if (m.role == "user" && !system.empty()) {
      rest.back().content = system + m.content;
      system.clear();
    }
  }
  return rest;
}

Prompt render(const Request& request, const OpenModel& model) {
  if (!model.chat) {
    Prompt prompt;
    for (const ChatMessage& m : request.messages) {
      if (!prompt.empty()) prompt.push_back({"\n", Origin::model});
      prompt.push_back({m.content, Origin::user});
    }
    return prompt;
  }
  const bool system = !request.messages.empty() && request.messages.front().role == "system";
  try {
    return model.chat->render(context_of(request.messages, *model.tokenizer));
  } catch (const TemplateError& e) {
    if (!system || e.kind == TemplateError::Kind::limit) throw;
  }
  return model.chat->render(context_of(without_system(request.messages), *model.tokenizer));
}

}  // namespace

std::vector<TokenId> tokens_of(const Request& request, const OpenModel& model) {
  if (request.raw) return model.tokenizer->encode(*request.raw, {true, true});
  if (!model.template_problem.empty()) {
    throw Error(Code::unsupported,
                fmt::format("the chat template of {} cannot be used: {}", model.name, model.template_problem),
                "use another file of this model, or send a raw prompt");
  }
  return model.tokenizer->encode(render(request, model));
}

}  // namespace hearth
