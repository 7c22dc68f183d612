#pragma once

#include "plan/plan.h"

// Models as numbers.
namespace hearth::test {

inline constexpr uint64_t mib = uint64_t{1} << 20, gib = uint64_t{1} << 30;

struct Numbers {
  uint32_t layers = 32;
  uint64_t layer_bytes = 140 * mib, head_bytes = 420 * mib, table_bytes = 0;  // 0: tied to the head
  uint64_t expert_bytes = 0;                                                  // per layer
  uint32_t kv_heads = 8, head_size = 128;
  uint32_t context = 131072;
};

// A decoder of these sizes, 4.8 bits per weight.
inline MemoryProfile numbers(const Numbers& n) {
  MemoryProfile p;
  p.name = "numbers";
  p.context = n.context;
  p.result_row = 128256 * 4;
  p.width = 4096;
  p.tied = n.table_bytes == 0;
  p.caches = {{n.layers, n.kv_heads, n.head_size, n.head_size}};
  p.steps = {{32, 10 * mib, 5 * mib}, {128, 30 * mib, 10 * mib}, {512, 100 * mib, 40 * mib}};
  const auto add = [&](PartKind kind, uint16_t layer, uint64_t bytes, bool cache, uint64_t read) {
    const uint64_t values = bytes * 10 / 6;
    p.parts.push_back({kind, layer, bytes, values, {}, read, 2 * values, 0});
    if (cache) p.parts.back().caches = {0};
  };
  add(PartKind::embed, 0, p.tied ? n.head_bytes : n.table_bytes, false, 2304);
  for (uint16_t l = 0; l < n.layers; ++l) {
    add(PartKind::layer, l, n.layer_bytes, true, n.layer_bytes);
    if (n.expert_bytes != 0) add(PartKind::experts, l, n.expert_bytes, false, n.expert_bytes / 16);
  }
  add(PartKind::head, 0, n.head_bytes, false, n.head_bytes);
  return p;
}

inline DeviceBudget host(uint64_t usable) {
  return {"cpu", usable, true, 0, 0, false, 0, {40e9, 5e11, 10e9, true}};
}
inline DeviceBudget card(const std::string& name, uint64_t usable, double memory = 800e9) {
  return {name, usable, false, 0, 0, false, 0, {memory, 30e12, 12e9, true}};
}

}  // namespace hearth::test
