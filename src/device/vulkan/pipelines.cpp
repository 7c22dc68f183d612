#include "device/vulkan/pipelines.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "device/vulkan/spirv_matrix.h"

namespace hearth::vulkan {

Pipelines::Pipelines(const Gpu& gpu, PipelineFile& file) : gpu_(gpu), file_(file) {
  std::array<VkDescriptorSetLayoutBinding, bindings> list{};
  for (uint32_t i = 0; i < bindings; ++i) {
    list[i].binding = i;
    list[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    list[i].descriptorCount = i == cache_at ? cache_bindings : 1;
    list[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set.bindingCount = bindings;
  set.pBindings = list.data();
  const DeviceApi& api = gpu_.api();
  check(api.vkCreateDescriptorSetLayout(gpu_.handle(), &set, nullptr, &set_layout_),
        "vkCreateDescriptorSetLayout");
  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, most_push};
  VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &set_layout_;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &push;
  check(api.vkCreatePipelineLayout(gpu_.handle(), &layout, nullptr, &layout_), "vkCreatePipelineLayout");
  const std::vector<std::byte> kept = file_.read();
  VkPipelineCacheCreateInfo cache{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  cache.initialDataSize = kept.size();
  cache.pInitialData = kept.empty() ? nullptr : kept.data();
  check(api.vkCreatePipelineCache(gpu_.handle(), &cache, nullptr, &cache_), "vkCreatePipelineCache");
}

Pipelines::~Pipelines() {
  const DeviceApi& api = gpu_.api();
  for (const auto& [key, pipeline] : made_) api.vkDestroyPipeline(gpu_.handle(), pipeline, nullptr);
  api.vkDestroyPipelineCache(gpu_.handle(), cache_, nullptr);
  api.vkDestroyPipelineLayout(gpu_.handle(), layout_, nullptr);
  api.vkDestroyDescriptorSetLayout(gpu_.handle(), set_layout_, nullptr);
}

VkPipeline Pipelines::get(const std::string& name, std::initializer_list<uint32_t> constants) {
  auto& pipeline = made_[{name, constants}];
  if (pipeline != nullptr) return pipeline;
  const auto all = shaders();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Shader& s) { return s.name == name; });
  if (found == all.end())
    throw Error(Code::bug, fmt::format("there is no shader '{}'", name), "report this with the model's name");
  return pipeline = make(*found, {constants.begin(), constants.size()});
}

bool multiplies_matrices(const Shader& shader) { return shader.name.starts_with("tile_matrix."); }

VkPipeline Pipelines::make(const Shader& shader, std::span<const uint32_t> constants) {
  const DeviceApi& api = gpu_.api();
  VkShaderModuleCreateInfo code{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  const bool matrices = multiplies_matrices(shader);
  const std::vector<uint32_t> translated = matrices ? khr_matrices(shader.code) : std::vector<uint32_t>();
  const std::span<const uint32_t> words = matrices ? translated : shader.code;
  code.codeSize = words.size_bytes();
  code.pCode = words.data();
  VkShaderModule module = nullptr;
  check(api.vkCreateShaderModule(gpu_.handle(), &code, nullptr, &module), "vkCreateShaderModule");
  std::vector<VkSpecializationMapEntry> entries;
  for (uint32_t i = 0; i < constants.size(); ++i) entries.push_back({i, 4 * i, 4});
  const VkSpecializationInfo special{static_cast<uint32_t>(entries.size()), entries.data(),
                                     constants.size_bytes(), constants.data()};
  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &special;
  info.layout = layout_;
  // Sums of a subgroup depend on its size, and so does how subgroups divide a tile; a driver that may choose
  // must not choose per pipeline.
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size{
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO};
  const Capabilities& c = gpu_.capabilities();
  const bool subgroups = matrices || shader.name.find("_subgroup") != std::string_view::npos;
  if (subgroups && c.subgroup_size_control && c.subgroup_min < c.subgroup_max) {
    size.requiredSubgroupSize = c.subgroup;
    info.stage.pNext = &size;
  }
  if (matrices && c.full_subgroups)
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  VkPipeline pipeline = nullptr;
  const VkResult result = api.vkCreateComputePipelines(gpu_.handle(), cache_, 1, &info, nullptr, &pipeline);
  api.vkDestroyShaderModule(gpu_.handle(), module, nullptr);
  check(result, "vkCreateComputePipelines");
  return pipeline;
}

void Pipelines::keep() {
  if (made_.size() == kept_ || !file_.open()) return;
  kept_ = made_.size();
  size_t bytes = 0;
  const DeviceApi& api = gpu_.api();
  if (api.vkGetPipelineCacheData(gpu_.handle(), cache_, &bytes, nullptr) != VK_SUCCESS || bytes == 0) return;
  std::vector<std::byte> data(bytes);
  if (api.vkGetPipelineCacheData(gpu_.handle(), cache_, &bytes, data.data()) != VK_SUCCESS) return;
  data.resize(bytes);
  file_.write(data);
}

}  // namespace hearth::vulkan
