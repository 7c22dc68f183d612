// Stages without a weight matrix: Embed, Norm, Combine, Attend.
#include <algorithm>
#include <cmath>
#include <limits>

#include "device/cpu/stage.h"

namespace hearth::cpu {
namespace {

// The thread's share of the step's rows.
struct Share {
  uint32_t begin, end;
};
Share share(const Step& step, uint32_t thread) {
  const uint64_t threads = step.device->team().size();
  return {static_cast<uint32_t>(uint64_t{step.rows} * thread / threads),
          static_cast<uint32_t>(uint64_t{step.rows} * (thread + 1) / threads)};
}

class EmbedStage final : public Stage {
 public:
  explicit EmbedStage(const Embed& o) : op_(o) {}
  void run(Step& step, uint32_t thread) const override {
    const LoadedWeight& table = step.device->weight(op_.table);
    const Share rows = share(step, thread);
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
      float* out = step.act(op_.out) + uint64_t{r} * op_.out.cols;
      const auto token = static_cast<uint64_t>(step.inputs.tokens[r].value);
      table.kernels->decode(table.data + token * table.row_bytes, table.cols, out);
      if (op_.scale != 1.0F) step.device->table().rows->scale(out, op_.scale, op_.out.cols, out);
    }
  }

 private:
  Embed op_;
};

// Sines and cosines of the step's positions, once for all layers and heads. In double: position · frequency
// loses digits that a cosine needs.
class RopeStage final : public Stage {
 public:
  void run(Step& step, uint32_t thread) const override {
    const Share rows = share(step, thread);
    for (uint32_t t = 0; t < step.program->ropes.size(); ++t) {
      const RopeTable& rope = step.program->ropes[t];
      const size_t pairs = rope.inv_freq.size();
      for (uint32_t r = rows.begin; r < rows.end; ++r) {
        float* out = step.rope_row(t, r);
        for (size_t i = 0; i < pairs; ++i) {
          const double angle =
              static_cast<double>(step.inputs.positions[r]) * static_cast<double>(rope.inv_freq[i]);
          out[i] = static_cast<float>(std::cos(angle)) * rope.magnitude;
          out[pairs + i] = static_cast<float>(std::sin(angle)) * rope.magnitude;
        }
      }
    }
  }
};

class NormStage final : public Stage {
 public:
  explicit NormStage(const Norm& o) : op_(o) {}
  void run(Step& step, uint32_t thread) const override {
    const Share rows = share(step, thread);
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
      read_row(step, &op_, step.act(op_.in) + uint64_t{r} * op_.in.cols, op_.in.cols,
               step.act(op_.out) + uint64_t{r} * op_.out.cols);
    }
  }

 private:
  Norm op_;
};

class CombineStage final : public Stage {
 public:
  explicit CombineStage(const Combine& o) : op_(o) {}
  void run(Step& step, uint32_t thread) const override {
    const RowKernels& k = *step.device->table().rows;
    const Share rows = share(step, thread);
    const uint32_t cols = op_.out.cols;
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
      float* out = step.act(op_.out) + uint64_t{r} * cols;
      k.scale(step.act(op_.in) + uint64_t{r} * cols, op_.a, cols, out);
      if (!op_.other) continue;
      const float* other = step.act(op_.other) + uint64_t{r} * cols;
      for (uint32_t i = 0; i < cols; ++i) out[i] += op_.b * other[i];
    }
  }

 private:
  Combine op_;
};

// To or from the host's copy of an activation, [rows × cols] without gaps.
class TransferStage final : public Stage {
 public:
  explicit TransferStage(const Transfer& o) : op_(o) {}
  void run(Step& step, uint32_t thread) const override {
    const Share rows = share(step, thread);
    const Act act = op_.to_host ? op_.in : op_.out;
    const size_t first = size_t{rows.begin} * act.cols, count = size_t{rows.end - rows.begin} * act.cols;
    float* mine = step.act(act) + first;
    float* host = step.inputs.host[op_.slot].data() + first;
    std::copy_n(op_.to_host ? mine : host, count, op_.to_host ? host : mine);
  }

