#pragma once

#include <string>

#include "base/json.h"
#include "formats/gguf.h"
#include "protocol/messages.h"

namespace hearth {

// What a model file says of itself, for a parent that does not read such files: {architecture,
// file_bytes, parameter_count, file_type, context_length, embedding_length, capabilities, template,
// tokenizer, projector, model_info {…}, tensors [{name, type, shape}]}. Arrays of the metadata are null
// unless `arrays`. Capabilities are the file's kind and what its template tells, or the one beside it if that
// is used, or the parser. Throws Error as reading a model does.
Json inspect_model(const to_child::Inspect& question);
Json inspect_model(const std::string& path, bool arrays = false);

// "Q4_K_M", as the file says, or the type that holds most of it.
std::string file_kind(const Gguf& file);

}  // namespace hearth
