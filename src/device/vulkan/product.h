#pragma once

#include "device/vulkan/executor.h"

namespace hearth::vulkan {

// The parameters of gemv.glsl and tile.glsl, in their order.
struct ProductPush {
  uint32_t cols = 0, count = 0, first = 0, row_bytes = 0;
  uint32_t first_row = 0, rows = 0;
  uint32_t x_at = 0, y_at = 0, bias_at = 0, other_at = 0;
  uint32_t y_cols = 0;
  float scale = 1, soft_cap = 0;
  uint32_t flags = 0, act = 0;
  uint32_t route_at = 0, used = 1, first_expert = 0, experts = 0, row_base = 0;
  uint32_t second = 0;
  float gate_scale = 1;
};
enum ProductFlag : uint32_t { with_bias = 1, add_second = 2, gate_second = 4, rows_are_pairs = 8 };

// What a rounding or a product computes with: rows that continue sequences, or rows of prompts.
enum class RowKind : uint8_t { exact, prompt };

// Rows that fill the aim of a submission, in multiples of `unit`.
uint32_t rows_of_aim(StepState& step, Pace pace, double units_per_row, uint32_t unit);

struct CommandMaker::Rounding {
  struct Push {
    uint32_t cols = 0, x_at = 0, y_at = 0, first_row = 0, rows = 0;
  };
  VkDescriptorSet set = nullptr;
  VkPipeline bytes = nullptr, halves = nullptr;
  Push push;
  Narrow exact = Narrow::none, prompt = Narrow::none;  // what each kind of rows needs
  bool by_norm = false;                                // the norm before it has made that of the exact rows

  // Rows of the step.
  void record(StepState& step) const;
  // Rows [first, first + rows) of the input, of one kind.
  void record(StepState& step, uint32_t first, uint32_t rows, RowKind kind) const;

 private:
  void round(StepState& step, uint32_t first, uint32_t rows, Narrow form) const;
};

struct CommandMaker::ProductOptions {
  uint32_t y_cols = 0;
  float scale = 1, soft_cap = 0;
  Act1 act = Act1::none;
  uint32_t flags = 0;
  uint32_t used = 0;   // experts per row; 0: one matrix
  Bound groups;        // with experts: the pairs of prompts by expert
  bool halves = true;  // in half precision where prompts are: not what chooses experts or has no prompt rows
};

// x·Wᵀ prepared: descriptor sets per part of the matrix, for each kind of rows.
struct CommandMaker::Product {
  struct Piece {
    VkDescriptorSet exact = nullptr, prompt = nullptr;
    WeightPart part;
  };
  std::vector<Piece> pieces;
  ProductPush exact_push, prompt_push;
  VkPipeline one = nullptr, four = nullptr, tile = nullptr;

  // Rows of the step, each with the kernels of its kind.
  void record(StepState& step) const;
  // Rows [first, first + rows) with the kernels of generation.
  void exact(StepState& step, uint32_t first, uint32_t rows) const;
  void prompt(StepState& step, uint32_t first, uint32_t rows) const;
  // Pairs of rows [first, first + rows) and their experts; pair 0 is that of the first row. Pairs of prompts
  // must have been put together by expert before.
  void pairs(StepState& step, uint32_t first, uint32_t rows, RowKind kind) const;
};

// Both products of a Gated with a single row.
struct CommandMaker::GatedPair {
  VkDescriptorSet set = nullptr;
  VkPipeline pipeline = nullptr;
  ProductPush push;

  void record(StepState& step) const;
};

// y and z of a dispatch over `groups` work groups, more of which may be needed than one dimension takes.
struct Groups {
  explicit Groups(uint32_t groups) : y(std::min(groups, 32768U)), z(y == 0 ? 0 : (groups + y - 1) / y) {}
  uint32_t y, z;
};

}  // namespace hearth::vulkan
