#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "device/vulkan/api.h"

// VK_KHR_cooperative_matrix: products of small matrices that a subgroup computes together. The extension is
// younger than the oldest headers that this is built with, so that what is used of it is declared here.
namespace hearth::vulkan {

inline constexpr const char* matrix_extension = "VK_KHR_cooperative_matrix";

// The extension's structures and numbers, under names of our own: newer headers have theirs.
struct MatrixFeatures {
  VkStructureType sType = static_cast<VkStructureType>(1000506000);
  void* pNext = nullptr;
  VkBool32 cooperativeMatrix = VK_FALSE, cooperativeMatrixRobustBufferAccess = VK_FALSE;
};
struct MatrixStages {
  VkStructureType sType = static_cast<VkStructureType>(1000506002);
  void* pNext = nullptr;
  VkShaderStageFlags cooperativeMatrixSupportedStages = 0;
};
enum MatrixNumber : int32_t { matrix_f16 = 0, matrix_f32 = 1 };
enum MatrixScope : int32_t { matrix_subgroup = 3 };
struct MatrixProperty {
  VkStructureType sType = static_cast<VkStructureType>(1000506001);
  void* pNext = nullptr;
  uint32_t m = 0, n = 0, k = 0;
  int32_t a = 0, b = 0, c = 0, result = 0;
  VkBool32 saturating = VK_FALSE;
  int32_t scope = 0;
};

// How tile_matrix.glsl multiplies on a device: the size of a matrix, and how many subgroups lie above and
// beside each other on a tile.
struct MatrixTiling {
  uint32_t m = 0, n = 0, k = 0, grid_m = 0, grid_n = 0;
  friend bool operator==(const MatrixTiling&, const MatrixTiling&) = default;
};

// What a driver offers; empty without the extension's function.
std::vector<MatrixProperty> matrix_properties(PFN_vkGetInstanceProcAddr get, VkInstance instance,
                                              VkPhysicalDevice device);

// The largest size of halves summed in floats, by a subgroup of `subgroup` threads, into which a tile can be
// cut; none where there is none.
std::optional<MatrixTiling> choose_matrices(std::span<const MatrixProperty> offered, uint32_t subgroup);

}  // namespace hearth::vulkan
