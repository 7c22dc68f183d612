// Route and Experts: mixtures of experts.
#include <algorithm>

#include "device/vulkan/product.h"

namespace hearth::vulkan {
namespace {

struct RoutePush {
  uint32_t experts = 0, used = 0, x_at = 0, y_at = 0, first_row = 0, flags = 0;
  float scale = 1;
};
struct GroupPush {
  uint32_t experts = 0, used = 0, route_at = 0, groups_at = 0, row_base = 0, pairs = 0;
};
struct MixPush {
  uint32_t cols = 0, x_at = 0, y_at = 0, residual_at = 0, route_at = 0, used = 0, first_row = 0,
           has_residual = 0;
  float scale = 1;
};

}  // namespace

Command CommandMaker::make_op(const Route& o) {
  const Bound scores = scratch(scratch_scores(), uint64_t{layout_.rows} * o.experts * sizeof(float));
  const Bound in = act(o.in), out = act(o.out);
  // The scores stay in floats: which experts are chosen hangs on small differences.
  ProductOptions options{o.experts, 1, 0, Act1::none, 0, 0, {}, false};
  const RoutePush push{o.experts, o.used,
                       scores.at, out.at,
                       0,         (o.scores == RouteScores::softmax ? 1U : 0U) | (o.renormalise ? 2U : 0U),
                       o.scale};
  const VkDescriptorSet s = set({{input_at, scores.range}, {output_at, out.range}});
  return [push, s, r = rounding(in, o.in.cols, {o.router}, false),
          router = product(o.router, {in, scores, {}, {}}, options),
          p = pipeline("route", {})](StepState& step) {
    r->record(step);
    router->record(step);
    step.recorder.barrier();
    step.recorder.dispatch(p, s, &push, sizeof push, step.rows, 1, 1,
                           {Pace::other, 8.0 * step.rows * push.experts * push.used});
  };
}

// Some rows of one kind through their experts. Rows that continue sequences go pair by pair, so that a row
// does not depend on its neighbours; pairs of prompts are put together by expert, which changes no result
// either.
struct CommandMaker::ExpertSteps {
  std::shared_ptr<Rounding> in, inner;
  std::shared_ptr<Product> gate, up, down;
  GroupPush group_push;
  MixPush mix_push;
  VkDescriptorSet group_set = nullptr, mix_set = nullptr;
  VkPipeline group = nullptr, mix = nullptr;
  double per_row = 0;  // operations of the largest product

  void record(StepState& step, uint32_t first, uint32_t end, RowKind kind) const {
    const uint32_t most = std::min(
        expert_rows, rows_of_aim(step, kind == RowKind::exact ? Pace::product : Pace::prompt, per_row, 8));
    for (uint32_t r = first; r < end; r += most) {
      if (r > 0) step.recorder.barrier();
      record_some(step, r, std::min(most, end - r), kind);
    }
  }

 private:
  void record_some(StepState& step, uint32_t first, uint32_t rows, RowKind kind) const {
    const uint32_t pairs = rows * mix_push.used;
    if (kind == RowKind::prompt) {
      GroupPush p = group_push;
      p.row_base = first;
      p.pairs = pairs;
      step.recorder.dispatch(group, group_set, &p, sizeof p, 1, 1, 1,
                             {Pace::other, 128.0 * (pairs + p.experts)});
      step.recorder.barrier();
    }
    in->record(step, first, rows, kind);
    gate->pairs(step, first, rows, kind);
    step.recorder.barrier();
    up->pairs(step, first, rows, kind);
    step.recorder.barrier();
    inner->record(step, 0, pairs, kind);
    down->pairs(step, first, rows, kind);
    step.recorder.barrier();
    MixPush p = mix_push;
    p.first_row = first;
    step.recorder.dispatch(mix, mix_set, &p, sizeof p, (p.cols + 127) / 128, rows, 1,
                           {Pace::other, 2.0 * pairs * p.cols});
  }
};

Command CommandMaker::make_op(const Experts& o) {
  const uint64_t pairs = uint64_t{std::min(layout_.rows, expert_rows)} * o.used;
  const auto stack = static_cast<uint32_t>(program_.weights[o.gate.id - 1].shape.stack);
  const Bound in = act(o.in), out = act(o.out), route = act(o.route);
  const Bound hidden = scratch(scratch_hidden(), pairs * o.hidden * sizeof(float));
  const Bound mixed = scratch(scratch_mixed(), pairs * o.out.cols * sizeof(float));
  const Bound groups = scratch(scratch_groups(), workspace_.groups);
  ProductOptions gate{o.hidden, o.scale_gate, 0, Act1::none, 0, o.used, groups};
  ProductOptions up{o.hidden, o.scale_up, 0, o.act, gate_second, o.used, groups};
  ProductOptions down{o.out.cols, 1, 0, Act1::none, rows_are_pairs, o.used, groups};
  ExpertSteps e;
  e.in = rounding(in, o.in.cols, {o.gate, o.up});
  e.inner = rounding(hidden, o.hidden, {o.down});
  e.gate = product(o.gate, {in, hidden, {}, route}, gate);
  e.up = product(o.up, {in, hidden, {}, route}, up);
  e.down = product(o.down, {hidden, mixed, {}, route}, down);
  e.group_push = {stack, o.used, route.at, groups.at, 0, 0};
  e.group_set = set({{input_at, route.range}, {output_at, groups.range}});
  e.group = pipeline("group", {});
  e.mix_push = {o.out.cols, mixed.at, out.at, 0, route.at, o.used, 0, o.residual ? 1U : 0U, o.scale_down};
  std::vector<std::pair<uint32_t, Range>> list{
      {input_at, mixed.range}, {output_at, out.range}, {second_at, route.range}};
  if (o.residual) {
    const Bound residual = act(o.residual);
    e.mix_push.residual_at = residual.at;
    list.emplace_back(vector_at, residual.range);
  }
  e.mix_set = set(list);
  e.mix = pipeline("mix", {});
  e.per_row = 2.0 * o.used * o.hidden * std::max(o.in.cols, o.out.cols);
  return [e](StepState& step) {
    if (step.exact > 0) e.record(step, 0, step.exact, RowKind::exact);
    if (step.rows > step.exact) e.record(step, step.exact, step.rows, RowKind::prompt);
  };
}

}  // namespace hearth::vulkan
