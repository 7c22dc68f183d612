#include "hardware/relevant.h"

#include <algorithm>
#include <array>

namespace hearth {
namespace {

template <size_t N>
bool begins_with_any(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::any_of(words.begin(), words.end(), [&](auto w) { return text.starts_with(w); });
}
template <size_t N>
bool contains_any(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::any_of(words.begin(), words.end(),
                     [&](auto w) { return text.find(w) != std::string_view::npos; });
}

}  // namespace

bool relevant_variable(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 19> begins{"HEARTH_",
                                                           "OLLAMA_",
                                                           "CUDA_",
                                                           "HIP_",
                                                           "ROCR_",
                                                           "HSA_",
                                                           "GPU_DEVICE_ORDINAL",
                                                           "GGML_VK",
                                                           "VK_",
                                                           "MESA_",
                                                           "DRI_PRIME",
                                                           "NVIDIA_",
                                                           "LD_LIBRARY_PATH",
                                                           "RADV_",
                                                           "AMD_",
                                                           "JETSON_",
                                                           "container",
                                                           "WSL_",
                                                           "KUBERNETES_SERVICE_HOST"};
  static constexpr std::array<std::string_view, 9> private_words{
      "TOKEN", "_KEY", "_HOST", "ORIGINS", "MODELS", "PROXY", "EDITOR", "REMOTES", "AUTH"};
  if (variable_is_a_sign(name)) return true;
  return begins_with_any(name, begins) && !contains_any(name, private_words);
}

bool variable_is_a_sign(std::string_view name) noexcept {
  return name == "INVOCATION_ID" || name == "JOURNAL_STREAM" || name == "KUBERNETES_SERVICE_HOST" ||
         name == "WSL_DISTRO_NAME" || name == "WSL_INTEROP";
}

bool relevant_log_line(std::string_view line) noexcept {
  static constexpr std::array<std::string_view, 17> words{
      "amdgpu",        "kfd",      "radeon",           "NVRM",     "nvidia", "nouveau",       "i915",
      "xe 0000",       "[drm]",    "PM: suspend exit", "firmware", "avc:",   "hearth-worker", "device wedged",
      "Memory cgroup", "vfio-pci", "power cables"};
  return contains_any(line, words);
}

bool relevant_kernel_argument(std::string_view word) noexcept {
  static constexpr std::array<std::string_view, 15> begins{
      "nomodeset", "amdgpu.",    "radeon.", "nvidia", "nouveau.",
      "i915.",     "xe.",        "pci=",    "iommu",  "intel_iommu",
      "amd_iommu", "clearcpuid", "ttm.",    "mem=",   "modprobe.blacklist"};
  return begins_with_any(word, begins);
}

}  // namespace hearth
