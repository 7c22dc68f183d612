#pragma once

#include "text/template/gotemplate/value.h"

namespace hearth::gotmpl {

// Go's eq and lt: only values of one basic type compare, except that anything may be equal to nil. Fails
// else.
bool equal(const Value& left, const Value& right);
bool less(const Value& left, const Value& right);

}  // namespace hearth::gotmpl
