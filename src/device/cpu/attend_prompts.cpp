// Attention of prompt rows by blocks: many queries, woven into panels, meet each block of keys and values,
// which is unpacked once for all of them. Blocks lie at fixed positions, and what a query cannot see changes
// nothing of its result: neither slices nor neighbours matter.
#include "device/cpu/attend.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t together = 2;  // panels that a kernel takes at once

DType type_of(KvType type) {
  switch (type) {
    case KvType::f32: return DType::f32;
    case KvType::f16: return DType::f16;
    case KvType::q8_0: return DType::q8_0;
    case KvType::q4_0: return DType::q4_0;
  }
  return DType::f32;
}

// Queries of a unit: as many as keep their sums in the second-level cache, in whole panels.
uint32_t most_queries(const HeadShape& heads, uint32_t most) {
  const uint32_t floats = most * 384;  // larger heads have fewer queries
  const uint32_t fitting = std::min(most, floats / (heads.k_size + heads.v_size));
  const uint32_t queries = std::max(fitting, heads.q_heads / heads.kv_heads);
  return (queries + attend_lanes - 1) / attend_lanes * attend_lanes;
}

// A thread's scratch memory while it computes a unit.
struct Space {
  float *q, *acc, *best, *total, *q_scale;   // per panel
  float *plain, *k, *v, *k_scale, *v_scale;  // per block
  uint32_t* position;

  Space(float* memory, const HeadShape& heads, uint32_t queries, const AttendKernels& kernels) {
    const uint64_t blocks = kernels.blocks;
    const auto take = [&](uint64_t floats) {
      float* begin = memory;
      memory += floats;
      return begin;
    };
    q = take(uint64_t{queries} * attend_floats(heads.k_size));
    acc = take(uint64_t{queries} * heads.v_size);
    best = take(queries), total = take(queries), q_scale = take(queries);
    position = reinterpret_cast<uint32_t*>(take(queries));
    plain = take(uint64_t{attend_tokens} * std::max(heads.k_size, heads.v_size));
    k = take(blocks * attend_tokens * attend_floats(heads.k_size));
    v = take(blocks * attend_tokens * attend_floats(heads.v_size));
    k_scale = take(blocks * attend_tokens), v_scale = take(blocks * attend_tokens);
  }
};

// Rows [first, first + rows) of a slice × the query heads of one kv head.
class Unit {
 public:
  Unit(const Step& step, uint32_t thread, const Attend& op, uint32_t slice, uint32_t head)
      : step_(step),
        op_(op),
        kernels_(step.device->attend()),
        slice_(step.inputs.slices[slice]),
        kv_(step.device->kv(op.kv.group)),
        pages_(step.inputs.page_tables[op.kv.group].data() + uint64_t{slice} * step.inputs.table_stride),
        head_(head),
        group_(op.heads.q_heads / op.heads.kv_heads),
        space_(step.block(thread), op.heads, most_queries(op.heads, kernels_.queries), kernels_) {}

  void run(uint32_t first, uint32_t rows) {
    first_ = first;
    queries_ = rows * group_;
    panels_ = (queries_ + attend_lanes - 1) / attend_lanes;
    begin();
    const uint32_t position = slice_.cached + first;
    const uint32_t end = op_.mask.causal ? position + rows : slice_.cached + slice_.rows;
    const uint32_t window = op_.mask.window;
    const uint32_t start = window != 0 && position + 1 > window ? position + 1 - window : 0;
    const uint32_t some = kernels_.blocks * attend_tokens;
    for (uint32_t at = start / some * some; at < end; at += some) {
      blocks(at, std::min(at + some, end));
    }
    finish();
  }

 private:
  uint32_t row_of(uint32_t query) const { return slice_.first_row + first_ + query / group_; }
  uint32_t head_of(uint32_t query) const { return head_ * group_ + query % group_; }

  size_t q_step() const { return size_t{attend_floats(op_.heads.k_size)} * attend_lanes; }

