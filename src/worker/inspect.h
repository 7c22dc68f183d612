#pragma once

#include <string>

#include "base/json.h"

namespace hearth {

// What a model file says of itself, for a parent that does not read such files: {architecture,
// file_bytes, parameter_count, file_type, context_length, embedding_length, capabilities, template,
// tokenizer, projector, model_info {…}, tensors [{name, type, shape}]}. Arrays of the metadata are null
// unless `arrays`. Capabilities are those of the file alone: its kind, and what its template tells. Throws
// Error as reading a model does.
Json inspect_model(const std::string& path, bool arrays = false);

}  // namespace hearth
