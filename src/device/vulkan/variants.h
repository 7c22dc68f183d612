#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "device/vulkan/gpu.h"

namespace hearth::vulkan {

// Which of several kernels for the same operations a device uses.
struct Variants {
  bool subgroups = false;  // products sum by subgroup arithmetic, else by a tree in shared memory
  // Products in 8-bit integers where the type of the weights allows it: of rows that continue a sequence, of
  // rows of prompts. Else in floats.
  bool integer_rows = false, integer_prompts = false;
  bool compact = false;         // attention with its loops kept, for drivers that compile for the CPU
  bool matrix_prompts = false;  // prompts in halves by cooperative matrices, whatever integer_prompts says
  bool row_attention = false;   // rows that continue a sequence attend by a kernel of their own, by subgroups
  friend bool operator==(const Variants&, const Variants&) = default;
};

// What is asked for, instead of what a measurement or the kind of device decides.
struct VariantWish {
  bool plain = false;            // neither subgroup arithmetic nor integers
  std::optional<bool> integers;  // integer products, or none
  bool matrices = false;         // cooperative matrices for prompts
  std::optional<bool> compact;   // attention's loops kept, or unrolled
  bool rows = false;             // the kernel of rows for attention
};

// Words separated by commas: plain, float, integer, coopmat, compact, unrolled, rows. Throws
// Error(bad_request) for others.
VariantWish parse_variants(std::string_view words);
// HEARTH_VULKAN_VARIANTS.
VariantWish wished_variants();

// What the device can do of it, integers and cooperative matrices only where they are asked for. Throws
// Error(unsupported) where the driver lacks what is asked for.
Variants variants_of(const PhysicalDevice& device, const VariantWish& wish);

// Whether the driver has what attend_row.glsl needs.
bool row_attention_fits(const Capabilities& capabilities);

// "subgroup arithmetic, integers for prompts", for logs.
std::string describe(const Variants& variants);

}  // namespace hearth::vulkan
