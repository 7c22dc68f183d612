#include "engine/batcher.h"

#include <algorithm>

namespace hearth {
namespace {

constexpr uint32_t block = 32;

// The end of the run of positions from `start` that belong to the same kernels: [start, end) of a prompt that
// ends at `prompt_end`. fast: whole blocks; otherwise the rest before or after them.
struct Run {
  uint32_t end = 0;
  bool fast = false;
};
Run run_from(uint32_t start, uint32_t prompt_end) {
  if (start % block != 0) return {std::min((start / block + 1) * block, prompt_end), false};
  const uint32_t whole = prompt_end / block * block;
  return start < whole ? Run{whole, true} : Run{prompt_end, false};
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

void Batcher::add_exact_prompt(Sequence& s, Batch& batch) const {
  const auto end = static_cast<uint32_t>(s.tokens.size());
  const Run run = run_from(s.computed, end);
  // A tail that follows fast blocks joins in a later step, when those are computed.
  if (run.fast) return;
  const uint32_t rows = run.end - s.computed;
  if (batch.rows + rows <= std::min(limits_.rows, limits_.exact)) push(s, s.computed, rows, batch);
}

void Batcher::add_fast_prompt(Sequence& s, Batch& batch) const {
  const auto end = static_cast<uint32_t>(s.tokens.size());
  const Run run = run_from(s.computed, end);
  if (!run.fast) return;
  uint32_t room = limits_.rows - batch.rows;
  if (s.task.scores && s.task.every_position) room = std::min(room, limits_.results - batch.results);
  const uint32_t rows = std::min(run.end - s.computed, room / block * block);
  if (rows > 0) push(s, s.computed, rows, batch);
}

void Batcher::next(std::span<const std::unique_ptr<Sequence>> sequences, Batch& batch) {
  batch.slices.clear();
  batch.rows = batch.exact_rows = batch.results = 0;
  const size_t n = sequences.size();
  const auto each = [&](auto&& wanted, auto&& add) {
    for (size_t i = 0; i < n; ++i) {
      Sequence& s = *sequences[(turn_ + i) % n];
      if (wanted(s)) add(s);
    }
  };
  each([](const Sequence& s) { return s.decoding(); }, [&](Sequence& s) { add_decoding(s, batch); });
  each([](const Sequence& s) { return s.waiting(); }, [&](Sequence& s) { add_exact_prompt(s, batch); });
  batch.exact_rows = batch.rows;
  each([](const Sequence& s) { return s.waiting(); }, [&](Sequence& s) { add_fast_prompt(s, batch); });
  if (n > 0) turn_ = (turn_ + 1) % n;
}

}  // namespace hearth
