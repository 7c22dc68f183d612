// How the rows of prompts are rationed while streams run.
#include "engine/pace.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace hearth {
namespace {

std::unique_ptr<Sequence> sequence(uint32_t tokens, uint32_t computed, uint32_t generated) {
  auto s = std::make_unique<Sequence>();
  s->tokens.resize(tokens);
  s->computed = computed;
  s->generated = generated;
  return s;
}

// A machine on which rows take this long.
struct Machine {
  double exact_row, fast_row;
  double time_of(const Batch& b) const {
    return b.exact_rows * exact_row + (b.rows - b.exact_rows) * fast_row;
  }
};

void compute(const Batch& batch) {
  for (const BatchSlice& s : batch.slices) s.sequence->computed = s.start + s.rows;
}

TEST(Pace, AStreamWaitsNoLongerThanItsPatience) {
  constexpr double most = 0.25;
  for (const Machine machine : {Machine{0.03, 0.006}, Machine{0.002, 0.0004}, Machine{0.06, 0.004}}) {
    Batcher batcher({512, 32, most_exact_rows});
    Pace pace;
    Batch batch;
    std::vector<std::unique_ptr<Sequence>> all;
    all.push_back(sequence(10, 9, 1));
    all.push_back(sequence(1500, 0, 0));
    uint32_t steps = 0;
    for (; all[1]->computed < 1500; ++steps) {
      ASSERT_LT(steps, 2000U);
      const uint32_t before = all[1]->computed;
      batcher.next(all, batch, pace.room());
      const double seconds = machine.time_of(batch);
      EXPECT_LE(seconds, most) << "step " << steps << ": " << batch.rows << " rows";
      pace.note(batch, seconds);
      compute(batch);
      EXPECT_GT(all[1]->computed, before);
      all[0]->tokens.push_back({});
      ++all[0]->generated;
    }
    // It is not slower than it must be: a step takes a good part of the time that it may.
    const double needed = 1488 * machine.fast_row + 12 * machine.exact_row;
    EXPECT_LT(steps, 20 + needed / 0.05);
  }
}

TEST(Pace, WithoutStreamsAPromptHasTheWholeStep) {
  Batcher batcher({512, 32, most_exact_rows});
  Pace pace;
  Batch batch;
  std::vector<std::unique_ptr<Sequence>> all;
  all.push_back(sequence(1500, 0, 0));
  batcher.next(all, batch, pace.room());
  EXPECT_EQ(batch.rows, 512U);
  pace.note(batch, 10);
  compute(batch);
  batcher.next(all, batch, pace.room());
  EXPECT_EQ(batch.rows, 512U);
}

// However slow the machine: a block of a prompt, or a row of its rest, goes with every step.
TEST(Pace, EveryPromptGetsOn) {
  Batcher batcher({512, 32, most_exact_rows});
  Pace pace;
  Batch batch;
  std::vector<std::unique_ptr<Sequence>> all;
  all.push_back(sequence(10, 9, 1));
  all.push_back(sequence(70, 0, 0));
  for (int step = 0; step < 10 && all[1]->computed < 70; ++step) {
    batcher.next(all, batch, pace.room());
    pace.note(batch, 100);
    compute(batch);
    all[0]->tokens.push_back({});
  }
  EXPECT_EQ(all[1]->computed, 70U);
}

// Rows whose memory is not there yet wait, and nothing else does.
TEST(Pace, APromptGoesAsFarAsItsMemoryIsThere) {
  Batcher batcher({512, 32, most_exact_rows});
  Batch batch;
  std::vector<std::unique_ptr<Sequence>> all;
  all.push_back(sequence(10, 9, 1));
  all.push_back(sequence(300, 0, 0));
  all.push_back(sequence(20, 0, 0));
  all[1]->present = all[2]->present = 0;
  batcher.next(all, batch);
  EXPECT_EQ(batch.rows, 1U);
  all[1]->present = 64;
  all[2]->present = 20;
  batcher.next(all, batch);
  EXPECT_EQ(batch.rows, 1U + 20U + 64U);
  compute(batch);
  all[0]->tokens.push_back({});
  batcher.next(all, batch);
  EXPECT_EQ(batch.rows, 1U);
  all[1]->present = 300;
  batcher.next(all, batch);
  EXPECT_EQ(all[1]->computed + batch.rows - 1, 288U);  // whole blocks; the rest follows them
}

}  // namespace
}  // namespace hearth
