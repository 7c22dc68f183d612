#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device/ops.h"
#include "plan/kv.h"
#include "tensor/types.h"

namespace hearth {

// Rotary embedding, resolved: pair i of a head at position p is turned by the angle p · inv_freq[i] and
// scaled by `magnitude`. Linear, llama-3 and yarn scaling are all folded into inv_freq (they are linear in
// p).
struct RopeTable {
  std::vector<float> inv_freq;  // [dims / 2]; empty: no rotation
  float magnitude = 1;
  bool split = false;  // pairs (x[i], x[i + dims/2]) as in neox; else (x[2i], x[2i + 1])
  friend bool operator==(const RopeTable&, const RopeTable&) = default;
};

struct ActInfo {
  uint32_t cols = 0;
};

// What the program knows of a weight: enough for layout, cost and refusal, without its data.
struct WeightInfo {
  std::string name;
  DType type{};
  Shape shape;
};

// Layers of one kind of cache share a page table: a page holds `page_tokens` tokens of all layers of the
// group. v_size 0: nothing but keys is kept, in the type of keys, and values are their first values. In a
// group of states a sequence has a single page, which holds what all layers carry for it.
struct CacheGroup {
  uint32_t layers = 0, kv_heads = 0, k_size = 0, v_size = 0, window = 0;
  uint64_t state = 0;  // floats that a layer carries per sequence; 0: keys and values
};
// The same as the plan sees it.
CacheProfile profile_of(const CacheGroup& group) noexcept;

// A step as data: what a model appends and a device executes. Weight ids and act ids start at 1.
struct Program {
  std::vector<Op> ops;
  std::vector<uint16_t> layer_of;   // [ops] the model's layer, for traces; 0xffff outside layers
  std::vector<ActInfo> acts;        // [id − 1]
  std::vector<WeightInfo> weights;  // [id − 1]
  std::vector<RopeTable> ropes;
  std::vector<CacheGroup> caches;
  uint32_t outputs = 0;  // values per result row: vocabulary, or size of an embedding
  bool pooled = false;   // ends in Pool: one result row per sequence instead of one per wanted row
};

// Name of an operation's kind: "Qkv".
std::string_view kind_name(const Op& op) noexcept;

// Activations that an operation reads at most.
inline constexpr uint32_t most_inputs = 4;

// The activations an operation reads and the one it writes (id 0 = none).
struct Operands {
  Act in[most_inputs];
  Act out;
  Act in_place;  // an operand whose memory `out` may take when nobody needs it later
};
Operands operands(const Op& op) noexcept;

// How many of a step's rows the operations behind this one see, at most: Resample leaves fewer.
uint32_t rows_behind(const Op& op, uint32_t rows) noexcept;

// The weights that an operation reads.
std::vector<Weight> weights_of(const Op& op);

// Every Attend of the program in two passes.
void attend_in_two_passes(Program& program) noexcept;

}  // namespace hearth
