#pragma once

#include "model/model.h"

namespace hearth {

extern const Architecture lfm2_architecture;
extern const Architecture llama_architecture;
extern const Architecture deepseek2_architecture;
extern const Architecture deepseek_architecture;
extern const Architecture dots1_architecture;
extern const Architecture glm4moe_architecture;
extern const Architecture qwen2moe_architecture;
extern const Architecture qwen3moe_architecture;
extern const Architecture mamba_architecture;
extern const Architecture mamba2_architecture;
extern const Architecture qwen2_architecture;
extern const Architecture qwen3_architecture;
extern const Architecture qwen35_architecture;

}  // namespace hearth
