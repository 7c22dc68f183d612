// Which rows go to which expert, as lists that every thread reads.
#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "device/cpu/experts.h"
#include "device/cpu/packed.h"

namespace hearth::cpu {

uint64_t PairLists::bytes(uint32_t experts, uint32_t pairs) {
  return (2 + 2 * uint64_t{experts} + 2 * uint64_t{pairs}) * sizeof(uint32_t);
}

PairLists::PairLists(std::byte* memory, uint32_t experts, uint32_t pairs)
    : experts_(experts),
      active_count_(reinterpret_cast<uint32_t*>(memory)),
      active_(active_count_ + 1),
      first_(active_ + experts),
      row_(first_ + experts + 1),
      weight_(reinterpret_cast<float*>(row_ + pairs)) {}

// Counts, then places: two passes over the rows.
void PairLists::build(const float* route, uint32_t stride, uint32_t rows, uint32_t used) {
  std::fill_n(first_, experts_ + 1, 0U);
  const auto each = [&](auto&& f) {
    for (uint32_t r = 0; r < rows; ++r) {
      const float* chosen = route + uint64_t{r} * stride;
      for (uint32_t u = 0; u < used; ++u) {
        // Whoever chose: an expert has room for one pair of each row.
        const float e = chosen[u];
        const bool known = e >= 0 && e < static_cast<float>(experts_);
        if (!known || std::find(chosen, chosen + u, e) != chosen + u) continue;
        f(r, static_cast<uint32_t>(e), chosen[used + u]);
      }
    }
  };
  each([&](uint32_t, uint32_t expert, float) { ++first_[expert]; });
  *active_count_ = 0;
  uint32_t sum = 0;
  for (uint32_t e = 0; e <= experts_; ++e) {
    if (first_[e] > 0) active_[(*active_count_)++] = e;
    sum += std::exchange(first_[e], sum);
  }
  each([&](uint32_t row, uint32_t expert, float weight) {
    const uint32_t at = first_[expert]++;
    row_[at] = row;
    weight_[at] = weight;
  });
  // Each entry has moved on to where the next expert begins.
  std::copy_backward(first_, first_ + experts_, first_ + experts_ + 1);
  first_[0] = 0;
}

ExpertsSpace experts_space(uint32_t rows, const Experts& op, uint32_t experts) {
  constexpr uint64_t line = 64;
  const uint32_t pairs = rows * op.used, widest = std::max(op.in.cols, op.hidden);
  ExpertsSpace s;
  s.integers = align_up(uint64_t{pairs} * op.hidden * sizeof(float), line);
  s.lists = s.integers + uint64_t{pairs} * integer_row(widest).bytes;
  s.bytes = align_up(s.lists + PairLists::bytes(experts, pairs), line);
  return s;
}

}  // namespace hearth::cpu