  void begin() {
    const uint32_t size = op_.heads.k_size, lanes = panels_ * attend_lanes;
    for (uint32_t p = 0; p < panels_; ++p) {
      const float* q[attend_lanes] = {};
      for (uint32_t i = 0; i < attend_lanes; ++i) {
        const uint32_t query = p * attend_lanes + i;
        // Lanes without a query see what the last one sees.
        space_.position[query] = slice_.cached + first_ + std::min(query, queries_ - 1) / group_;
        if (query >= queries_) continue;
        q[i] = query_of(step_, op_, row_of(query), head_of(query));
      }
      kernels_.pack_queries(q, size, op_.scale, space_.q + p * q_step(), space_.q_scale + p * attend_lanes);
    }
    std::fill_n(space_.best, lanes, attend_nothing);
    std::fill_n(space_.total, lanes, 0.0F);
    std::fill_n(space_.acc, uint64_t{lanes} * op_.heads.v_size, 0.0F);
  }

  // `tokens` rows of one side of the cache as floats. Values that are part of the keys do not follow one
  // another.
  void read(KvType type, uint32_t size, bool values, uint32_t at, uint32_t tokens, float* out) const {
    const TypeKernels& k = *step_.device->table().type(static_cast<uint32_t>(type_of(type)));
    for (uint32_t t = 0; t < tokens; t += page_tokens) {
      const PageId page = pages_[(at + t) / page_tokens];
      const std::byte* rows = values ? kv_.v(op_.kv.layer, page, head_) : kv_.k(op_.kv.layer, page, head_);
      const uint32_t some = std::min(page_tokens, tokens - t);
      float* to = out + uint64_t{t} * size;
      if (!values || kv_.profile.v_size != 0) {
        k.decode(rows, some * size, to);
        continue;
      }
      for (uint32_t i = 0; i < some; ++i) k.decode(rows + i * kv_.v_row, size, to + uint64_t{i} * size);
    }
  }

  float* keys(uint32_t i) const {
    return space_.k + uint64_t{i} * attend_tokens * attend_floats(op_.heads.k_size);
  }
  float* values(uint32_t i) const {
    return space_.v + uint64_t{i} * attend_tokens * attend_floats(op_.heads.v_size);
  }

  // Block number i of those that are packed together.
  void pack(uint32_t i, uint32_t at, uint32_t tokens) {
    const HeadShape& h = op_.heads;
    const bool packs = kernels_.pack_keys != nullptr;
    const uint32_t scale = i * attend_tokens;
    read(kv_.types.k, h.k_size, false, at, tokens, packs ? space_.plain : keys(i));
    if (packs) kernels_.pack_keys(space_.plain, tokens, h.k_size, keys(i), space_.k_scale + scale);
    read(kv_.types.v, h.v_size, true, at, tokens, packs ? space_.plain : values(i));
    if (packs) kernels_.pack_values(space_.plain, tokens, h.v_size, values(i), space_.v_scale + scale);
  }

  // Tokens [begin, end) against all queries.
  void blocks(uint32_t begin, uint32_t end) {
    for (uint32_t at = begin; at < end; at += attend_tokens)
      pack((at - begin) / attend_tokens, at, std::min(attend_tokens, end - at));
    for (uint32_t p = 0; p < panels_; p += together) meet(p, begin, end);
  }

  // One or two panels with those of the packed blocks that they see.
  void meet(uint32_t p, uint32_t begin, uint32_t end) {
    const uint32_t lane = p * attend_lanes, panels = std::min(together, panels_ - p);
    const uint32_t* position = space_.position + lane;
    const uint32_t earliest = position[0], latest = position[panels * attend_lanes - 1];
    AttendBlock seen[most_attend_blocks];
    uint32_t count = 0;
    for (uint32_t at = begin; at < end; at += attend_tokens) {
      const uint32_t tokens = std::min(attend_tokens, end - at);
      if (op_.mask.causal && at > latest) continue;
      if (op_.mask.window != 0 && at + tokens - 1 + op_.mask.window <= earliest) continue;
      seen[count++] = block(p, panels, (at - begin) / attend_tokens, at, tokens);
    }
    if (count > 0) kernels_.attend(seen, count);
  }

