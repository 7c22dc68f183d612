#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tensor/types.h"

// What will be allocated where, as arithmetic over numbers: no file, no device, no model is touched here. The
// loader allocates exactly the buffers that a plan lists.
namespace hearth {

// Types of cached keys and values, chosen independently.
enum class KvType : uint8_t { f32, f16, q8_0, q4_0 };
struct KvTypes {
  KvType k = KvType::f16, v = KvType::f16;
};

// "f16" …; find_kv_type throws Error(bad_request) listing the names.
std::string_view to_string(KvType type) noexcept;
KvType find_kv_type(std::string_view name);

// Bytes of `values` cached values (one head row).
uint64_t kv_row_bytes(KvType type, uint32_t values) noexcept;

// Tokens in a page of the cache, on every device.
inline constexpr uint32_t page_tokens = 32;

// Layers that share a page table.
struct CacheProfile {
  uint32_t layers = 0, kv_heads = 0, k_size = 0, v_size = 0;
};

// Bytes of one page of a group: all its layers, K and V, page_tokens tokens.
uint64_t page_bytes(const CacheProfile& cache, KvTypes types) noexcept;

// Compute memory for steps of up to `rows` rows, from a dry run of the model's program.
struct RowClass {
  uint32_t rows = 0;
  uint64_t arena = 0, workspace = 0;
};

// What a dry run says of a model.
struct MemoryProfile {
  std::string name;
  uint64_t weights = 0;     // bytes of all tensors as they lie in the file
  uint64_t resident = 0;    // what the device takes for its own copy of them; 0 = it uses the file's mapping
  uint32_t context = 0;     // the model's own limit, tokens
  uint64_t result_row = 0;  // bytes of one row of scores
  std::vector<CacheProfile> caches;
  std::vector<RowClass> steps;  // ascending rows, at least one
};

// What a device has to give.
struct DeviceBudget {
  std::string device;
  uint64_t usable = 0;       // bytes free for this model
  bool maps_weights = true;  // weights can stay in the file's mapping and cost no anonymous memory then
};

struct Wish {
  uint32_t context = 0;   // tokens per sequence; 0 = the largest sensible: the model's own, 8192 at most
  uint32_t parallel = 1;  // sequences of full context at once
  uint32_t rows = 512;    // rows per step at most
  KvTypes kv;
};

enum class BufferKind : uint8_t { weights, kv, arena, workspace, results };
std::string_view to_string(BufferKind kind) noexcept;

struct Buffer {
  BufferKind kind{};
  uint64_t bytes = 0;
  bool mapped = false;  // pages of the file, not anonymous memory
};

struct DeviceBuffers {
  std::string device;
  std::vector<Buffer> buffers;

  uint64_t of(BufferKind kind) const noexcept;
  uint64_t anonymous() const noexcept;  // what is really allocated
};

struct Plan {
  DeviceBuffers device;
  uint32_t context = 0, parallel = 0, rows = 0;
  uint32_t results = 0;         // rows of scores per step at most
  std::vector<uint32_t> pages;  // per cache group
  KvTypes kv;
  std::vector<std::string> notes;  // every departure from the wish, with its reason
};

// It does not fit: how much is missing, and which single changes would make it fit, smallest first.
struct Shortfall {
  uint64_t needed = 0, usable = 0;
  std::vector<std::string> would_fit;
};

// A context that was asked for is kept or refused; context 0 may shrink to fit, with a note.
std::variant<Plan, Shortfall> place(const MemoryProfile& model, const DeviceBudget& device, const Wish& wish);

}  // namespace hearth
