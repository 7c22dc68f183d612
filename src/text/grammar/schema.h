#pragma once

#include "base/json.h"
#include "text/grammar/tree.h"

namespace hearth::grammar {

// JSON texts that are valid under a schema: see docs of Grammar::from_schema, which throws the same.
Tree schema_tree(const Json& schema);

// Any JSON object.
Tree json_object_tree();

}  // namespace hearth::grammar
