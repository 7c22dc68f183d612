#include "device/vulkan/variants.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace hearth::vulkan {
namespace {

void take_word(VariantWish& wish, std::string_view word) {
  if (word.empty()) return;
  if (word == "plain") {
    wish.plain = true;
    wish.integers = false;
  } else if (word == "float" || word == "integer") {
    wish.integers = word == "integer";
  } else if (word == "coopmat") {
    wish.matrices = true;
  } else if (word == "rows") {
    wish.rows = true;
  } else if (word == "compact" || word == "unrolled") {
    wish.compact = word == "compact";
  } else {
    throw Error(Code::bad_request, fmt::format("HEARTH_VULKAN_VARIANTS: '{}' is no variant", word),
                "use some of plain, float, integer, coopmat, compact, unrolled, rows, separated by commas");
  }
}

}  // namespace

VariantWish parse_variants(std::string_view words) {
  VariantWish wish;
  for (size_t at = 0; at <= words.size();) {
    const size_t end = std::min(words.find(',', at), words.size());
    take_word(wish, words.substr(at, end - at));
    at = end + 1;
  }
  return wish;
}

VariantWish wished_variants() {
  const char* value = std::getenv("HEARTH_VULKAN_VARIANTS");
  return parse_variants(value != nullptr ? value : "");
}

bool row_attention_fits(const Capabilities& c) {
  const bool fixed = c.subgroup_size_control || c.subgroup_min == c.subgroup_max;
  return c.subgroup_arithmetic && fixed && c.subgroup >= 8 && c.subgroup <= 64 && 128 % c.subgroup == 0;
}

Variants variants_of(const PhysicalDevice& device, const VariantWish& wish) {
  const Capabilities& c = device.capabilities;
  if (wish.integers.value_or(false) && !c.int_dot) {
    throw Error(Code::unsupported,
                fmt::format("{} has no integer dot products (shaderIntegerDotProduct)",
                            device.description.description),
                "leave 'integer' out of HEARTH_VULKAN_VARIANTS, or update the driver");
  }
  if (wish.matrices && !c.matrices) {
    throw Error(Code::unsupported,
                fmt::format("{} has no cooperative matrices of halves summed in floats "
                            "(VK_KHR_cooperative_matrix)",
                            device.description.description),
                "leave 'coopmat' out of HEARTH_VULKAN_VARIANTS, or update the driver");
  }
  Variants v;
  v.subgroups = c.subgroup_arithmetic && !wish.plain;
  v.integer_rows = v.integer_prompts = wish.integers.value_or(false);
  v.matrix_prompts = wish.matrices;
  v.row_attention = wish.rows && row_attention_fits(c);
  v.compact = wish.compact.value_or(device.description.kind == ModuleDeviceKind::cpu);
  return v;
}

std::string describe(const Variants& v) {
  const std::string sums = v.subgroups ? "subgroup arithmetic" : "sums in shared memory";
  const bool prompts = v.integer_prompts && !v.matrix_prompts;
  const char* integers = v.integer_rows && prompts ? "integer products"
                         : v.integer_rows          ? "integer products for generation"
                         : prompts                 ? "integer products for prompts"
                                                   : "float products";
  return fmt::format("{}, {}{}, attention {}{}", sums, integers,
                     v.matrix_prompts ? ", cooperative matrices for prompts" : "",
                     v.compact ? "compact" : "unrolled",
                     v.row_attention ? ", by subgroups for generation" : "");
}

}  // namespace hearth::vulkan
