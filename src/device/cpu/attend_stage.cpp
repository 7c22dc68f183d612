#include <algorithm>
#include <cmath>
#include <limits>

#include "device/cpu/attend.h"

namespace hearth::cpu {
namespace {

// Attention over pages with a running softmax. Rows of generation: a unit is a block of query rows of one
// slice × one kv head: the query heads that share the head are computed together, so that each cached row is
// read once for them; where there are fewer such units than threads, by halves and quarters. Prompt rows:
// attend_prompts(). In two passes all rows are computed as those of generation, the keys of their pages read
// once more before.
class AttendStage final : public Stage {
 public:
  explicit AttendStage(const Attend& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const Units units = units_of(step);
    uint32_t total = 0;
    for (const Slice& slice : step.inputs.slices) total += units.of(rows_of(step, slice));
    step.shares->run(thread, total, [&](uint32_t unit) {
      uint32_t s = 0;
      for (uint32_t here = 0;; ++s, unit -= here) {
        here = units.of(rows_of(step, step.inputs.slices[s]));
        if (unit < here) break;
      }
      attend(step, thread, s, part(units, rows_of(step, step.inputs.slices[s]), unit));
    });
    if (step.prompt_rows() > 0 && !op_.two_pass) attend_prompts(step, thread, op_);
  }

 private:
  static constexpr uint32_t most_queries = 16, fewest_heads = 4;

  // Rows of a slice, and query heads that share a kv head.
  struct Part {
    uint32_t first, rows, kv_head, q_head, heads;
  };

  // How a slice's rows are cut: blocks of rows, each for every kv head, by so many of the heads that share
  // it.
  struct Units {
    uint32_t block, kv_heads, group, heads;

    uint32_t runs() const { return (group + heads - 1) / heads; }
    uint32_t of(uint32_t rows) const { return (rows + block - 1) / block * kv_heads * runs(); }
  };
  Units units_of(const Step& step) const {
    const uint32_t group = op_.heads.q_heads / op_.heads.kv_heads;
    return {std::max(1U, most_queries / group), op_.heads.kv_heads, group, heads_of_unit(step)};
  }
  uint32_t rows_of(const Step& step, const Slice& slice) const {
    return op_.two_pass ? slice.rows : exact_rows_of(step, slice);
  }
  static Part part(const Units& u, uint32_t rows, uint32_t unit) {
    const uint32_t g = unit % u.runs() * u.heads, h = unit / u.runs() % u.kv_heads;
    const uint32_t first = unit / (u.runs() * u.kv_heads) * u.block;
    return {first, std::min(u.block, rows - first), h, h * u.group + g, std::min(u.heads, u.group - g)};
  }

  // Query heads of a unit. A result does not depend on who else is in it.
  uint32_t heads_of_unit(const Step& step) const {
    const uint32_t group = op_.heads.q_heads / op_.heads.kv_heads, threads = step.device->team().size();
    const uint32_t blocks = (op_.two_pass ? step.rows : step.exact_rows) / std::max(1U, most_queries / group);
    const uint32_t runs =
        std::max(blocks, static_cast<uint32_t>(step.inputs.slices.size())) * op_.heads.kv_heads;
    uint32_t some = std::min(group, most_queries);
    while (runs * ((group + some - 1) / some) < threads && some > fewest_heads) some = (some + 1) / 2;
    return some;
  }
  static constexpr uint64_t line = 64;

  // A head's keys or values in one page. Pages lie anywhere, so that the processor cannot foresee the next:
  // it is asked for before this one is worked on. Kernels for types without blocks take a page in parts, and
  // ask for as much each time; for blocks they have work to do per call.
  struct PageSide {
    const std::byte* rows = nullptr;
    uint64_t row_bytes = 0;
    uint32_t part = page_tokens;

