#pragma once

#include <filesystem>
#include <string>

#include "convert/model_source.h"

namespace hearth {

// A model as its authors publish it: config.json, tokenizer.json, safetensors. Families: Llama, Mistral,
// Mixtral, Qwen 2 and Qwen 3. Matrices keep their type (BF16, F16, F32), vectors become F32. `name` becomes
// general.name; empty: what config.json says, if anything. Throws Error: not_found, corrupt_file, and
// unsupported for what would not compute the same model (naming what, and what is supported).
ModelSource open_huggingface(const std::filesystem::path& folder, const std::string& name = {});

}  // namespace hearth
