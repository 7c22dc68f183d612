#include "device/vulkan/product.h"

#include <algorithm>

namespace hearth::vulkan {
namespace {

constexpr uint32_t gemv_rows = 2, gemv_cols = 4, tile_rows = 64, threads = 64;

// Rows that fill the aim of a submission, in multiples of `unit`.
uint32_t rows_of_aim(StepState& step, Pace pace, double units_per_row, uint32_t unit) {
  const double rows = step.recorder.clock().units_of_aim(pace) / std::max(1.0, units_per_row);
  return std::max(1U, static_cast<uint32_t>(std::min(rows / unit, 1e6))) * unit;
}

}  // namespace

void CommandMaker::Product::record(StepState& step) const {
  if (step.exact > 0) exact(step, 0, step.exact);
  if (step.rows > step.exact) prompt(step, step.exact, step.rows - step.exact);
}

void CommandMaker::Product::exact(StepState& step, uint32_t first, uint32_t rows) const {
  for (const Piece& piece : pieces) {
    ProductPush p = push;
    p.count = piece.part.rows;
    p.first = piece.part.first_row;
    const double per_row = 2.0 * p.count * p.cols;
    const uint32_t most = rows_of_aim(step, Pace::product, per_row, gemv_cols);
    const Groups groups((p.count + gemv_rows - 1) / gemv_rows);
    for (uint32_t r = 0; r < rows; r += most) {
      if (r > 0) step.recorder.barrier();
      p.first_row = first + r;
      p.rows = std::min(most, rows - r);
      const bool single = p.rows == 1;
      step.recorder.dispatch(single ? one : four, piece.set, &p, sizeof p,
                             single ? 1 : (p.rows + gemv_cols - 1) / gemv_cols, groups.y, groups.z,
                             {Pace::product, per_row * p.rows});
    }
  }
}

void CommandMaker::Product::prompt(StepState& step, uint32_t first, uint32_t rows) const {
  for (const Piece& piece : pieces) {
    ProductPush p = push;
    p.count = piece.part.rows;
    p.first = piece.part.first_row;
    const double per_row = 2.0 * p.count * p.cols;
    const uint32_t most = rows_of_aim(step, Pace::prompt, per_row, tile_rows);
    const Groups groups((p.count + tile_rows - 1) / tile_rows);
    for (uint32_t r = 0; r < rows; r += most) {
      if (r > 0) step.recorder.barrier();
      p.first_row = first + r;
      p.rows = std::min(most, rows - r);
      step.recorder.dispatch(tile, piece.set, &p, sizeof p, (p.rows + tile_rows - 1) / tile_rows, groups.y,
                             groups.z, {Pace::prompt, per_row * p.rows});
    }
  }
}

void CommandMaker::Product::pairs(StepState& step, uint32_t first, uint32_t rows) const {
  for (const Piece& piece : pieces) {
    ProductPush p = push;
    p.count = piece.part.rows;
    p.first_expert = piece.part.first_expert;
    p.experts = piece.part.experts;
    p.row_base = first;
    p.rows = rows * p.used;
    const Groups groups((p.count + gemv_rows - 1) / gemv_rows);
    step.recorder.dispatch(one, piece.set, &p, sizeof p, p.rows, groups.y, groups.z,
                           {Pace::product, 2.0 * p.rows * p.count * p.cols});
  }
}

std::shared_ptr<CommandMaker::Product> CommandMaker::product(Weight w, const Sources& s,
                                                             const ProductOptions& o) {
  const WeightHome& home = device_.residence().weights[w.id - 1];
  auto made = std::make_shared<Product>();
  for (const WeightPart& p : home.parts) {
    std::vector<std::pair<uint32_t, Range>> list{
        {weights_at, part(p)}, {input_at, s.input.range}, {output_at, s.output.range}};
    if (s.vector.range.buffer != nullptr) list.emplace_back(vector_at, s.vector.range);
    if (s.second.range.buffer != nullptr) list.emplace_back(second_at, s.second.range);
    made->pieces.push_back({set(list), p});
  }
  ProductPush& push = made->push;
  push.cols = home.cols;
  push.row_bytes = static_cast<uint32_t>(home.row_bytes);
  push.x_at = s.input.at;
  push.y_at = s.output.at;
  push.bias_at = s.vector.at;
  push.other_at = push.route_at = s.second.at;
  push.y_cols = o.y_cols;
  push.scale = o.scale;
  push.soft_cap = o.soft_cap;
  push.flags = o.flags;
  push.act = static_cast<uint32_t>(o.act);
  push.used = std::max(1U, o.used);
  const std::string type = shader_type(home.type);
  const std::string gemv = (device_.driver().subgroups ? "gemv_subgroup." : "gemv.") + type;
  made->one = pipeline(gemv, {threads, 1, o.used > 0 ? 1U : 0U});
  if (o.used > 0) return made;
  made->four = pipeline(gemv, {threads, gemv_cols, 0});
  made->tile = pipeline("tile." + type, {});
  return made;
}

}  // namespace hearth::vulkan
