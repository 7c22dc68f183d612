#pragma once

#include <memory>

#include "server/dialects/dialect.h"

namespace hearth::openai {

struct ReplyOptions {
  bool stream = false, include_usage = false, logprobs = false;
  std::string echo;  // put in front of a completion
};

std::unique_ptr<Reply> chat_reply(const Call& call, const Stamp& stamp, const ReplyOptions& options);
std::unique_ptr<Reply> completion_reply(const Call& call, const Stamp& stamp, const ReplyOptions& options);
std::unique_ptr<Reply> embeddings_reply(const Call& call, bool base64, uint32_t dimensions);
// `body`: fields of it are told back.
std::unique_ptr<Reply> responses_reply(const Call& call, const Stamp& stamp, const Json& body);

}  // namespace hearth::openai
