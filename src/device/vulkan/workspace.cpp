#include "device/vulkan/workspace.h"

#include <algorithm>

#include "base/checked.h"
#include "device/vulkan/weights.h"

namespace hearth::vulkan {
namespace {

// Words of page tables per cache group: tables of eight million tokens.
constexpr uint32_t page_words = 1U << 18;
constexpr uint64_t upload_bytes = 4ULL << 20;

uint64_t floats(uint64_t count) { return align_up(count * sizeof(float), 256); }

struct Measure {
  Workspace& w;
  const Program& program;
  uint64_t rows;

  static void grow(uint64_t& part, uint64_t bytes) { part = std::max(part, bytes); }

  // The input of products, where one of them may be computed in integers, and with `halves`, those with
  // prompts, by cooperative matrices. Which kernels a device chooses does not change the plan.
  void round(uint32_t cols, uint64_t count, std::initializer_list<Weight> weights, bool halves) const {
    for (const Weight weight : weights) {
      if (!weight) continue;
      const bool bytes = multiplies_integers(program.weights[weight.id - 1].type);
      const uint32_t words = halves ? halved_words(cols) : bytes ? rounded_words(cols) : 0;
      grow(w.rounded, align_up(count * words * sizeof(uint32_t), 256));
    }
  }

  void operator()(const Embed& o) const { grow(w.embedded, floats(rows * o.out.cols)); }
  void operator()(const Norm&) const {}
  void operator()(const Linear& o) const { round(o.in.cols, rows, {o.weight}, rows > 1); }
  void operator()(const Combine&) const {}
  void operator()(const Patch&) const {}         // refused
  void operator()(const Resample&) const {}      // refused
  void operator()(const Carries auto&) const {}  // refused
  void operator()(const Gated& o) const { round(o.in.cols, rows, {o.gate, o.up}, rows > 1); }
  void operator()(const Qkv& o) const {
    round(o.in.cols, rows, {o.wq, o.wk, o.wv}, rows > 1);
    grow(w.keys, floats(rows * o.heads.kv_heads * o.heads.k_size));
    grow(w.values, floats(rows * o.heads.kv_heads * o.heads.v_size));
  }
  void operator()(const QkvLatent&) const {}  // refused
  void operator()(const Attend& o) const {
    grow(w.parts, floats(std::min<uint64_t>(rows, most_exact_rows) * o.heads.q_heads * most_chunks *
                         (o.heads.v_size + 2)));
  }
  void operator()(const Route& o) const {
    round(o.in.cols, rows, {o.router}, false);
    grow(w.scores, floats(rows * o.experts));
  }
  void operator()(const Experts& o) const {
    const uint64_t pairs = std::min<uint64_t>(rows, expert_rows) * o.used;
    grow(w.hidden, floats(pairs * o.hidden));
    grow(w.mixed, floats(pairs * o.out.cols));
    round(o.in.cols, rows, {o.gate, o.up}, rows > 1);
    round(o.hidden, pairs, {o.down}, rows > 1);
    const auto stack = static_cast<uint32_t>(program.weights[o.gate.id - 1].shape.stack);
    grow(w.groups, floats(pairs + 1 + 3 * uint64_t{most_tiles(static_cast<uint32_t>(pairs), stack)}));
  }
  void operator()(const Logits& o) const {
    round(o.in.cols, rows, {o.weight}, false);
    grow(w.gathered, floats(rows * o.in.cols));
  }
  void operator()(const Pool& o) const {
    round(o.in.cols, rows, {o.classifier}, false);
    grow(w.gathered, floats(rows * o.in.cols));
  }
  void operator()(const Transfer& o) const {
    w.crossing += floats(rows * (o.to_host ? o.in.cols : o.out.cols));
  }
};

}  // namespace

AttendShape attend_shape(const HeadShape& h) {
  AttendShape s;
  const uint32_t size = std::max(h.k_size, h.v_size);
  s.queries = size <= 128 ? 16 : size <= 256 ? 8 : 4;
  s.heads = std::min(std::max(1U, h.q_heads / std::max(1U, h.kv_heads)), s.queries);
  s.rows = s.queries / s.heads;
  return s;
}

std::vector<uint32_t> block_sizes(const Program& program) {
  std::vector<uint32_t> sizes;
  for (const Op& op : program.ops) {
    if (const auto* attend = std::get_if<Attend>(&op)) sizes.push_back(attend_shape(attend->heads).rows);
  }
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

StepTables step_tables(const Program& program, uint32_t rows) {
  StepTables t;
  const auto take = [&](uint32_t words) {
    const uint32_t at = t.words;
    t.words += words;
    return at;
  };
  t.rows = take(3 * rows);
  t.results = take(rows);
  t.slices = take(2 * rows);
  for (const RopeTable& rope : program.ropes)
    t.ropes.push_back(take(rows * 2 * static_cast<uint32_t>(rope.inv_freq.size())));
  for (size_t i = 0; i < block_sizes(program).size(); ++i) t.blocks.push_back(take(2 * rows));
  t.pages = take(page_words * static_cast<uint32_t>(program.caches.size()));
  return t;
}

uint32_t rounded_words(uint32_t cols) { return cols / 4 + (cols / 32 + 3) / 4 * 4; }
uint32_t halved_words(uint32_t cols) { return cols / 2 + 4; }

uint32_t most_tiles(uint32_t pairs, uint32_t experts) { return std::min(pairs, experts) + pairs / 64; }

Workspace workspace_of(const Program& program, uint32_t rows) {
  Workspace w;
  for (const Op& op : program.ops) std::visit(Measure{w, program, rows}, op);
  w.steps = align_up(uint64_t{step_tables(program, rows).words} * sizeof(uint32_t), 256);
  w.upload = upload_bytes;
  return w;
}

uint32_t rows_of(const Program& program, uint64_t bytes) {
  uint32_t least = 0, most = 1U << 14;
  while (least < most) {
    const uint32_t middle = (least + most + 1) / 2;
    const Workspace w = workspace_of(program, middle);
    if (w.device() + w.host() <= bytes) {
      least = middle;
    } else {
      most = middle - 1;
    }
  }
  return least;
}

}  // namespace hearth::vulkan
