#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hearth::vulkan {

// A module with cooperative matrices of SPV_NV_cooperative_matrix, as the oldest glslc makes them, with those
// of SPV_KHR_cooperative_matrix instead, which drivers of all vendors take (decision 11). The types differ by
// the use of a matrix (A, B or accumulator), which follows from the products in the module; the layout of
// loads and stores is a number instead of a truth value. Throws Error(bug) for a module in which a type has
// two uses or none, a layout is not a constant, or the words are no module.
std::vector<uint32_t> khr_matrices(std::span<const uint32_t> module);

}  // namespace hearth::vulkan
