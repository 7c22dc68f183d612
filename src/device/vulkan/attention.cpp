// Qkv and Attend: the operations that know the cache.
#include <algorithm>

#include "device/vulkan/product.h"

namespace hearth::vulkan {
namespace {

struct HeadsPush {
  uint32_t q_heads = 0, kv_heads = 0, k_size = 0, v_size = 0;
  uint32_t q_at = 0, k_at = 0, v_at = 0, q_cols = 0;
  uint32_t q_gain_at = 0, k_gain_at = 0, flags = 0;
  float eps = 0;
  uint32_t pairs = 0, rope_at = 0, rows_at = 0, table_at = 0, layer_page = 0, pages_each = 1, first_row = 0;
};
struct AttendPush {
  uint32_t q_at = 0, y_at = 0, q_cols = 0, y_cols = 0;
  uint32_t group = 1, kv_heads = 0, heads_each = 1, flags = 0, window = 0;
  float scale = 1, soft_cap = 0;
  uint32_t rows_at = 0, table_at = 0, blocks_at = 0, layer_page = 0, pages_each = 1;
  uint32_t chunks = 1, sinks_at = 0, parts_at = 0, first_block = 0;
};
struct JoinPush {
  uint32_t y_at = 0, y_cols = 0, v_size = 0, heads = 0, flags = 0, window = 0, rows_at = 0, sinks_at = 0,
           parts_at = 0;
};
constexpr uint32_t causal_flag = 1, sinks_flag = 2;

// Whether attend_row.glsl takes such heads: its threads hold sixteen quads of keys and of values.
bool fits_rows(const HeadShape& h, const AttendShape& shape) {
  return std::max(h.k_size, h.v_size) <= 256 && shape.heads <= 16;
}

uint32_t bindings_of(const KvGroup& kv) {
  return kv.layers.empty() ? 1 : std::max<uint32_t>(1, static_cast<uint32_t>(kv.layers.front().size()));
}

}  // namespace

// The products leave queries in their activation, keys and values in scratch memory; heads.glsl does the
// rest.
Command CommandMaker::make_op(const Qkv& o) {
  const HeadShape& h = o.heads;
  const KvGroup& kv = device_.kv(o.kv.group);
  const Bound in = act(o.in), q = act(o.q);
  const uint32_t k_cols = h.kv_heads * h.k_size, v_cols = h.kv_heads * h.v_size;
  const Bound keys = scratch(scratch_keys(), uint64_t{layout_.rows} * k_cols * sizeof(float));
  const Bound values = scratch(scratch_values(), uint64_t{layout_.rows} * v_cols * sizeof(float));
  // One binding for both: values begin where the keys' part ends.
  const Bound both =
      scratch(scratch_keys(), workspace_.keys + uint64_t{layout_.rows} * v_cols * sizeof(float));
  const Bound q_gain = vector(o.q_norm), k_gain = vector(o.k_norm);
  const RopeTable& rope = program_.ropes[o.rope];
  HeadsPush push;
  push.q_heads = h.q_heads;
  push.kv_heads = h.kv_heads;
  push.k_size = h.k_size;
  push.v_size = h.v_size;
  push.q_at = q.at;
  push.k_at = both.at;
  push.v_at = both.at + static_cast<uint32_t>(workspace_.keys / sizeof(float));
  push.q_cols = o.q.cols;
  push.q_gain_at = q_gain.at;
  push.k_gain_at = k_gain.at;
  push.flags = (o.q_norm ? 1U : 0U) | (o.k_norm ? 2U : 0U) | (rope.split ? 4U : 0U);
  push.eps = o.eps;
  push.pairs = static_cast<uint32_t>(rope.inv_freq.size());
  push.rope_at = tables_.ropes[o.rope];
  push.rows_at = tables_.rows;
  push.layer_page = static_cast<uint32_t>(kv.layer_page);
  push.pages_each = kv.pages_each;
  std::vector<std::pair<uint32_t, Range>> list{{input_at, both.range}, {output_at, q.range}};
  if (o.q_norm) list.emplace_back(vector_at, q_gain.range);
  if (o.k_norm) list.emplace_back(second_at, k_gain.range);
  const auto options = [](uint32_t cols, float scale, Weight bias) {
    return ProductOptions{cols, scale, 0, Act1::none, bias ? with_bias : 0U, 0, {}};
  };
  return [push, group = o.kv.group, s = set(list, &kv, o.kv.layer),
          bytes = rounding(in, o.in.cols, {o.wq, o.wk, o.wv}),
          pq = product(o.wq, {in, q, vector(o.bq), {}}, options(o.q.cols, o.scale_q, o.bq)),
          pk = product(o.wk, {in, keys, vector(o.bk), {}}, options(k_cols, o.scale_k, o.bk)),
          pv = product(o.wv, {in, values, vector(o.bv), {}}, options(v_cols, o.scale_v, o.bv)),
          p = pipeline("heads", {static_cast<uint32_t>(kv.types.k), static_cast<uint32_t>(kv.types.v),
                                 bindings_of(kv)})](StepState& step) {
    bytes->record(step);
    pq->record(step);
    pk->record(step);
    pv->record(step);
    step.recorder.barrier();
    HeadsPush mine = push;
    mine.table_at = step.page_tables[group];
    step.recorder.dispatch(p, s, &mine, sizeof mine, push.q_heads + 2 * push.kv_heads, step.rows, 1,
                           {Pace::other, 8.0 * step.rows * push.k_size * (push.q_heads + 2 * push.kv_heads)});
  };
}

Command CommandMaker::make_op(const Attend& o) {
  const HeadShape& h = o.heads;
  const KvGroup& kv = device_.kv(o.kv.group);
  const AttendShape shape = attend_shape(h);
  const Bound q = act(o.q), out = act(o.out), parts = scratch(scratch_parts(), workspace_.parts);
  const auto size = static_cast<size_t>(std::find(sizes_.begin(), sizes_.end(), shape.rows) - sizes_.begin());
  AttendPush push;
  push.q_at = q.at;
  push.y_at = out.at;
  push.q_cols = o.q.cols;
  push.y_cols = o.out.cols;
  push.group = h.q_heads / h.kv_heads;
  push.kv_heads = h.kv_heads;
  push.heads_each = shape.heads;
  const Bound sinks = vector(o.sinks);
  push.flags = (o.mask.causal ? causal_flag : 0U) | (o.sinks ? sinks_flag : 0U);
  push.sinks_at = sinks.at;
  push.window = o.mask.window;
  push.scale = o.scale;
  push.soft_cap = o.soft_cap;
  push.rows_at = tables_.rows;
  push.blocks_at = tables_.blocks[size];
  push.layer_page = static_cast<uint32_t>(kv.layer_page);
  push.pages_each = kv.pages_each;
  push.parts_at = parts.at;
  const JoinPush join{out.at,        o.out.cols,   h.v_size,      h.q_heads, push.flags,
                      o.mask.window, tables_.rows, push.sinks_at, parts.at};
  std::vector<std::pair<uint32_t, Range>> list{
      {input_at, q.range}, {output_at, out.range}, {second_at, parts.range}};
  if (o.sinks) list.emplace_back(vector_at, sinks.range);
  const VkDescriptorSet s = set(list, &kv, o.kv.layer);
  const uint32_t groups = h.kv_heads * ((push.group + shape.heads - 1) / shape.heads);
  const auto k_type = static_cast<uint32_t>(kv.types.k), v_type = static_cast<uint32_t>(kv.types.v);
  VkPipeline row = nullptr;
  if (device_.variants().row_attention && !o.two_pass && fits_rows(h, shape)) {
    row = pipeline("attend_row_subgroup",
                   {k_type, v_type, bindings_of(kv), h.k_size, h.v_size, std::min(push.group, shape.heads),
                    device_.driver().gpu.capabilities().subgroup});
  }
  const double per_token = 2.0 * h.q_heads * ((o.two_pass ? 2 : 1) * h.k_size + h.v_size);
  return [push, join, s, groups, per_token, size, row, two_pass = o.two_pass, rows = shape.rows,
          group = o.kv.group,
          p = pipeline(
              device_.variants().compact ? "attend_compact" : "attend",
              {k_type, v_type, bindings_of(kv), h.k_size, h.v_size, shape.queries, o.two_pass ? 1U : 0U}),
          j = pipeline("attend_join", {})](StepState& step) {
    AttendPush mine = push;
    mine.table_at = step.page_tables[group];
    const double seen = push.window != 0 ? std::min<double>(push.window, step.context) : step.context;
    if (step.exact > 0) {
      // The results of chunks could be joined only by scaling them to each other.
      mine.chunks = two_pass ? 1 : step.chunks;
      step.recorder.dispatch(row != nullptr ? row : p, s, &mine, sizeof mine, step.exact, groups, mine.chunks,
                             {Pace::attention, per_token * seen * step.exact});
      if (mine.chunks > 1) {
        step.recorder.barrier();
        step.recorder.dispatch(j, s, &join, sizeof join, join.heads, step.exact, 1,
                               {Pace::other, 32.0 * step.exact * join.heads * join.v_size});
      }
    }
    mine.chunks = 1;
    const double per_block = std::max(1.0, per_token * seen * rows);
    const double fit = step.recorder.clock().units_of_aim(Pace::attention) / per_block;
    const uint32_t most = std::max(1U, static_cast<uint32_t>(std::min(fit, 65535.0)));
    for (uint32_t b = 0; b < step.prompt_blocks[size]; b += most) {
      if (b > 0) step.recorder.barrier();
      mine.first_block = step.exact + b;
      const uint32_t some = std::min(most, step.prompt_blocks[size] - b);
      step.recorder.dispatch(p, s, &mine, sizeof mine, some, groups, 1, {Pace::attention, per_block * some});
    }
  };
}

}  // namespace hearth::vulkan
