#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/vulkan/gpu.h"
#include "device/vulkan/pipeline_file.h"

namespace hearth::vulkan {

// A shader as SPIR-V, embedded at build time (cmake/shaders.cmake). Names: "norm", "gemv.q4_k",
// "gemv_integer_subgroup.q4_k".
struct Shader {
  std::string_view name;
  std::span<const uint32_t> code;
};
std::span<const Shader> shaders();
// Is it one with cooperative matrices, which is translated before a driver sees it (spirv_matrix.h)?
bool multiplies_matrices(const Shader& shader);

// Bindings of every pipeline. The cache is an array, for layers larger than a binding may be.
enum Binding : uint32_t {
  weights_at,
  input_at,
  output_at,
  vector_at,
  second_at,
  step_at,
  cache_at,
  codebooks_at
};
inline constexpr uint32_t bindings = 8, most_push = 128;

// All pipelines of a device. They share one layout; a pipeline is compiled when it is first asked for, from a
// file of the driver's own making where there is one.
class Pipelines {
 public:
  Pipelines(const Gpu& gpu, PipelineFile& file);
  ~Pipelines();
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;

  // `constants`: values of constant_id 0, 1, …
  VkPipeline get(const std::string& shader, std::initializer_list<uint32_t> constants);
  VkPipelineLayout layout() const noexcept { return layout_; }
  VkDescriptorSetLayout set_layout() const noexcept { return set_layout_; }
  size_t count() const noexcept { return made_.size(); }
  // Writes what was compiled since the last call to the file.
  void keep();

 private:
  VkPipeline make(const Shader& shader, std::span<const uint32_t> constants);

  const Gpu& gpu_;
  PipelineFile& file_;
  VkDescriptorSetLayout set_layout_ = nullptr;
  VkPipelineLayout layout_ = nullptr;
  VkPipelineCache cache_ = nullptr;
  std::map<std::pair<std::string, std::vector<uint32_t>>, VkPipeline> made_;
  size_t kept_ = 0;
};

}  // namespace hearth::vulkan
