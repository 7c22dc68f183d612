#include "device/vulkan/product.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"

namespace hearth::vulkan {
namespace {

constexpr uint32_t gemv_rows = 2, gemv_cols = 4, tile_rows = 64, threads = 64;

}  // namespace

uint32_t rows_of_aim(StepState& step, Pace pace, double units_per_row, uint32_t unit) {
  const double rows = step.recorder.clock().units_of_aim(pace) / std::max(1.0, units_per_row);
  return std::max(1U, static_cast<uint32_t>(std::min(rows / unit, 1e6))) * unit;
}

void CommandMaker::Rounding::record(StepState& step) const {
  const uint32_t done = by_norm ? step.exact : 0;
  if (exact == prompt) return round(step, done, step.rows - done, exact);
  // Bytes of the first rows end before halves of the others begin: a row of halves is the longer one.
  round(step, done, step.exact - done, exact);
  round(step, step.exact, step.rows - step.exact, prompt);
}

void CommandMaker::Rounding::record(StepState& step, uint32_t first, uint32_t rows, RowKind kind) const {
  round(step, first, rows, kind == RowKind::exact ? exact : prompt);
}

void CommandMaker::Rounding::round(StepState& step, uint32_t first, uint32_t rows, Narrow form) const {
  if (form == Narrow::none || rows == 0) return;
  Push p = push;
  p.first_row = first;
  p.rows = rows;
  const bool whole_rows = form == Narrow::halves;
  const uint32_t groups = whole_rows ? rows : (rows * (p.cols / 32) + 63) / 64, x = std::min(groups, 32768U);
  step.recorder.dispatch(whole_rows ? halves : bytes, set, &p, sizeof p, x, (groups + x - 1) / x, 1,
                         {Pace::other, 4.0 * rows * p.cols});
  step.recorder.barrier();
}

void CommandMaker::Product::record(StepState& step) const {
  if (step.exact > 0) exact(step, 0, step.exact);
  if (step.rows > step.exact) prompt(step, step.exact, step.rows - step.exact);
}

void CommandMaker::Product::exact(StepState& step, uint32_t first, uint32_t rows) const {
  for (const Piece& piece : pieces) {
    ProductPush p = exact_push;
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
      step.recorder.dispatch(single ? one : four, piece.exact, &p, sizeof p,
                             single ? 1 : (p.rows + gemv_cols - 1) / gemv_cols, groups.y, groups.z,
                             {Pace::product, per_row * p.rows});
    }
  }
}

void CommandMaker::Product::prompt(StepState& step, uint32_t first, uint32_t rows) const {
  for (const Piece& piece : pieces) {
    ProductPush p = prompt_push;
    p.count = piece.part.rows;
    p.first = piece.part.first_row;
    const double per_row = 2.0 * p.count * p.cols;
    const uint32_t most = rows_of_aim(step, Pace::prompt, per_row, tile_rows);
    const Groups groups((p.count + tile_rows - 1) / tile_rows);
    for (uint32_t r = 0; r < rows; r += most) {
      if (r > 0) step.recorder.barrier();
      p.first_row = first + r;
      p.rows = std::min(most, rows - r);
      step.recorder.dispatch(tile, piece.prompt, &p, sizeof p, (p.rows + tile_rows - 1) / tile_rows, groups.y,
                             groups.z, {Pace::prompt, per_row * p.rows});
    }
  }
}

void CommandMaker::Product::pairs(StepState& step, uint32_t first, uint32_t rows, RowKind kind) const {
  const bool exact = kind == RowKind::exact;
  uint32_t stack = 0;
  for (const Piece& piece : pieces) stack += piece.part.experts;
  for (const Piece& piece : pieces) {
    ProductPush p = exact ? exact_push : prompt_push;
    p.count = piece.part.rows;
    p.first_expert = piece.part.first_expert;
    p.experts = piece.part.experts;
    p.row_base = first;
    p.rows = rows * p.used;
    const uint32_t each = exact ? gemv_rows : tile_rows;
    const Groups groups((p.count + each - 1) / each);
    step.recorder.dispatch(
        exact ? one : tile, exact ? piece.exact : piece.prompt, &p, sizeof p,
        exact ? p.rows : most_tiles(p.rows, stack), groups.y, groups.z,
        {exact ? Pace::product : Pace::prompt, 2.0 * p.rows * p.count * p.cols * p.experts / stack});
  }
}

bool CommandMaker::integers_for(Weight w) const {
  return w && multiplies_integers(device_.residence().weights[w.id - 1].type);
}

CommandMaker::Narrow CommandMaker::narrow_rows(Weight w) const {
  return device_.variants().integer_rows && integers_for(w) ? Narrow::bytes : Narrow::none;
}

CommandMaker::Narrow CommandMaker::narrow_prompts(Weight w, bool halves) const {
  const Variants& v = device_.variants();
  if (v.matrix_prompts && halves && w && layout_.rows > 1) return Narrow::halves;
  return v.integer_prompts && integers_for(w) ? Narrow::bytes : Narrow::none;
}

std::shared_ptr<CommandMaker::Rounding> CommandMaker::rounding(const Bound& input, uint32_t cols,
                                                               std::initializer_list<Weight> weights,
                                                               bool halves) {
  auto made = std::make_shared<Rounding>();
  for (const Weight w : weights) {
    made->exact = std::max(made->exact, narrow_rows(w));
    made->prompt = std::max(made->prompt, narrow_prompts(w, halves));
  }
  made->by_norm = takes_bytes_of_norm(made_);
  const auto needs = [&](Narrow form) { return made->exact == form || made->prompt == form; };
  if (!needs(Narrow::bytes) && !needs(Narrow::halves)) return made;
  const Bound out = rounded();
  made->push = {cols, input.at, out.at, 0, 0};
  made->set = set({{input_at, input.range}, {output_at, out.range}});
  if (needs(Narrow::bytes)) made->bytes = pipeline("round", {});
  if (needs(Narrow::halves)) made->halves = pipeline("halve", {});
  return made;
}

