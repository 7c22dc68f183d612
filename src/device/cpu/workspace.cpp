#include <algorithm>

#include "base/checked.h"
#include "device/cpu/cpu_device.h"

namespace hearth::cpu {
namespace {

// The largest needs of any operation.
struct Needs {
  const Program& program;
  uint64_t rows;
  uint64_t widest = 0;   // columns of a projection's input
  uint64_t block = 0;    // floats of one thread's block of results
  uint64_t experts = 0;  // floats

  uint32_t rows_of(Weight w) const { return static_cast<uint32_t>(program.weights[w.id - 1].shape.rows); }
  void input(Act a) { widest = std::max<uint64_t>(widest, a.cols); }
  void result(uint64_t floats) { block = std::max(block, floats); }

  void operator()(const Embed&) {}
  void operator()(const Norm&) {}
  void operator()(const Combine&) {}
  void operator()(const Transfer&) {}
  void operator()(const Linear& o) {
    input(o.in);
    result(rows * unit_rows);
  }
  void operator()(const Gated& o) {
    input(o.in);
    result(2 * rows * unit_rows);
  }
  void operator()(const Qkv& o) {
    input(o.in);
    result(rows * std::max(o.heads.k_size, o.heads.v_size));
  }
  void operator()(const Attend& o) {
    constexpr uint64_t queries = 16;
    result(queries * (o.heads.k_size + o.heads.v_size + page_tokens + 2));
  }
  void operator()(const Logits& o) { input(o.in); }
  void operator()(const Pool& o) { input(o.in); }
  void operator()(const Route& o) { result(o.experts); }
  void operator()(const Experts& o) { experts = std::max(experts, rows * o.used * o.hidden); }
};

}  // namespace

Workspace workspace_of(const Program& program, uint32_t rows) {
  Needs needs{program, rows};
  for (const Op& op : program.ops) std::visit(needs, op);
  Workspace w;
  constexpr uint64_t line = 64;
  w.acts = align_up(needs.widest * rows * sizeof(float), line);
  w.block = align_up(needs.block * sizeof(float), line);
  // Behind the panels: the decoded rows of one panel, or the norm of one row while the activations are
  // packed.
  const uint64_t behind = std::max<uint64_t>(uint64_t{panel_rows} * panel_cols, needs.widest);
  w.panel = align_up((uint64_t{unit_rows} * panel_cols + behind) * sizeof(float), line);
  w.norm = align_up(std::min<uint64_t>(rows, most_exact_rows) * needs.widest * sizeof(float), line);
  w.norm = std::max(w.norm, align_up(8 * needs.widest * sizeof(float), line));
  w.experts = align_up(needs.experts * sizeof(float), line);
  for (const RopeTable& rope : program.ropes) {
    w.rope_offset.push_back(w.rope);
    w.rope += align_up(2 * uint64_t{rows} * rope.inv_freq.size() * sizeof(float), line);
  }
  return w;
}

}  // namespace hearth::cpu
