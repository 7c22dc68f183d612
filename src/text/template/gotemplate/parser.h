#pragma once

#include <string_view>

#include "text/template/gotemplate/tree.h"

namespace hearth::gotmpl {

// Throws Failure of kind syntax: what is no template, an unknown function or variable, a call of a template
// that is not defined, blocks nested deeper than 200, more than 1000 variables at once.
Tree parse(std::string_view source);

}  // namespace hearth::gotmpl
