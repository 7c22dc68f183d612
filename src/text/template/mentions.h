#pragma once

#include "text/template/tree.h"

namespace hearth::tmpl {

// Looks at every node of a tree, whether it would run or not.
Mentions mentions_of(const Tree& tree);

}  // namespace hearth::tmpl
