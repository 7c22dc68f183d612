#include "device/vulkan/matrices.h"

#include <algorithm>

namespace hearth::vulkan {
namespace {

// Of tile.glsl.
constexpr uint32_t tile = 64, depth = 32, threads = 128;
// Sums of a subgroup lie in its registers: sixteen matrices of 16 × 16 are 128 of them where it has 32
// threads.
constexpr uint32_t most_blocks = 16;

bool divides(uint32_t part, uint32_t whole) { return part != 0 && whole % part == 0; }

bool fits(const MatrixProperty& p) {
  return p.a == matrix_f16 && p.b == matrix_f16 && p.c == matrix_f32 && p.result == matrix_f32 &&
         p.scope == matrix_subgroup && divides(p.m, tile) && divides(p.n, tile) && divides(p.k, depth);
}

// Subgroups over the tile, such that each reads few matrices: about as many rows as columns of them.
std::optional<MatrixTiling> divide(const MatrixProperty& p, uint32_t subgroups) {
  const uint32_t rows = tile / p.m, columns = tile / p.n;
  std::optional<MatrixTiling> best;
  uint32_t least = UINT32_MAX;
  for (uint32_t grid_m = 1; grid_m <= subgroups; ++grid_m) {
    if (!divides(grid_m, subgroups)) continue;
    const uint32_t grid_n = subgroups / grid_m;
    if (!divides(grid_m, rows) || !divides(grid_n, columns)) continue;
    const uint32_t below = rows / grid_m, beside = columns / grid_n;
    if (below * beside > most_blocks || below + beside >= least) continue;
    least = below + beside;
    best = MatrixTiling{p.m, p.n, p.k, grid_m, grid_n};
  }
  return best;
}

}  // namespace

std::vector<MatrixProperty> matrix_properties(PFN_vkGetInstanceProcAddr get, VkInstance instance,
                                              VkPhysicalDevice device) {
  using Ask = VkResult(VKAPI_PTR*)(VkPhysicalDevice, uint32_t*, MatrixProperty*);
  const auto ask = reinterpret_cast<Ask>(get(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  if (ask == nullptr) return {};
  uint32_t count = 0;
  check(ask(device, &count, nullptr), "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
  std::vector<MatrixProperty> list(count);
  check(ask(device, &count, list.data()), "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
  list.resize(count);
  return list;
}

std::optional<MatrixTiling> choose_matrices(std::span<const MatrixProperty> offered, uint32_t subgroup) {
  if (!divides(subgroup, threads)) return std::nullopt;
  std::optional<MatrixTiling> best;
  const auto volume = [](const MatrixTiling& t) { return t.m * t.n * t.k; };
  for (const MatrixProperty& p : offered) {
    if (!fits(p)) continue;
    const auto tiling = divide(p, threads / subgroup);
    if (tiling && (!best || volume(*tiling) > volume(*best))) best = tiling;
  }
  return best;
}

}  // namespace hearth::vulkan
