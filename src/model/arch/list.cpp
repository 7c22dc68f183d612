#include "model/arch/list.h"

#include <array>

namespace hearth {

std::span<const Architecture> architectures() {
  static const std::array all{
      llama_architecture,    deepseek_architecture, deepseek2_architecture, dots1_architecture,
      glm4moe_architecture,  lfm2_architecture,     mamba_architecture,     mamba2_architecture,
      qwen2_architecture,    qwen2moe_architecture, qwen3_architecture,     qwen35_architecture,
      qwen3moe_architecture,
  };
  return all;
}

}  // namespace hearth
