#pragma once

#include <memory>

#include "server/dialects/dialect.h"

namespace hearth::anthropic {

std::unique_ptr<Reply> message_reply(const Call& call, const Stamp& stamp);
std::unique_ptr<Reply> count_reply();

}  // namespace hearth::anthropic
