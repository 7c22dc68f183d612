#pragma once

#include <string>
#include <vector>

#include "worker/probe/trial.h"

// Programs whose results are known, computed on a device and compared with plain arithmetic in doubles.
// An empty answer means right; else in one line what was wrong. What the device itself reports is thrown.
namespace hearth::probe {

// Types of weights whose product is checked, in the order of the checks; the first is the one that every
// device must have.
std::vector<DType> product_types();
std::string check_product(const OpenDevice& open, DType type);

struct AttentionVariant {
  uint32_t head_size = 0;
  KvType kv = KvType::f16;
  bool two_pass = false;  // Attend::two_pass
};
// Head sizes that models have, with each type of cache that divides them.
std::vector<AttentionVariant> attention_variants();
// A prompt of two pages, then one generated row behind it; two query heads share a head of the cache.
std::string check_attention(const OpenDevice& open, AttentionVariant variant);

}  // namespace hearth::probe
