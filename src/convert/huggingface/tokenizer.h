#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "convert/huggingface/config.h"
#include "formats/gguf_writer.h"

namespace hearth::huggingface {

// tokenizer.json, tokenizer_config.json, generation_config.json and the chat template of a model's folder, as
// the keys tokenizer.* of a GGUF. `rows` is the height of the embedding table: ids without a token are
// padded. Throws Error: not_found, corrupt_file, unsupported (kinds other than BPE, an unknown
// pre-tokenizer).
void put_tokenizer(const std::filesystem::path& folder, const Config& config, uint32_t rows, GgufWriter& head,
                   std::vector<std::string>& notes);

// The value of tokenizer.ggml.pre for the steps that a tokenizer.json lists under pre_tokenizer. Throws
// Error(unsupported) quoting what is not known.
std::string recognise_pretokenizer(const Json& pre_tokenizer);

}  // namespace hearth::huggingface
