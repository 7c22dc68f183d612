#pragma once

#include "device/cpu/stage.h"

namespace hearth::cpu {

inline constexpr uint32_t upright_rows = 32;  // of a key matrix that are decoded at once
inline constexpr uint32_t head_rows = 64;     // of a step that meet a head's matrix at once

// Floats of scratch memory that a thread needs for steps of `rows` rows.
uint64_t latent_floats(const QkvLatent& op, uint64_t rows) noexcept;
uint64_t head_linear_floats(const Linear& op, uint64_t rows) noexcept;

}  // namespace hearth::cpu
