#pragma once

#include <filesystem>
#include <string>

#include "convert/model_source.h"
#include "formats/gguf.h"

namespace hearth {

struct QuantizeOptions {
  std::string recipe;    // a mixture's name, "Q4_K_M"
  uint32_t threads = 0;  // 0: what the machine allows
  const ImportanceMatrix* importance = nullptr;
  bool allow_requantize = false;
};

// Writes the model `in` to `out` with the types of the recipe. Metadata stay as they are but for
// general.file_type and general.quantization_version. The file appears under its name when it is complete.
// Throws Error: bad_request (unknown recipe; `in` is quantized already), corrupt_file, io (also: no room).
Written quantize(const Gguf& in, const std::filesystem::path& out, const QuantizeOptions& options,
                 const ProgressFn& progress);

}  // namespace hearth
