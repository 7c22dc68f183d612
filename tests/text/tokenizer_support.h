#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/data.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace hearth::test {

// What `command` prints. Throws std::runtime_error when it fails.
std::string output_of(const std::string& command);

// The vocabulary of a trusted GGUF, xz-compressed.
Vocabulary read_vocabulary(const std::filesystem::path& gguf_xz);

// A vocabulary as JSON, with the fields of Vocabulary. tests/cases/text/NAME.
Vocabulary read_vocabulary_json(const std::string& name);

std::vector<int32_t> values(const std::vector<TokenId>& ids);
std::vector<TokenId> ids_of(const Json& array);

// The field KEY, or KEY_hex where the bytes are no UTF-8.
std::string bytes_of(const json::object& object, std::string_view key);

}  // namespace hearth::test