    template <class F>
    void in_parts(uint32_t tokens, const PageSide& next, F&& work) const {
      for (uint32_t t = 0; t < tokens; t += part) {
        for (uint64_t i = t * next.row_bytes; i < (t + part) * next.row_bytes; i += line)
          __builtin_prefetch(next.rows + i, 0, 2);
        work(t, std::min(part, tokens - t));
      }
    }
  };
  static PageSide side(KvType type, uint64_t row_bytes, const std::byte* rows) {
    const bool blocks = type == KvType::q8_0 || type == KvType::q4_0;
    return {rows, row_bytes, blocks ? page_tokens : page_tokens / 4};
  }

  // One unit's state: `queries` = rows × heads of the group, in the thread's scratch memory.
  struct Unit {
    uint32_t rows, group, queries, q_head;
    float *q, *acc, *scores, *best, *total;
  };

  void attend(const Step& step, uint32_t thread, uint32_t s, const Part& part) const {
    const Slice& slice = step.inputs.slices[s];
    Unit u{part.rows, part.heads, part.rows * part.heads, part.q_head, step.block(thread), nullptr, nullptr,
           nullptr,   nullptr};
    u.acc = u.q + uint64_t{u.queries} * op_.heads.k_size;
    u.scores = u.acc + uint64_t{u.queries} * op_.heads.v_size;
    u.best = u.scores + uint64_t{u.queries} * page_tokens;
    u.total = u.best + u.queries;
    begin(step, slice.first_row + part.first, u);
    const Pages pages = pages_of(step, s, slice.cached + part.first, part.rows, part.kv_head);
    if (op_.two_pass) find_best(step, pages, u);
    walk_pages(step, pages, u);
    finish(step, slice.first_row + part.first, u);
  }

  void begin(const Step& step, uint32_t row, Unit& u) const {
    const uint32_t size = op_.heads.k_size;
    const RowKernels& k = *step.device->table().rows;
    for (uint32_t r = 0; r < u.rows; ++r) {
      for (uint32_t g = 0; g < u.group; ++g)
        k.scale(query_of(step, op_, row + r, u.q_head + g), op_.scale, size,
                u.q + (uint64_t{r} * u.group + g) * size);
    }
    std::fill_n(u.acc, uint64_t{u.queries} * op_.heads.v_size, 0.0F);
    const LoadedWeight* sinks = step.device->maybe(op_.sinks);
    for (uint32_t i = 0; i < u.queries; ++i) {
      // A sink is a score that was seen before all others.
      u.best[i] = sinks != nullptr ? sinks->values()[u.q_head + i % u.group]
                                   : -std::numeric_limits<float>::infinity();
      u.total[i] = sinks != nullptr ? 1.0F : 0.0F;
    }
  }

  // The pages that a unit sees, for one kv head. position: of the unit's first row. All tokens that a row may
  // see are in the pages by now, this step's included.
  struct Pages {
    const KvGroup& kv;
    const PageId* table;
    uint32_t layer, head, position, begin, end;  // tokens [begin, end)

    uint32_t first() const { return begin / page_tokens; }
    uint32_t tokens(uint32_t page) const { return std::min(page_tokens, end - page * page_tokens); }
    PageSide keys(uint32_t page) const {
      return page * page_tokens < end ? side(kv.types.k, kv.k_row, kv.k(layer, table[page], head))
                                      : PageSide{};
    }
    PageSide values(uint32_t page) const {
      return side(kv.types.v, kv.v_row, kv.v(layer, table[page], head));
    }
  };
  Pages pages_of(const Step& step, uint32_t s, uint32_t position, uint32_t rows, uint32_t head) const {
    const Slice& slice = step.inputs.slices[s];
    const uint32_t end = op_.mask.causal ? position + rows : slice.cached + slice.rows;
    const uint32_t begin =
        op_.mask.window != 0 && position + 1 > op_.mask.window ? position + 1 - op_.mask.window : 0;
    return {step.device->kv(op_.kv.group),
            step.inputs.page_tables[op_.kv.group].data() + uint64_t{s} * step.inputs.table_stride,
            op_.kv.layer,
            head,
            position,
            begin,
            end};
  }

