#pragma once

#include "model/model.h"

namespace hearth {

extern const Architecture lfm2_architecture;
extern const Architecture llama_architecture;
extern const Architecture mamba_architecture;
extern const Architecture mamba2_architecture;
extern const Architecture qwen2_architecture;
extern const Architecture qwen3_architecture;
extern const Architecture qwen35_architecture;

}  // namespace hearth
