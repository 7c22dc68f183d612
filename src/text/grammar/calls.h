#pragma once

#include <optional>

#include "text/grammar.h"
#include "text/grammar/tree.h"

namespace hearth::grammar {

// See Grammar::of_calls.
std::optional<Tree> calls_tree(const OutputFormat& format, const Json& tools, const CallDemand& demand,
                               const GrammarFrame& frame);

}  // namespace hearth::grammar
