#include "engine/batcher.h"

#include <algorithm>

#include "plan/kv.h"

namespace hearth {
namespace {

constexpr uint32_t block = page_tokens;  // what is taken over from another sequence ends at such a border too

// The positions from s.computed on that belong to the same kernels, up to `end`. fast: whole blocks of the
// prompt; otherwise what stands before or after them.
struct Run {
  uint32_t end = 0;
  bool fast = false;
  // Rows that can be computed now.
  uint32_t rows(const Sequence& s) const {
    const uint32_t here = std::min(end, s.present);
    return here - std::min(here, s.computed);
  }
};
Run next_run(const Sequence& s) {
  const uint32_t start = s.computed, whole = s.prompt_end() / block * block;
  if (start >= whole) return {static_cast<uint32_t>(s.tokens.size()), false};
  return start % block == 0 ? Run{whole, true} : Run{(start / block + 1) * block, false};
}

}  // namespace

bool Batcher::push(Sequence& s, uint32_t start, uint32_t rows, Batch& batch) const {
  const bool last = start + rows == s.tokens.size();
  const uint32_t wanted = s.task.scores && s.task.every_position ? rows : (last ? 1 : 0);
  if (batch.results + wanted > limits_.results) return false;
  batch.slices.push_back({&s, batch.rows, rows, start, wanted > 0});
  batch.rows += rows;
  batch.results += wanted;
  return true;
}

void Batcher::add_decoding(Sequence& s, Batch& batch) const {
  if (batch.rows < std::min(limits_.rows, limits_.exact)) push(s, s.computed, 1, batch);
}

// `most`: rows of the batch.
void Batcher::add_exact_prompt(Sequence& s, Batch& batch, uint32_t most) const {
  const Run run = next_run(s);
  // A tail that follows fast blocks joins in a later step, when those are computed.
  if (run.fast) return;
  most = std::min({most, limits_.rows, limits_.exact});
  const uint32_t rows = std::min(run.rows(s), most - std::min(most, batch.rows));
  if (rows > 0) push(s, s.computed, rows, batch);
}

void Batcher::add_fast_prompt(Sequence& s, Batch& batch, uint32_t most) const {
  const Run run = next_run(s);
  if (!run.fast) return;
  most = std::min(most, limits_.rows);
  uint32_t room = most - std::min(most, batch.rows);
  if (s.task.scores && s.task.every_position) room = std::min(room, limits_.results - batch.results);
  const uint32_t rows = std::min(run.rows(s), room / block * block);
  if (rows > 0) push(s, s.computed, rows, batch);
}

namespace {

// Rows that fit into the time, at least so many.
uint32_t fitting(double seconds, double row, uint32_t least) {
  constexpr double most = 1e6;
  return row <= 0 ? least : std::max(least, static_cast<uint32_t>(std::clamp(seconds / row, 0.0, most)));
}

}  // namespace

void Batcher::next(std::span<const std::unique_ptr<Sequence>> sequences, Batch& batch, const StepRoom& room) {
  batch.slices.clear();
  batch.rows = batch.exact_rows = batch.results = 0;
  const size_t n = sequences.size();
  const auto each = [&](auto&& wanted, auto&& add) {
    for (size_t i = 0; i < n; ++i) {
      Sequence& s = *sequences[(turn_ + i) % n];
      if (wanted(s)) add(s);
    }
  };
  const auto waits = [](const Sequence& s) { return s.waiting(); };
  each([](const Sequence& s) { return s.decoding(); }, [&](Sequence& s) { add_decoding(s, batch); });
  const uint32_t streams = batch.rows;
  const bool hurried = streams > 0 && room.seconds > 0;
  uint32_t exact = limits_.exact, fast = limits_.rows;
  // One row at least, so that every prompt gets on.
  if (hurried)
    exact = std::min(std::max(fitting(room.seconds, room.exact_row, 0), streams + 1),
                     std::max(room.most_exact, streams + 1));
  each(waits, [&](Sequence& s) { add_exact_prompt(s, batch, exact); });
  batch.exact_rows = batch.rows;
  if (hurried) fast = batch.rows + fitting(room.seconds - batch.rows * room.exact_row, room.fast_row, block);
  each(waits, [&](Sequence& s) { add_fast_prompt(s, batch, fast); });
  if (n > 0) turn_ = (turn_ + 1) % n;
}

}  // namespace hearth
