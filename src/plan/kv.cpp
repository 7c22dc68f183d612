#include "plan/kv.h"

#include <fmt/format.h>

#include <array>

#include "base/checked.h"
#include "base/error.h"

namespace hearth {
namespace {

constexpr std::array<std::string_view, 4> kv_names{"f32", "f16", "q8_0", "q4_0"};

}  // namespace

std::string_view to_string(KvType type) noexcept { return kv_names[static_cast<size_t>(type)]; }

KvType find_kv_type(std::string_view name) {
  for (size_t i = 0; i < kv_names.size(); ++i) {
    if (kv_names[i] == name) return static_cast<KvType>(i);
  }
  throw Error(Code::bad_request, fmt::format("unknown cache type '{}'", name), "use f32, f16, q8_0 or q4_0");
}

uint64_t kv_row_bytes(KvType type, uint32_t values) noexcept {
  switch (type) {
    case KvType::f32: return uint64_t{4} * values;
    case KvType::f16: return uint64_t{2} * values;
    case KvType::q8_0: return uint64_t{34} * ((values + 31) / 32);
    case KvType::q4_0: return uint64_t{18} * ((values + 31) / 32);
  }
  return 0;
}

uint64_t page_bytes(const CacheProfile& cache, KvTypes types) noexcept {
  if (cache.state != 0) return align_up(cache.state, 64) * cache.layers;
  const uint64_t token = kv_row_bytes(types.k, cache.k_size) + kv_row_bytes(types.v, cache.v_size);
  return align_up(token * cache.kv_heads * page_tokens, 64) * cache.layers;
}

uint64_t pages_for(const CacheProfile& cache, uint32_t context, uint32_t parallel) noexcept {
  if (cache.state != 0) return uint64_t{2} * parallel;
  return uint64_t{pages_of(context)} * parallel;
}

}  // namespace hearth
