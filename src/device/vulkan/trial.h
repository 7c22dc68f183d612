#pragma once

#include <memory>
#include <span>

#include "device/vulkan/vulkan_device.h"

namespace hearth::vulkan {

// `variants` with the products that came out right and were the fastest when they were tried on this device:
// one matrix of Q4_K with one row and with many, by subgroup arithmetic or not, in integers, floats, or
// halves by cooperative matrices; and attention of rows by subgroups, likewise. The outcome is kept per
// driver and chip, so that results do not change from one process to the next; where no file can be written,
// it is measured anew. `kept`: where the outcome is, Driver::choice.
Variants measured_variants(const std::shared_ptr<Driver>& driver, const Variants& variants,
                           PipelineFile& kept);

// The trial itself. `variants`: what may be used.
Variants try_variants(const std::shared_ptr<Driver>& driver, const Variants& variants);

// Whether no value of `b` differs from that of `a` by more than `tolerance` of the largest of `a`; false
// where something is no number.
bool alike(std::span<const float> a, std::span<const float> b, double tolerance);

// Part of try_variants: attention of a row behind some hundred tokens by the kernel of blocks and by that of
// rows.
struct RowAttentionTrial {
  bool alike = false;
  double blocks = 0, rows = 0;  // seconds
};
RowAttentionTrial try_row_attention(const std::shared_ptr<Driver>& driver, const Variants& variants,
                                    const HeadShape& heads = {32, 8, 128, 128});

}  // namespace hearth::vulkan
