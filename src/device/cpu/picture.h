#pragma once

#include "device/cpu/stage.h"

namespace hearth::cpu {

inline constexpr uint32_t patch_rows = 16;  // that are cut and projected together

// Floats of scratch memory that a thread needs for it.
uint64_t patch_floats(const Patch& op) noexcept;

// Whether a program's steps are pictures.
bool has_pictures(const Program& program) noexcept;

// Checks the step's pictures against the program and makes the step's own copy of their shapes, which
// Resample changes. Throws Error(bad_request) naming the sizes.
void take_pictures(const StepInputs& inputs, Step& step);

}  // namespace hearth::cpu
