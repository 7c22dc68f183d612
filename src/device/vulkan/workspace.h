#pragma once

#include "device/device.h"

namespace hearth::vulkan {

// Scratch memory of a step, bytes. The same function serves the plan and the execution.
struct Workspace {
  // Near the GPU:
  uint64_t keys = 0, values = 0;   // of Qkv, [rows × kv heads · size]
  uint64_t scores = 0;             // of Route, [rows × experts]
  uint64_t hidden = 0, mixed = 0;  // of Experts, [pairs × hidden], [pairs × width]
  uint64_t gathered = 0;           // rows whose results are wanted
  uint64_t parts = 0;              // chunks of attention of the exact rows
  uint64_t rounded = 0;            // activations as bytes or halves, of the operation under way
  uint64_t groups = 0;             // pairs of a row and an expert, put together by expert
  uint64_t steps = 0;              // the step's tables
  // Near the CPU:
  uint64_t embedded = 0;  // rows of the embedding table
  uint64_t crossing = 0;  // copies of activations that cross to or from other devices
  uint64_t upload = 0;    // weights on their way

  uint64_t device() const {
    return keys + values + scores + hidden + mixed + gathered + parts + rounded + groups + steps;
  }
  uint64_t host() const { return steps + embedded + crossing + upload; }
};
Workspace workspace_of(const Program& program, uint32_t rows);
// The most rows for which `bytes` of scratch memory are enough; 0 = none. A plan says bytes, not rows.
uint32_t rows_of(const Program& program, uint64_t bytes);

// Rows of an Experts operation that are computed together.
inline constexpr uint32_t expert_rows = 256;
// Words of a row of rounded activations (shaders/product.glsl).
uint32_t rounded_words(uint32_t cols);
// Of a row of halved ones, which is longer.
uint32_t halved_words(uint32_t cols);
// Tiles of `pairs` pairs that are put together by expert, at most (shaders/group.glsl).
uint32_t most_tiles(uint32_t pairs, uint32_t experts);

// Chunks of a row's pages at most (attend.glsl).
inline constexpr uint32_t most_chunks = 16;

// Where the step's tables begin, in words. Row table: position, first word of its page table, end of its
// sequence.
struct StepTables {
  uint32_t rows = 0, results = 0, slices = 0;
  std::vector<uint32_t> ropes;   // [rope table]
  std::vector<uint32_t> blocks;  // [distinct sizes of blocks of rows]: first row, rows
  uint32_t pages = 0;            // the page tables of all groups, to the end
  uint32_t words = 0;
};
StepTables step_tables(const Program& program, uint32_t rows);

// Query heads of a group that attend computes together, and rows of a block of prompt rows.
struct AttendShape {
  uint32_t queries = 16, heads = 1, rows = 1;
};
AttendShape attend_shape(const HeadShape& heads);
// Distinct AttendShape::rows of a program, ascending.
std::vector<uint32_t> block_sizes(const Program& program);

}  // namespace hearth::vulkan