 private:
  Transfer op_;
};

// Attention over pages with a running softmax. A unit is a block of query rows of one slice × one kv head:
// all query heads that share the head are computed together, so that each cached row is read once for them.
class AttendStage final : public Stage {
 public:
  explicit AttendStage(const Attend& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const uint32_t threads = step.device->team().size();
    const uint32_t group = op_.heads.q_heads / op_.heads.kv_heads;
    const uint32_t block = std::max(1U, most_queries / group);
    uint32_t unit = 0;
    for (uint32_t s = 0; s < step.inputs.slices.size(); ++s) {
      const Slice& slice = step.inputs.slices[s];
      for (uint32_t r = 0; r < slice.rows; r += block) {
        for (uint32_t h = 0; h < op_.heads.kv_heads; ++h, ++unit) {
          // Later blocks see more: dealing them out in turn keeps the threads level.
          if (unit % threads == thread) attend(step, thread, s, r, std::min(block, slice.rows - r), h);
        }
      }
    }
  }

 private:
  static constexpr uint32_t most_queries = 16;

  // One unit's state: `queries` = rows × heads of the group, in the thread's scratch memory.
  struct Unit {
    uint32_t rows, group, queries;
    float *q, *acc, *scores, *best, *total;
  };

  void attend(const Step& step, uint32_t thread, uint32_t s, uint32_t first, uint32_t rows,
              uint32_t head) const {
    const Slice& slice = step.inputs.slices[s];
    const uint32_t group = op_.heads.q_heads / op_.heads.kv_heads;
    for (uint32_t g = 0; g < group; g += most_queries) {
      const uint32_t some = std::min(most_queries, group - g);
      Unit u{rows, some, rows * some, step.block(thread), nullptr, nullptr, nullptr, nullptr};
      u.acc = u.q + uint64_t{u.queries} * op_.heads.k_size;
      u.scores = u.acc + uint64_t{u.queries} * op_.heads.v_size;
      u.best = u.scores + uint64_t{u.queries} * page_tokens;
      u.total = u.best + u.queries;
      const uint32_t q_head = head * group + g;
      begin(step, slice.first_row + first, q_head, u);
      walk_pages(step, s, slice.cached + first, head, u);
      finish(step, slice.first_row + first, q_head, u);
    }
  }

  void begin(const Step& step, uint32_t row, uint32_t q_head, Unit& u) const {
    const uint32_t size = op_.heads.k_size;
    const RowKernels& k = *step.device->table().rows;
    for (uint32_t r = 0; r < u.rows; ++r) {
      const float* q = step.act(op_.q) + uint64_t{row + r} * op_.q.cols + uint64_t{q_head} * size;
      k.scale(q, op_.scale, u.group * size, u.q + uint64_t{r} * u.group * size);
    }
    std::fill_n(u.acc, uint64_t{u.queries} * op_.heads.v_size, 0.0F);
    std::fill_n(u.best, u.queries, -std::numeric_limits<float>::infinity());
    std::fill_n(u.total, u.queries, 0.0F);
  }

