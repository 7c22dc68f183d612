#include "model/arch/list.h"

#include <array>

namespace hearth {

std::span<const Architecture> architectures() {
  static const std::array all{
      lfm2_architecture,  llama_architecture, mamba_architecture,  mamba2_architecture,
      qwen2_architecture, qwen3_architecture, qwen35_architecture,
  };
  return all;
}

}  // namespace hearth
