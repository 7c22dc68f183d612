#pragma once

#include <memory>

#include "server/dialects/dialect.h"

namespace hearth::ollama {

std::unique_ptr<Reply> generate_reply(const Call& call, const Stamp& stamp);
std::unique_ptr<Reply> chat_reply(const Call& call, const Stamp& stamp);
std::unique_ptr<Reply> embed_reply(const Call& call, const Stamp& stamp, uint32_t dimensions);
std::unique_ptr<Reply> embeddings_reply();

}  // namespace hearth::ollama
