#pragma once

#include <functional>
#include <string_view>

#include "text/grammar/tree.h"

namespace hearth::grammar {

// Makes the node that matches one character of the set.
using CharacterNode = std::function<NodeId(const CodepointSet&)>;

// The regular expressions of JSON Schema's `pattern`, as far as they are regular: classes, \d \w \s and their
// opposites, groups (also named and non-capturing), | and the repetitions, greedy or not. An alternative
// without ^ may have anything before it, one without $ anything after it. Throws Error: `unsupported` for
// look-around, back references, word boundaries, property classes and anchors inside, `bad_request` for what
// is malformed.
NodeId parse_regex(std::string_view pattern, Tree& tree, const CharacterNode& character);

// What `node` matches (made of sets, sequences, choices and repetitions only) in as far as it has min to max
// characters. Throws Error(unsupported) where counting takes too many states.
NodeId with_length(Tree& tree, NodeId node, uint32_t min, uint32_t max, const CharacterNode& character);

}  // namespace hearth::grammar
