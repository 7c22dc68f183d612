#include "tensor/types/list.h"

#include <array>
#include <cctype>

#include "base/checked.h"

namespace hearth {
namespace {

constexpr std::array all{
    &f32_type,     &f16_type,    &q4_0_type,    &q4_1_type,  &q5_0_type,   &q5_1_type,  &q8_0_type,
    &q8_1_type,    &q2_k_type,   &q3_k_type,    &q4_k_type,  &q5_k_type,   &q6_k_type,  &q8_k_type,
    &iq2_xxs_type, &iq2_xs_type, &iq3_xxs_type, &iq1_s_type, &iq4_nl_type, &iq3_s_type, &iq2_s_type,
    &iq4_xs_type,  &i8_type,     &i16_type,     &i32_type,   &i64_type,    &f64_type,   &iq1_m_type,
    &bf16_type,    &tq1_0_type,  &tq2_0_type,   &mxfp4_type, &nvfp4_type,  &q1_0_type,  &q2_0_type,
};

bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(a[i])) != std::tolower(static_cast<unsigned char>(b[i])))
      return false;
  }
  return true;
}

}  // namespace

std::span<const TypeInfo* const> all_types() { return all; }

const TypeInfo* find_type(uint32_t id) noexcept {
  for (const TypeInfo* type : all) {
    if (static_cast<uint32_t>(type->type) == id) return type;
  }
  return nullptr;
}

const TypeInfo* find_type(std::string_view name) noexcept {
  for (const TypeInfo* type : all) {
    if (same_word(type->name, name)) return type;
  }
  return nullptr;
}

const TypeInfo& type_info(DType type) noexcept { return *find_type(static_cast<uint32_t>(type)); }

std::optional<uint64_t> row_bytes(DType type, uint64_t cols) noexcept {
  const TypeInfo& info = type_info(type);
  if (cols % info.block_values != 0) return std::nullopt;
  return checked_mul(cols / info.block_values, info.block_bytes);
}

}  // namespace hearth
