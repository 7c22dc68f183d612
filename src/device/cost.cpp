#include "device/cost.h"

#include <algorithm>

namespace hearth {
namespace {

uint64_t weight_bytes(const Program& program, Weight weight) {
  if (!weight) return 0;
  const WeightInfo& w = program.weights[weight.id - 1];
  return row_bytes(w.type, w.shape.cols).value_or(0) * w.shape.rows * w.shape.stack;
}

Cost product(const Program& program, Weight weight, uint64_t rows) {
  if (!weight) return {};
  const Shape& shape = program.weights[weight.id - 1].shape;
  return {weight_bytes(program, weight), 2 * rows * shape.rows * shape.cols};
}

struct Counter {
  const StepShape& step;
  const Program& program;

  Cost of(Weight w) const { return product(program, w, step.rows); }
  // Only the heads' rows are read.
  Cost of(Weight weight, const HeadRows& h) const {
    const WeightInfo& w = program.weights[weight.id - 1];
    const uint64_t rows = uint64_t{h.heads} * h.rows;
    return {row_bytes(w.type, w.shape.cols).value_or(0) * rows, 2 * step.rows * rows * w.shape.cols};
  }
  // The values of its cache are part of the keys.
  bool shares(const Attend& o) const {
    return o.kv.group < program.caches.size() && program.caches[o.kv.group].v_size == 0;
  }

  Cost operator()(const Embed& o) const {
    return {row_bytes(program.weights[o.table.id - 1].type, o.out.cols).value_or(0) * step.rows, 0};
  }
  Cost operator()(const Norm& o) const { return {0, uint64_t{4} * step.rows * o.in.cols}; }
  Cost operator()(const Linear& o) const { return o.heads.heads != 0 ? of(o.weight, o.heads) : of(o.weight); }
  Cost operator()(const Qkv& o) const {
    Cost c = of(o.wq);
    c += of(o.wk);
    c += of(o.wv);
    return c;
  }
  Cost operator()(const QkvLatent& o) const {
    Cost c = of(o.wq);
    c += of(o.wk, o.keys);
    return c;
  }
  Cost operator()(const Attend& o) const {
    const uint64_t seen = o.mask.window != 0 ? std::min<uint64_t>(step.context, o.mask.window) : step.context;
    const double values = shares(o) ? 0 : o.heads.v_size * step.kv_bytes_v;
    const double per_token = o.heads.k_size * step.kv_bytes_k + values;
    const double again = o.two_pass ? o.heads.k_size * step.kv_bytes_k : 0;  // keys, read twice
    const uint64_t sizes = (o.two_pass ? 2 : 1) * uint64_t{o.heads.k_size} + o.heads.v_size;
    return {static_cast<uint64_t>(static_cast<double>(seen) * o.heads.kv_heads * (per_token + again)) *
                    step.sequences +
                weight_bytes(program, o.sinks),
            2 * seen * step.rows * o.heads.q_heads * sizes};
  }
  Cost operator()(const Gated& o) const {
    Cost c = of(o.gate);
    c += of(o.up);
    return c;
  }
  Cost operator()(const Route& o) const { return of(o.router); }
  Cost operator()(const Experts& o) const {
    Cost all = product(program, o.gate, step.rows);
    all += product(program, o.up, step.rows);
    all += product(program, o.down, step.rows);
    const uint64_t stack = std::max<uint64_t>(1, program.weights[o.down.id - 1].shape.stack);
    const uint64_t touched = std::min<uint64_t>(stack, uint64_t{o.used} * step.rows);
    return {all.bytes / stack * touched, all.flops * o.used};
  }
  // What is carried is read and written, once per sequence.
  uint64_t state_bytes(StateRef state) const {
    return uint64_t{2} * sizeof(float) * program.caches[state.group].state * step.sequences;
  }
  Cost operator()(const ShortConv& o) const {
    const Shape& kernel = program.weights[o.kernel.id - 1].shape;
    const uint64_t factors = (o.pre ? 1 : 0) + (o.post ? 1 : 0);
    return {weight_bytes(program, o.kernel) + weight_bytes(program, o.bias) + state_bytes(o.state),
            step.rows * kernel.rows * (2 * kernel.cols + factors)};
  }
  Cost operator()(const Scan& o) const {
    Cost c = of(o.project);
    c.bytes += weight_bytes(program, o.step_bias) + weight_bytes(program, o.a) +
               weight_bytes(program, o.skip) + state_bytes(o.state);
    // A decay, two multiplications and additions per number of the state; the exponential counts as one.
    c.flops += uint64_t{step.rows} * o.out.cols * o.states * (o.each_state ? 7 : 5);
    return c;
  }
  Cost operator()(const Delta& o) const {
    // Read against k, brought forward, read against q: seven operations per number of the state.
    return {weight_bytes(program, o.alpha_bias) + weight_bytes(program, o.a) + weight_bytes(program, o.gain) +
                state_bytes(o.state),
            uint64_t{7} * step.rows * o.out.cols * o.size};
  }
  Cost operator()(const Shift& o) const {
    return {weight_bytes(program, o.mix) + state_bytes(o.state), uint64_t{3} * step.rows * o.out.cols};
  }
  Cost operator()(const Combine& o) const { return {0, uint64_t{3} * step.rows * o.in.cols}; }
  Cost operator()(const Patch& o) const {
    Cost c = of(o.weight);
    if (o.positions)
      c.bytes += row_bytes(program.weights[o.positions.id - 1].type, o.out.cols).value_or(0) * step.rows;
    return c;
  }
  Cost operator()(const Resample& o) const {
    return {0, o.kind == ResampleKind::average ? uint64_t{step.rows} * o.in.cols : 0};
  }
  Cost operator()(const Logits& o) const {
    return step.wanted == 0 ? Cost{} : product(program, o.weight, step.wanted);
  }
  Cost operator()(const Pool& o) const { return product(program, o.classifier, step.wanted); }
  Cost operator()(const Transfer&) const { return {}; }
};

}  // namespace

Cost cost(const Op& op, const StepShape& step, const Program& program) {
  return std::visit(Counter{step, program}, op);
}

Cost cost(const Program& program, const StepShape& step) {
  Cost sum;
  StepShape here = step;
  for (const Op& op : program.ops) {
    sum += cost(op, here, program);
    here.rows = rows_behind(op, here.rows);
  }
  return sum;
}

}  // namespace hearth
