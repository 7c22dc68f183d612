#pragma once

#include <cstdint>
#include <string_view>

// The cache of keys and values as arithmetic.
namespace hearth {

// Types of cached keys and values, chosen independently.
enum class KvType : uint8_t { f32, f16, q8_0, q4_0 };
struct KvTypes {
  KvType k = KvType::f16, v = KvType::f16;
  friend bool operator==(const KvTypes&, const KvTypes&) = default;
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
  // Bytes that a layer carries from token to token of a sequence, however long that is; a page is then the
  // state of one sequence. 0: keys and values.
  uint64_t state = 0;
};

// Pages that so many tokens of a sequence need.
constexpr uint32_t pages_of(uint64_t tokens) noexcept {
  return static_cast<uint32_t>((tokens + page_tokens - 1) / page_tokens);
}

// Bytes of one page of a group: all its layers, K and V, page_tokens tokens; or the state of a sequence.
uint64_t page_bytes(const CacheProfile& cache, KvTypes types) noexcept;

// Pages of a group for `parallel` sequences of `context` tokens. States: twice as many as sequences, so that
// those that rest between requests, or fork off, have one too.
uint64_t pages_for(const CacheProfile& cache, uint32_t context, uint32_t parallel) noexcept;

}  // namespace hearth
