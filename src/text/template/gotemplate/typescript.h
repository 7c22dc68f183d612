#pragma once

#include "text/template/gotemplate/output.h"

namespace hearth::gotmpl {

// The TypeScript type of a tool's property (a record of `property_type`): string, number, boolean, any[],
// Record<string, any>, null, or a union of them; any for everything else.
void print_typescript(const Value& property, Output& out);

}  // namespace hearth::gotmpl
