#include "formats/file_type.h"

#include <algorithm>
#include <array>

namespace hearth {
namespace {

// Numbers as the format's registry gives them; gaps were withdrawn.
constexpr std::array<std::pair<uint32_t, std::string_view>, 37> names{{
    {0, "F32"},     {1, "F16"},     {2, "Q4_0"},     {3, "Q4_1"},    {7, "Q8_0"},     {8, "Q5_0"},
    {9, "Q5_1"},    {10, "Q2_K"},   {11, "Q3_K_S"},  {12, "Q3_K_M"}, {13, "Q3_K_L"},  {14, "Q4_K_S"},
    {15, "Q4_K_M"}, {16, "Q5_K_S"}, {17, "Q5_K_M"},  {18, "Q6_K"},   {19, "IQ2_XXS"}, {20, "IQ2_XS"},
    {21, "Q2_K_S"}, {22, "IQ3_XS"}, {23, "IQ3_XXS"}, {24, "IQ1_S"},  {25, "IQ4_NL"},  {26, "IQ3_S"},
    {27, "IQ3_M"},  {28, "IQ2_S"},  {29, "IQ2_M"},   {30, "IQ4_XS"}, {31, "IQ1_M"},   {32, "BF16"},
    {36, "TQ1_0"},  {37, "TQ2_0"},  {38, "MXFP4"},   {39, "NVFP4"},  {40, "Q1_0"},    {41, "Q2_0"},
    {15, "Q4_K"},
}};

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

std::string_view file_type_name(uint64_t number) noexcept {
  const auto at = std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.first == number; });
  return at == names.end() ? "unknown" : at->second;
}

std::optional<uint32_t> find_file_type(std::string_view name) noexcept {
  for (const auto& [number, known] : names) {
    const bool same = std::equal(known.begin(), known.end(), name.begin(), name.end(),
                                 [](char a, char b) { return a == upper(b); });
    if (same) return number;
  }
  return std::nullopt;
}

}  // namespace hearth
