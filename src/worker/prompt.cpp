#include "worker/prompt.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth {
namespace {

[[noreturn]] void refuse(size_t tokens, uint32_t context, const char* why) {
  throw Error(
      Code::bad_request,
      fmt::format("the prompt has {} tokens, which exceeds the context length of {}{}", tokens, context, why),
      "shorten the prompt or ask for a larger context (num_ctx, --context)");
}

std::vector<TokenId> encode(const Prompt& prompt, const Tokenizer& tokenizer, bool first) {
  const auto bos = tokenizer.bos();
  const bool has_bos = bos && begins_with(prompt, tokenizer.piece(*bos));
  return tokenizer.encode(prompt, first && !has_bos);
}

// What clients send back with the answers they got: these families were trained on earlier answers without
// their thinking. A Jinja template removes it itself where it wants to.
bool forgets_thinking(const ChosenTemplate& chosen, const OpenModel& model) {
  const std::string_view family = model.file->string("general.architecture").value_or("");
  return chosen.go != nullptr && !chosen.format.think_open.empty() && !chosen.format.think_close.empty() &&
         (family.starts_with("qwen3") || family.starts_with("deepseek"));
}

Request without_thinking(Request request, const OutputFormat& format) {
  for (size_t i = 0; i + 1 < request.messages.size(); ++i) {
    ChatMessage& m = request.messages[i];
    const size_t begin = m.content.find_first_not_of(" \t\r\n");
    if (m.role != "assistant" || begin == std::string::npos ||
        m.content.compare(begin, format.think_open.size(), format.think_open) != 0)
      continue;
    const size_t close = m.content.find(format.think_close, begin);
    if (close == std::string::npos) continue;
    const size_t rest = m.content.find_first_not_of(" \t\r\n", close + format.think_close.size());
    m.content.erase(0, rest == std::string::npos ? m.content.size() : rest);
  }
  return request;
}

// A prompt of tokens: those of an earlier exchange, then the rendered ones.
ReadyPrompt render(const Request& request, const ChosenTemplate& chosen, const OpenModel& model) {
  ReadyPrompt ready;
  const Tokenizer& tokenizer = *model.tokenizer;
  if (request.raw && !request.suffix) {
    ready.text = *request.raw;
    ready.tokens = tokenizer.encode(*request.raw, {request.context.empty() && !request.plain, true});
  } else {
    const Prompt prompt = forgets_thinking(chosen, model)
                              ? render_chat(without_thinking(request, chosen.format), chosen, tokenizer)
                              : render_chat(request, chosen, tokenizer);
    ready.text = text_of(prompt);
    ready.tokens = encode(prompt, tokenizer, request.context.empty());
  }
  if (request.context.empty()) return ready;
  std::vector<TokenId> earlier;
  for (const int32_t id : request.context) {
    if (id < 0 || static_cast<size_t>(id) >= tokenizer.size()) {
      throw Error(Code::bad_request, fmt::format("the model has no token {}", id),
                  "send tokens that this model has told");
    }
    earlier.push_back({id});
  }
  ready.text.insert(0, tokenizer.decode(earlier));
  ready.tokens.insert(ready.tokens.begin(), earlier.begin(), earlier.end());
  return ready;
}

// The request without its `drop` oldest messages; system messages and the last one stay.
Request without_oldest(const Request& request, size_t drop) {
  Request rest = request;
  rest.messages.clear();
  for (size_t i = 0; i < request.messages.size(); ++i) {
    const bool stays = request.messages[i].role == "system" || i + 1 == request.messages.size();
    if (!stays && drop > 0) {
      --drop;
      continue;
    }
    rest.messages.push_back(request.messages[i]);
  }
  return rest;
}

size_t droppable(const Request& request) {
  if (request.messages.empty() || request.raw) return 0;
  const auto is_system = [](const ChatMessage& m) { return m.role == "system"; };
  return static_cast<size_t>(
      std::count_if(request.messages.begin(), request.messages.end() - 1, std::not_fn(is_system)));
}

// The fewest messages dropped with which the prompt fits; all that can be if none does.
ReadyPrompt drop_messages(const Request& request, const ChosenTemplate& chosen, const OpenModel& model,
                          uint32_t context) {
  size_t low = 1, high = droppable(request);
  ReadyPrompt best = render(without_oldest(request, high), chosen, model);
  if (best.tokens.size() >= context) return best;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    ReadyPrompt tried = render(without_oldest(request, middle), chosen, model);
    if (tried.tokens.size() < context) {
      best = std::move(tried);
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return best;
}

}  // namespace

uint32_t kept_tokens(const PromptRoom& room, const Tokenizer& tokenizer) {
  const uint32_t most = room.context - 1;
  if (room.num_keep < 0) return most;
  return std::min(most, static_cast<uint32_t>(room.num_keep) + (tokenizer.adds_bos() ? 1U : 0U));
}

ReadyPrompt make_prompt(const Request& request, const ChosenTemplate& chosen, const OpenModel& model,
                        const PromptRoom& room) {
  ReadyPrompt ready = render(request, chosen, model);
  const size_t whole = ready.tokens.size();
  if (whole < room.context || request.render_only || request.count_only) return ready;
  if (!request.truncate) refuse(whole, room.context, "");
  if (droppable(request) > 0) ready = drop_messages(request, chosen, model, room.context);
  if (ready.tokens.size() >= room.context) {
    if (!request.shift) refuse(ready.tokens.size(), room.context, " and shifting is switched off");
    const uint32_t keep = kept_tokens(room, *model.tokenizer);
    const uint32_t length = room.context - std::max((room.context - keep) / 2, 1U);
    const auto from = ready.tokens.begin() + keep;
    ready.tokens.erase(from, ready.tokens.end() - (length - keep));
  }
  ready.truncated = static_cast<uint32_t>(whole - ready.tokens.size());
  return ready;
}

}  // namespace hearth
