#include "engine/pace.h"

#include <algorithm>

namespace hearth {
namespace {

// A stream's token may be this late for the sake of others' prompts; the aim is 250 ms, estimates err.
constexpr double patience = 0.13;
constexpr uint32_t first_exact = 4;  // while nothing is known

// Follows what got slower at once, and what got faster by halves.
void follow(double& estimate, double measured) { estimate = std::max(measured, (estimate + measured) / 2); }

}  // namespace

StepRoom Pace::room() const noexcept {
  StepRoom room;
  room.exact_row = exact_row_;
  room.fast_row = fast_row_;
  room.seconds = patience;
  if (exact_row_ <= 0) room.most_exact = first_exact;
  return room;
}

void Pace::note(const Batch& batch, double seconds) noexcept {
  const uint32_t fast = batch.rows - batch.exact_rows;
  if (fast == 0) {
    if (batch.exact_rows > 0) follow(exact_row_, seconds / batch.exact_rows);
    return;
  }
  // What is left when the other rows have had their time; at least half, as they share the weights' reading.
  const double rest = std::max(seconds - batch.exact_rows * exact_row_, seconds / 2);
  follow(fast_row_, rest / fast);
}

}  // namespace hearth