VkPipeline CommandMaker::tile(Narrow form, const std::string& type, uint32_t experts) {
  if (form != Narrow::halves) {
    return pipeline((form == Narrow::bytes ? "tile_integer" : "tile") + type, {experts});
  }
  const auto& m = device_.driver().gpu.capabilities().matrices;
  if (!m) throw Error(Code::bug, "the driver has no cooperative matrices", "report this");
  return pipeline("tile_matrix" + type, {experts, m->m, m->n, m->k, m->grid_m, m->grid_n});
}

std::shared_ptr<CommandMaker::Product> CommandMaker::product(Weight w, const Sources& s,
                                                             const ProductOptions& o) {
  const WeightHome& home = device_.residence().weights[w.id - 1];
  const Variants& v = device_.variants();
  const Narrow rows = narrow_rows(w), prompts = narrow_prompts(w, o.halves);
  const bool few = rows != Narrow::none, many = prompts != Narrow::none;
  const Bound narrow = few || many ? rounded() : Bound{};
  auto made = std::make_shared<Product>();
  const auto bindings_of = [&](const WeightPart& p, const Bound& input, const Bound& second) {
    std::vector<std::pair<uint32_t, Range>> list{
        {weights_at, part(p)}, {input_at, input.range}, {output_at, s.output.range}};
    if (s.vector.range.buffer != nullptr) list.emplace_back(vector_at, s.vector.range);
    if (second.range.buffer != nullptr) list.emplace_back(second_at, second.range);
    return set(list);
  };
  const Bound &row_input = few ? narrow : s.input, &prompt_input = many ? narrow : s.input;
  const Bound& prompt_second = o.used > 0 ? o.groups : s.second;
  const bool alike = few == many && o.used == 0;
  for (const WeightPart& p : home.parts) {
    const VkDescriptorSet exact = bindings_of(p, row_input, s.second);
    made->pieces.push_back({exact, alike ? exact : bindings_of(p, prompt_input, prompt_second), p});
  }
  ProductPush& push = made->exact_push;
  push.cols = home.cols;
  push.row_bytes = static_cast<uint32_t>(home.row_bytes);
  push.x_at = row_input.at;
  push.y_at = s.output.at;
  push.bias_at = s.vector.at;
  push.other_at = push.route_at = s.second.at;
  push.y_cols = o.y_cols;
  push.scale = o.scale;
  push.soft_cap = o.soft_cap;
  push.flags = o.flags;
  push.act = static_cast<uint32_t>(o.act);
  push.used = std::max(1U, o.used);
  made->prompt_push = push;
  made->prompt_push.x_at = prompt_input.at;
  made->prompt_push.other_at = made->prompt_push.route_at = prompt_second.at;
  const std::string type = "." + shader_type(home.type, home.packed);
  const std::string gemv =
      std::string(few ? "gemv_integer" : "gemv") + (v.subgroups ? "_subgroup" : "") + type;
  const uint32_t experts = o.used > 0 ? 1 : 0;
  made->one = pipeline(gemv, {threads, 1, experts});
  if (layout_.rows == 1) return made;  // the kernels for several rows are of no use
  if (o.used == 0) made->four = pipeline(gemv, {threads, gemv_cols, 0});
  made->tile = tile(prompts, type, experts);
  return made;
}

std::shared_ptr<CommandMaker::GatedPair> CommandMaker::gated_pair(const Gated& o) {
  const WeightHome &gate = device_.residence().weights[o.gate.id - 1],
                   &up = device_.residence().weights[o.up.id - 1];
  if (o.gate_bias || o.up_bias || narrow_rows(o.gate) != Narrow::bytes || gate.type != up.type ||
      gate.parts.size() != 1 || up.parts.size() != 1) {
    return nullptr;
  }
  const WeightPart &first = gate.parts.front(), &second = up.parts.front();
  const uint64_t bytes = second.at + second.bytes - first.at;
  if (second.at < first.at || part(first).buffer != part(second).buffer ||
      bytes > device_.driver().gpu.capabilities().largest_binding) {
    return nullptr;
  }
  auto made = std::make_shared<GatedPair>();
  const Bound in = rounded(), out = act(o.out);
  const Range weights = device_.weights().range(first.at, align_up(bytes, 4));
  made->set = set({{weights_at, weights}, {input_at, in.range}, {output_at, out.range}});
  ProductPush& push = made->push;
  push.cols = gate.cols;
  push.count = gate.rows;
  push.row_bytes = static_cast<uint32_t>(gate.row_bytes);
  push.rows = 1;
  push.x_at = in.at;
  push.y_at = out.at;
  push.y_cols = o.out.cols;
  push.scale = o.scale_up;
  push.act = static_cast<uint32_t>(o.act);
  push.second = static_cast<uint32_t>(second.at - first.at);
  push.gate_scale = o.scale_gate;
  const std::string name = std::string("gemv_integer") + (device_.variants().subgroups ? "_subgroup" : "") +
                           "_gated." + shader_type(gate.type, gate.packed);
  made->pipeline = pipeline(name, {threads, 1, 0});
  return made;
}

void CommandMaker::GatedPair::record(StepState& step) const {
  const Groups groups((push.count + gemv_rows - 1) / gemv_rows);
  step.recorder.dispatch(pipeline, set, &push, sizeof push, 1, groups.y, groups.z,
                         {Pace::product, 4.0 * push.count * push.cols});
}

}  // namespace hearth::vulkan