  void score(const Step& step, const Pages& pages, uint32_t p, const PageSide& next, Unit& u) const {
    const KvKernels& k = *step.device->table().kv[static_cast<size_t>(pages.kv.types.k)];
    const PageSide keys = pages.keys(p);
    keys.in_parts(pages.tokens(p), next, [&](uint32_t t, uint32_t some) {
      k.score(keys.rows + t * keys.row_bytes, pages.kv.k_row, some, op_.heads.k_size, u.q, op_.heads.k_size,
              u.queries, u.scores + t, page_tokens);
    });
    hide(u, pages.position, p * page_tokens, pages.tokens(p));
  }

  void walk_pages(const Step& step, const Pages& pages, Unit& u) const {
    const KvKernels& v = *step.device->table().kv[static_cast<size_t>(pages.kv.types.v)];
    for (uint32_t p = pages.first(); p * page_tokens < pages.end; ++p) {
      const PageSide values = pages.values(p);
      score(step, pages, p, values, u);
      soften(step, u, pages.tokens(p));
      values.in_parts(pages.tokens(p), pages.keys(p + 1), [&](uint32_t t, uint32_t some) {
        v.mix(values.rows + t * values.row_bytes, pages.kv.v_row, some, op_.heads.v_size, u.scores + t,
              page_tokens, u.queries, u.acc, op_.heads.v_size);
      });
    }
  }

  // The first of two passes: best scores, to which a sink counts.
  void find_best(const Step& step, const Pages& pages, Unit& u) const {
    const RowKernels& k = *step.device->table().rows;
    for (uint32_t p = pages.first(); p * page_tokens < pages.end; ++p) {
      score(step, pages, p, pages.keys(p + 1), u);
      for (uint32_t q = 0; q < u.queries; ++q) {
        const float* s = u.scores + uint64_t{q} * page_tokens;
        u.best[q] = std::max(u.best[q], k.max(s, pages.tokens(p)));
      }
    }
    const LoadedWeight* sinks = step.device->maybe(op_.sinks);
    for (uint32_t i = 0; sinks != nullptr && i < u.queries; ++i)
      u.total[i] = std::exp(sinks->values()[u.q_head + i % u.group] - u.best[i]);
  }

  // Soft cap and mask of one page's scores.
  void hide(Unit& u, uint32_t position, uint32_t at, uint32_t tokens) const {
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
    }
  }

  // Scores of one page → weights relative to the best score so far; what was gathered before is scaled down
  // to it.
  void soften(const Step& step, Unit& u, uint32_t tokens) const {
    const RowKernels& k = *step.device->table().rows;
    constexpr float none = -std::numeric_limits<float>::infinity();
    for (uint32_t q = 0; q < u.queries; ++q) {
      float* s = u.scores + uint64_t{q} * page_tokens;
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

  void finish(const Step& step, uint32_t row, const Unit& u) const {
    const uint32_t size = op_.heads.v_size;
    const RowKernels& k = *step.device->table().rows;
    for (uint32_t r = 0; r < u.rows; ++r) {
      float* out = step.act(op_.out) + uint64_t{row + r} * op_.out.cols + uint64_t{u.q_head} * size;
      for (uint32_t g = 0; g < u.group; ++g) {
        const uint32_t q = r * u.group + g;
        k.scale(u.acc + uint64_t{q} * size, 1.0F / u.total[q], size, out + uint64_t{g} * size);
        open_gate(step, op_, row + r, u.q_head + g, out + uint64_t{g} * size);
      }
    }
  }

  Attend op_;
};

}  // namespace

std::unique_ptr<Stage> attend_stage(const Attend& op) { return std::make_unique<AttendStage>(op); }

}  // namespace hearth::cpu
