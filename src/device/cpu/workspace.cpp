#include <algorithm>

#include "base/checked.h"
#include "device/cpu/attend.h"
#include "device/cpu/cpu_device.h"
#include "device/cpu/experts.h"
#include "device/cpu/latent.h"
#include "device/cpu/packer.h"
#include "device/cpu/picture.h"

namespace hearth::cpu {
namespace {

// The largest needs of any operation.
struct Needs {
  const Program& program;
  uint64_t rows;
  uint32_t unit;
  const AttendKernels& attend;
  uint64_t widest = 0;   // columns of a projection's input
  uint64_t block = 0;    // floats of one thread's block of results
  uint64_t experts = 0;  // bytes

  uint32_t rows_of(Weight w) const { return static_cast<uint32_t>(program.weights[w.id - 1].shape.rows); }
  void input(Act a) { widest = std::max<uint64_t>(widest, a.cols); }
  void result(uint64_t floats) { block = std::max(block, floats); }

  void operator()(const Embed&) {}
  void operator()(const Norm&) {}
  void operator()(const Combine&) {}
  void operator()(const Shift&) {}
  void operator()(const Transfer&) {}
  void operator()(const Linear& o) {
    if (o.heads.heads != 0) return result(head_linear_floats(o, rows));
    input(o.in);
    result(rows * unit_stride(unit));
  }
  void operator()(const Gated& o) {
    input(o.in);
    result(2 * rows * unit_stride(gated_unit(unit)));
  }
  void operator()(const Qkv& o) {
    input(o.in);
    const uint32_t size = std::max(o.heads.k_size, o.heads.v_size);
    result(rows * heads_of_unit(size, unit) * unit_stride(size));
  }
  void operator()(const QkvLatent& o) {
    input(o.in);
    result(latent_floats(o, rows));
  }
  void operator()(const Attend& o) {
    constexpr uint64_t queries = 16;
    result(queries * (o.heads.k_size + o.heads.v_size + page_tokens + 2));
    result(attend_prompt_floats(o.heads, attend));
  }
  void operator()(const Patch& o) { result(patch_floats(o)); }
  void operator()(const Resample&) {}
  void operator()(const ShortConv& o) {
    result(2 * program.weights[o.kernel.id - 1].shape.cols * o.out.cols);  // the kernel, and what it sees
  }
  void operator()(const Scan&) { result(rows * scan_heads); }
  void operator()(const Delta& o) { result(2 * uint64_t{o.size}); }
  void operator()(const Logits& o) { input(o.in); }
  void operator()(const Pool& o) { input(o.in); }
  void operator()(const Route& o) { result(route_floats(o)); }
  void operator()(const Experts& o) {
    const auto stack = static_cast<uint32_t>(program.weights[o.down.id - 1].shape.stack);
    experts = std::max(experts, experts_space(static_cast<uint32_t>(rows), o, stack).bytes);
    result(2 * rows * unit_rows);
  }
};

// How a program's weights are used: which are matrices of products, and which of those may be woven.
struct Uses {
  const Program& program;
  std::vector<bool> product, woven;

  explicit Uses(const Program& p)
      : program(p), product(p.weights.size(), false), woven(p.weights.size(), false) {}

  void matrix(Weight w, bool weave = true) {
    if (!w) return;
    product[w.id - 1] = true;
    // Strips must not reach across the matrices of a stack.
    const Shape& shape = program.weights[w.id - 1].shape;
    woven[w.id - 1] = weave && (shape.stack == 1 || shape.rows % strip_rows == 0);
  }
  void operator()(const Linear& o) { matrix(o.weight, o.heads.heads == 0); }
  void operator()(const Gated& o) { matrix(o.gate), matrix(o.up); }
  void operator()(const Logits& o) { matrix(o.weight); }
  // A head is a unit of work: strips must not reach across heads.
  void operator()(const Qkv& o) {
    matrix(o.wq, o.heads.k_size % strip_rows == 0);
    matrix(o.wk, o.heads.k_size % strip_rows == 0);
    matrix(o.wv, o.heads.v_size % strip_rows == 0);
  }
  // The heads' matrices are read row by row, from wherever they begin.
  void operator()(const QkvLatent& o) {
    matrix(o.wq, (o.shape.plain + o.shape.rotated) % strip_rows == 0);
    matrix(o.wk, false);
  }
  void operator()(const Experts& o) { matrix(o.gate), matrix(o.up), matrix(o.down); }
  template <class Other>
  void operator()(const Other&) {}
};

}  // namespace

std::vector<Residence> residence_of(const Program& program, const ResolvedTable& table, uint64_t& bytes) {
  Uses uses(program);
  for (const Op& op : program.ops) std::visit(uses, op);
  std::vector<Residence> homes(program.weights.size());
  bytes = 0;
  for (size_t i = 0; i < homes.size(); ++i) {
    if (!uses.product[i]) continue;
    const WeightInfo& w = program.weights[i];
    const auto type = static_cast<uint32_t>(w.type);
    const PackedForm* form = table.packed(type) != nullptr ? packed_form(type) : nullptr;
    const bool weave = uses.woven[i] && form != nullptr;
    const uint64_t plain = row_bytes(w.type, w.shape.cols).value_or(0) * w.shape.rows * w.shape.stack;
    homes[i] = {weave ? Residence::Kind::packed : Residence::Kind::copied, bytes,
                weave ? packed_bytes(*form, w.shape.rows * w.shape.stack, w.shape.cols) : plain};
    constexpr uint64_t line = 64;
    bytes = align_up(bytes + homes[i].bytes, line);
  }
  return homes;
}

Workspace workspace_of(const Program& program, uint32_t rows, const CpuDevice& device) {
  Needs needs{program, rows, device.most_unit_rows(), device.attend()};
  for (const Op& op : program.ops) std::visit(needs, op);
  Workspace w;
  constexpr uint64_t line = 64;
  w.acts = align_up(needs.widest * align_up(uint64_t{rows}, most_act_rows) * sizeof(float), line);
  w.block = align_up(needs.block * sizeof(float), line);
  // Behind the panels: the decoded rows of one panel, or the norm of one row while the activations are
  // packed.
  const uint64_t behind = std::max<uint64_t>(uint64_t{panel_rows} * most_panel_cols, needs.widest);
  w.panel = align_up((uint64_t{unit_rows} * most_panel_cols + behind) * sizeof(float), line);
  w.norm = align_up(std::min<uint64_t>(rows, most_exact_rows) * needs.widest * sizeof(float), line);
  w.norm = std::max(w.norm, align_up(8 * needs.widest * sizeof(float), line));
  const uint64_t exact = std::max<uint64_t>(std::min<uint64_t>(rows, most_exact_rows), 8);
  w.integers = rows * integer_row(needs.widest).bytes;
  w.exact_integers = exact * integer_row(needs.widest).bytes;
  w.experts = align_up(needs.experts, line);
  for (const RopeTable& rope : program.ropes) {
    w.rope_offset.push_back(w.rope);
    w.rope += align_up(2 * uint64_t{rows} * rope.inv_freq.size() * sizeof(float), line);
  }
  return w;
}

}  // namespace hearth::cpu
