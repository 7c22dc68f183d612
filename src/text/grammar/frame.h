#pragma once

#include <string_view>

#include "text/grammar.h"
#include "text/grammar/tree.h"

namespace hearth::grammar {

// Texts in which `marker` does not occur, and texts that end with its first occurrence and then go on with
// `rest`.
NodeId text_then(Tree& tree, std::string_view marker, NodeId rest);
// Only the latter, without a rest.
NodeId text_through(Tree& tree, std::string_view marker);

// A few blanks, or none.
NodeId gap(Tree& tree);

// The tree's texts with what the frame allows before them.
Tree framed(Tree tree, const GrammarFrame& frame);
// The same for a part of a tree: `answer` with its thinking, or as the message of a channel.
NodeId with_thinking(Tree& tree, NodeId answer, const GrammarFrame& frame);
// Messages before the last one: thoughts, and what is said before a call.
NodeId earlier_messages(Tree& tree);

}  // namespace hearth::grammar
