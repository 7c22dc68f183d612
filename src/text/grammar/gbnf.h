#pragma once

#include <string_view>

#include "text/grammar/tree.h"

namespace hearth::grammar {

// GBNF: rules `name ::= …` made of "literals", [classes], `.`, names, (groups), `|`, the repetitions
// `* + ? {n} {n,} {n,m}` and comments from # to the end of the line. A rule goes on until the next `name
// ::=`. Escapes: \n \r \t \\ \" \[ \] \- \^ \xNN \uNNNN \UNNNNNNNN (code points). Throws Error(bad_request)
// with line and column.
Tree parse_gbnf(std::string_view text);

}  // namespace hearth::grammar