  // position: of the unit's first row. All tokens a row may see are in the pages by now, this step's
  // included.
  void walk_pages(const Step& step, uint32_t s, uint32_t position, uint32_t head, Unit& u) const {
    const Slice& slice = step.inputs.slices[s];
    const KvGroup& kv = step.device->kv(op_.kv.group);
    const PageId* pages =
        step.inputs.page_tables[op_.kv.group].data() + uint64_t{s} * step.inputs.table_stride;
    const uint32_t end = op_.mask.causal ? position + u.rows : slice.cached + slice.rows;
    const uint32_t begin =
        op_.mask.window != 0 && position + 1 > op_.mask.window ? position + 1 - op_.mask.window : 0;
    const KvKernels& k = *step.device->table().kv[static_cast<size_t>(kv.types.k)];
    const KvKernels& v = *step.device->table().kv[static_cast<size_t>(kv.types.v)];
    for (uint32_t p = begin / page_tokens; p * page_tokens < end; ++p) {
      const uint32_t at = p * page_tokens, tokens = std::min(page_tokens, end - at);
      k.score(kv.k(op_.kv.layer, pages[p], head), kv.k_row, tokens, op_.heads.k_size, u.q, op_.heads.k_size,
              u.queries, u.scores, page_tokens);
      soften(step, u, position, at, tokens);
      v.mix(kv.v(op_.kv.layer, pages[p], head), kv.v_row, tokens, op_.heads.v_size, u.scores, page_tokens,
            u.queries, u.acc, op_.heads.v_size);
    }
  }

  // Scores of one page → weights relative to the best score so far; what was gathered before is scaled down
  // to it.
  void soften(const Step& step, Unit& u, uint32_t position, uint32_t at, uint32_t tokens) const {
    const RowKernels& k = *step.device->table().rows;
    constexpr float none = -std::numeric_limits<float>::infinity();
    for (uint32_t q = 0; q < u.queries; ++q) {
      float* s = u.scores + uint64_t{q} * page_tokens;
      const uint32_t own = position + q / u.group;
      if (op_.soft_cap > 0) {
        for (uint32_t t = 0; t < tokens; ++t) s[t] = op_.soft_cap * std::tanh(s[t] / op_.soft_cap);
      }
      for (uint32_t t = 0; t < tokens; ++t) {
        const uint32_t seen = at + t;
        const bool hidden =
            (op_.mask.causal && seen > own) || (op_.mask.window != 0 && seen + op_.mask.window <= own);
        if (hidden) s[t] = none;
      }
      const float best = std::max(u.best[q], k.max(s, tokens));
      if (best == none) {
        std::fill_n(s, tokens, 0.0F);
        continue;
      }
      if (best > u.best[q]) {
        const float down = u.best[q] == none ? 0.0F : std::exp(u.best[q] - best);
        float* acc = u.acc + uint64_t{q} * op_.heads.v_size;
        k.scale(acc, down, op_.heads.v_size, acc);
        u.total[q] *= down;
        u.best[q] = best;
      }
      u.total[q] += k.exp_sum(s, tokens, best);
    }
  }

  void finish(const Step& step, uint32_t row, uint32_t q_head, const Unit& u) const {
    const uint32_t size = op_.heads.v_size;
    const RowKernels& k = *step.device->table().rows;
    for (uint32_t r = 0; r < u.rows; ++r) {
      float* out = step.act(op_.out) + uint64_t{row + r} * op_.out.cols + uint64_t{q_head} * size;
      for (uint32_t g = 0; g < u.group; ++g) {
        const uint32_t q = r * u.group + g;
        k.scale(u.acc + uint64_t{q} * size, 1.0F / u.total[q], size, out + uint64_t{g} * size);
      }
    }
  }

  Attend op_;
};

}  // namespace

std::unique_ptr<Stage> embed_stage(const Embed& op) { return std::make_unique<EmbedStage>(op); }
std::unique_ptr<Stage> rope_stage() { return std::make_unique<RopeStage>(); }
std::unique_ptr<Stage> norm_stage(const Norm& op) { return std::make_unique<NormStage>(op); }
std::unique_ptr<Stage> transfer_stage(const Transfer& op) { return std::make_unique<TransferStage>(op); }
std::unique_ptr<Stage> combine_stage(const Combine& op) { return std::make_unique<CombineStage>(op); }
std::unique_ptr<Stage> attend_stage(const Attend& op) { return std::make_unique<AttendStage>(op); }

}  // namespace hearth::cpu
