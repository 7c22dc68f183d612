#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plan/kv.h"

// What a model needs and what a device has to give, in numbers.
namespace hearth {

// What can be placed on a device of its own: the table of embeddings, each layer, the experts of a layer, and
// the head that scores.
enum class PartKind : uint8_t { embed, layer, experts, head };
std::string_view to_string(PartKind kind) noexcept;

struct PartProfile {
  PartKind kind = PartKind::layer;
  uint16_t layer = 0;    // of layers and experts
  uint64_t weights = 0;  // bytes as they lie in the file
  uint64_t values = 0;   // weights as a number
  std::vector<uint16_t> caches =
      {};                     // the cache group of each layer that this part keeps keys and values for
  uint64_t token_bytes = 0;   // bytes of weights that are read to compute one row
  uint64_t row_flops = 0;     // per row, without what depends on the context
  uint64_t attend_flops = 0;  // per row and cached token
};

// Compute memory for steps of up to `rows` rows, from a dry run of the model's program.
struct RowClass {
  uint32_t rows = 0;
  uint64_t arena = 0, workspace = 0;  // workspace: of the device that the dry run was for
};

// What a dry run says of a model.
struct MemoryProfile {
  std::string name;
  uint32_t context = 0;     // the model's own limit, tokens
  uint64_t result_row = 0;  // bytes of one row of scores
  uint32_t width = 0;       // floats of a row that goes from layer to layer
  bool tied = false;        // the head reads the table of embeddings: a device that has both holds it once
  std::vector<CacheProfile> caches;
  std::vector<RowClass> steps;     // ascending rows, at least one
  std::vector<PartProfile> parts;  // in the order in which they are computed

  uint64_t weights() const noexcept;  // bytes of all tensors as they lie in the file
};

// What the engine reaches on a device, in bytes and operations per second; 0 = nobody knows. `transfer`: to
// and from the host's memory.
struct Rates {
  double memory = 0, flops = 0, transfer = 0;
  bool measured = false;  // on this device, else from a table
};

// A buffer that may lie in several pieces: how large each may be, and how many there may be. 0 = no limit.
struct PieceLimit {
  uint64_t bytes = 0;
  uint32_t pieces = 0;
  friend bool operator==(const PieceLimit&, const PieceLimit&) = default;
};

struct DeviceBudget {
  std::string device;
  uint64_t usable = 0;       // bytes free for this model
  bool maps_weights = true;  // the host: weights can stay in the file's mapping and cost no anonymous memory
  uint64_t overhead = 0;     // of `usable`, to be left free
  // A limit that pages of the file count against too (a container's memory limit); 0 = none.
  uint64_t mapped_limit = 0;
  bool host_memory = false;  // an integrated GPU: what it takes is taken from the host's memory
  // What the driver gives in one piece; 0 = no limit. Weights are cut to it; other buffers are not.
  uint64_t largest_allocation = 0;
  Rates rates = {};
  std::vector<KvTypes> kv = {};  // types of the cache that it computes with; empty = all
  PieceLimit layer_cache = {};   // of the keys and values of one layer

  // What this model takes there, from the device itself; empty = as in the file, and as the dry run says.
  std::vector<uint64_t> resident = {};   // [part] its own copy of the weights; 0 for a part = used as mapped
  std::vector<uint64_t> workspace = {};  // [row class]
  std::vector<std::string> refusals = {};  // [part] why it cannot be computed there; "" = it can
};

}  // namespace hearth