  AttendBlock block(uint32_t p, uint32_t panels, uint32_t i, uint32_t at, uint32_t tokens) const {
    const HeadShape& h = op_.heads;
    const uint32_t lane = p * attend_lanes, scale = i * attend_tokens;
    return {space_.q + p * q_step(),
            keys(i),
            values(i),
            q_step(),
            space_.q_scale + lane,
            space_.k_scale + scale,
            space_.v_scale + scale,
            panels,
            h.k_size,
            h.v_size,
            tokens,
            at,
            space_.position + lane,
            op_.mask.causal,
            op_.mask.window,
            op_.soft_cap,
            space_.best + lane,
            space_.total + lane,
            space_.acc + uint64_t{lane} * h.v_size};
  }

  void finish() const {
    const uint32_t size = op_.heads.v_size;
    const LoadedWeight* weight = step_.device->maybe(op_.sinks);
    for (uint32_t p = 0; p < panels_; ++p) {
      float* out[attend_lanes] = {};
      float sinks[attend_lanes] = {};
      for (uint32_t i = 0; i < attend_lanes && p * attend_lanes + i < queries_; ++i) {
        const uint32_t query = p * attend_lanes + i;
        out[i] =
            step_.act(op_.out) + uint64_t{row_of(query)} * op_.out.cols + uint64_t{head_of(query)} * size;
        if (weight != nullptr) sinks[i] = weight->values()[head_of(query)];
      }
      const uint32_t lane = p * attend_lanes;
      kernels_.finish(space_.acc + uint64_t{lane} * size, space_.best + lane, space_.total + lane,
                      weight != nullptr ? sinks : nullptr, size, out);
      for (uint32_t i = 0; i < attend_lanes && lane + i < queries_; ++i)
        open_gate(step_, op_, row_of(lane + i), head_of(lane + i), out[i]);
    }
  }

  const Step& step_;
  const Attend& op_;
  const AttendKernels& kernels_;
  const Slice& slice_;
  const KvGroup& kv_;
  const PageId* pages_;
  uint32_t head_, group_, first_ = 0, queries_ = 0, panels_ = 0;
  Space space_;
};

// Rows of a unit: all that fit, or fewer where threads would have nothing to do.
uint32_t unit_rows_of(const AttendKernels& kernels, const Attend& op, uint32_t rows, uint32_t threads) {
  const uint32_t group = op.heads.q_heads / op.heads.kv_heads;
  uint32_t some = std::max(1U, most_queries(op.heads, kernels.queries) / group);
  const auto units = [&] { return op.heads.kv_heads * ((rows + some - 1) / some); };
  constexpr uint32_t fewest_queries = 64;
  while (units() < 2 * threads && some * group > fewest_queries && some > 1) some /= 2;
  return some;
}

}  // namespace

uint64_t attend_prompt_floats(const HeadShape& heads, const AttendKernels& kernels) noexcept {
  const uint64_t k = attend_floats(heads.k_size), v = attend_floats(heads.v_size);
  return most_queries(heads, kernels.queries) * (k + v + 4) +
         attend_tokens * (kernels.blocks * (k + v + 2) + std::max(k, v));
}

void attend_prompts(const Step& step, uint32_t thread, const Attend& op) {
  const uint32_t threads = step.device->team().size();
  const AttendKernels& kernels = step.device->attend();
  if (kernels.enter != nullptr) kernels.enter();
  uint32_t unit = 0;
  for (uint32_t s = 0; s < step.inputs.slices.size(); ++s) {
    const Slice& slice = step.inputs.slices[s];
    const uint32_t rows = slice.rows, some = unit_rows_of(kernels, op, rows, threads);
    for (uint32_t r = exact_rows_of(step, slice); r < rows; r += some) {
      for (uint32_t h = 0; h < op.heads.kv_heads; ++h, ++unit) {
        if (unit % threads == thread) Unit(step, thread, op, s, h).run(r, std::min(some, rows - r));
      }
    }
  }
  if (kernels.leave != nullptr) kernels.leave();
}

}  // namespace hearth::cpu
