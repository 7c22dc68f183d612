#include "model/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"

namespace hearth {

Builder::Builder(std::vector<RopeTable> ropes, std::vector<CacheGroup> caches,
                 std::vector<WeightInfo> weights) {
  program_.ropes = std::move(ropes);
  program_.caches = std::move(caches);
  program_.weights = std::move(weights);
}

Act Builder::fresh(uint32_t cols) {
  program_.acts.push_back({cols});
  return {static_cast<uint32_t>(program_.acts.size()), cols};
}

void Builder::expect(Act x, uint32_t cols, const char* where) const {
  if (x.cols == cols) return;
  throw Error(Code::bug,
              fmt::format("{} of layer {} gets {} columns, expects {}", where, layer_, x.cols, cols),
              "report this model");
}

void Builder::expect(Weight weight, const Shape& shape, const char* where) const {
  if (!weight)
    throw Error(Code::bug, fmt::format("{} of layer {} lacks a weight", where, layer_), "report this model");
  const WeightInfo& w = program_.weights[weight.id - 1];
  if (w.shape == shape) return;
  throw Error(
      Code::bug,
      fmt::format("{} of layer {} expects '{}' as {} × {} × {}, finds {} × {} × {}", where, layer_, w.name,
                  shape.stack, shape.rows, shape.cols, w.shape.stack, w.shape.rows, w.shape.cols),
      "report this model");
}

void Builder::expect(Weight weight, const HeadRows& h, uint64_t cols, const char* where) const {
  const WeightInfo& w = program_.weights[weight.id - 1];
  const uint64_t last = h.heads == 0 ? 0 : uint64_t{h.heads - 1} * h.pitch + h.first + h.rows;
  if (h.heads != 0 && w.shape.cols == cols && w.shape.rows * w.shape.stack >= last) return;
  throw Error(Code::bug,
              fmt::format("{} of layer {} expects {} rows of {} columns in '{}', finds {} of {}", where,
                          layer_, last, cols, w.name, w.shape.rows * w.shape.stack, w.shape.cols),
              "report this model");
}

// As many values, in whatever shape.
void Builder::expect_values(Weight w, uint64_t count, const char* where) const {
  if (w && program_.weights[w.id - 1].shape.values() == count) return;
  expect(w, {1, count, 1}, where);
}

// x has columns up to `end`.
void Builder::expect_columns(Act x, uint64_t end, const char* where) const {
  if (end <= x.cols) return;
  throw Error(Code::bug,
              fmt::format("{} of layer {} gets {} columns, expects {}", where, layer_, x.cols, end),
              "report this model");
}

// Not more activations than an operation can read; each counts once.
void Builder::expect_inputs(std::initializer_list<Act> acts, const char* where) const {
  std::set<uint32_t> ids;
  for (const Act& a : acts) ids.insert(a.id);
  if (ids.size() <= most_inputs) return;
  throw Error(
      Code::bug,
      fmt::format("{} of layer {} reads {} activations, {} at most", where, layer_, ids.size(), most_inputs),
      "report this model");
}

void Builder::expect_state(StateRef state, uint64_t floats, const char* where) const {
  const uint64_t found = state.group < program_.caches.size() ? program_.caches[state.group].state : 0;
  if (found == floats) return;
  throw Error(
      Code::bug,
      fmt::format("{} of layer {} finds a state of {} numbers, expects {}", where, layer_, found, floats),
      "report this model");
}

void Builder::push(Op op) {
  for (const Act& in : operands(op).in) {
    if (!in || in.id > stale_) continue;
    throw Error(
        Code::bug,
        fmt::format("{} of layer {} reads rows of before their number changed", kind_name(op), layer_),
        "report this model");
  }
  program_.ops.push_back(op);
  program_.layer_of.push_back(layer_);
}

Act Builder::embed(const LinearW& table, float scale) {
  const Act out = fresh(table.in);
  push(Embed{out, table.weight, scale * table.scale});
  return out;
}

Act Builder::norm(Act x, const NormW& w, NormKind kind, float eps, uint32_t parts) {
  if (parts == 0 || x.cols % parts != 0) expect({0, x.cols / std::max(1U, parts) * parts}, x.cols, "norm");
  const Act out = fresh(x.cols);
  push(Norm{x, out, w.gain, w.bias, kind, eps, parts});
  return out;
}

Act Builder::linear(Act x, const LinearW& w, Act residual, Act1 act) {
  expect(x, w.in, "projection");
  if (residual) expect(residual, w.out, "residual");
  const Act out = fresh(w.out);
  push(Linear{x, out, w.weight, w.bias, residual, act, w.scale});
  return out;
}

Act Builder::qkv(Act x, const QkvW& w, const HeadShape& heads, KvRef kv) {
  expect(x, w.q.in, "q projection");
  const Act q = fresh(heads.q_heads * heads.k_size * (w.gated ? 2 : 1));
  expect({0, q.cols}, w.q.out, "q projection");
  push(Qkv{x, q, w.q.weight, w.k.weight, w.v.weight, w.q.bias, w.k.bias, w.v.bias, w.q_norm.gain,
           w.k_norm.gain, w.eps, w.q.scale, w.k.scale, w.v.scale, w.rope, kv, heads, w.gated});
  return q;
}

Act Builder::qkv_latent(Act x, Act latent, const LatentW& w, const LatentShape& s, KvRef kv) {
  expect(w.q.weight, {uint64_t{s.heads} * (s.plain + s.rotated), x.cols, 1}, "latent attention");
  expect(latent, s.key(), "latent attention");
  expect(w.norm.gain, {1, s.latent, 1}, "latent attention");
  expect({0, w.keys.rows}, w.upright ? s.plain : s.latent, "latent attention");
  expect(w.k.weight, w.keys, w.upright ? s.latent : s.plain, "latent attention");
  const Act q = fresh(s.heads * s.key());
  push(QkvLatent{x, latent, q, w.q.weight, w.q.bias, w.k.weight, w.norm.gain, w.keys, w.upright, w.eps,
                 w.q.scale, w.k.scale, w.rope, kv, s});
  return q;
}

Act Builder::head_linear(Act x, const LinearW& w, const HeadRows& heads) {
  expect(w.weight, heads, x.cols / std::max(1U, heads.heads), "projection of heads");
  expect(x, heads.heads * w.in, "projection of heads");
  if (w.bias) expect(w.bias, {1, uint64_t{heads.heads} * heads.rows, 1}, "projection of heads");
  const Act out = fresh(heads.heads * heads.rows);
  push(Linear{x, out, w.weight, w.bias, {}, Act1::none, w.scale, heads});
  return out;
}

Act Builder::attend(Act q, KvRef kv, const AttendSpec& spec) {
  expect(q, spec.heads.q_heads * spec.heads.k_size * (spec.gated ? 2 : 1), "attention");
  if (spec.gated) expect({0, spec.heads.v_size}, spec.heads.k_size, "gate of attention");
  if (spec.sinks) {
    const Shape& sinks = program_.weights[spec.sinks.id - 1].shape;
    expect({0, static_cast<uint32_t>(sinks.rows * sinks.cols)}, spec.heads.q_heads, "sinks");
  }
  const Act out = fresh(spec.heads.q_heads * spec.heads.v_size);
  push(Attend{q, out, kv, spec.mask, spec.scale, spec.soft_cap, spec.heads, spec.sinks, false, spec.gated});
  return out;
}

Act Builder::gated(Act x, const GatedW& w, Act1 act) {
  expect(x, w.gate.in, "feed-forward");
  const Act out = fresh(w.gate.out);
  push(Gated{x, out, w.gate.weight, w.up.weight, w.gate.bias, w.up.bias, w.gate.scale, w.up.scale, act});
  return out;
}

Act Builder::short_conv(Act x, const ShortConvW& w, const ShortConvSpec& spec, StateRef state) {
  const uint64_t last = std::max({spec.at, spec.pre.value_or(0), spec.post.value_or(0)});
  expect_columns(x, last + w.channels, "convolution");
  expect(w.kernel, {w.channels, w.taps, 1}, "convolution");
  if (w.bias) expect(w.bias, {1, w.channels, 1}, "convolution");
  expect_state(state, uint64_t{w.taps - 1} * w.channels, "convolution");
  const Act out = fresh(w.channels);
  push(ShortConv{x, out, w.kernel, w.bias, spec.at, spec.pre, spec.post, spec.act, state});
  return out;
}

Act Builder::scan(const ScanInputs& in, const ScanW& w, StateRef state) {
  const uint32_t cols = w.heads * w.size;
  const bool each_state = w.a && program_.weights[w.a.id - 1].shape.cols != 1;
  expect_inputs({in.x.act, in.b.act, in.c.act, in.step.act, in.gate.act}, "scan");
  expect_columns(in.x.act, uint64_t{in.x.at} + cols, "scan");
  expect_columns(in.gate.act, uint64_t{in.gate.at} + cols, "gate of the scan");
  expect_columns(in.b.act, in.b.at + uint64_t{w.groups} * w.states, "scan");
  expect_columns(in.c.act, in.c.at + uint64_t{w.groups} * w.states, "scan");
  expect_columns(in.step.act, uint64_t{in.step.at} + (w.project ? w.project.in : w.heads), "time step");
  // Heads of one channel are scanned many at a time, with the same b and c.
  expect(w.a, {w.heads, each_state && w.size == 1 && w.groups == 1 ? w.states : 1, 1}, "scan");
  expect_values(w.step_bias, w.heads, "time step");
  expect_values(w.skip, w.heads, "scan");
  expect_state(state, uint64_t{cols} * w.states, "scan");
  const Act out = fresh(cols);
  push(Scan{in.x, in.b, in.c, in.step, in.gate, out, w.project.weight, w.step_bias, w.a, w.skip, w.heads,
            w.size, w.groups, w.states, each_state, state});
  return out;
}

Act Builder::delta(const DeltaInputs& in, const DeltaW& w, StateRef state) {
  const uint32_t cols = w.heads * w.size, keys = w.key_heads * w.size;
  expect_inputs({in.q.act, in.k.act, in.v.act, in.alpha.act, in.beta.act, in.gate.act}, "delta rule");
  expect_columns(in.q.act, uint64_t{in.q.at} + keys, "queries of the delta rule");
  expect_columns(in.k.act, uint64_t{in.k.at} + keys, "keys of the delta rule");
  expect_columns(in.v.act, uint64_t{in.v.at} + cols, "values of the delta rule");
  expect_columns(in.gate.act, uint64_t{in.gate.at} + cols, "gate of the delta rule");
  expect_columns(in.alpha.act, uint64_t{in.alpha.at} + w.heads, "delta rule");
  expect_columns(in.beta.act, uint64_t{in.beta.at} + w.heads, "delta rule");
  expect_values(w.alpha_bias, w.heads, "delta rule");
  expect_values(w.a, w.heads, "delta rule");
  expect_values(w.gain, w.size, "delta rule");
  expect_state(state, uint64_t{cols} * w.size, "delta rule");
  const Act out = fresh(cols);
  push(Delta{in.q, in.k, in.v, in.alpha, in.beta, in.gate, out, w.alpha_bias, w.a, w.gain, w.heads,
             w.key_heads, w.size, w.turns, w.eps, state});
  return out;
}

Act Builder::shift(Act x, Weight mix, StateRef state) {
  const uint32_t mixes = mix ? static_cast<uint32_t>(program_.weights[mix.id - 1].shape.rows) : 0;
  expect(mix, {mixes, x.cols, 1}, "shift");
  expect_state(state, x.cols, "shift");
  const Act out = fresh(mixes * x.cols);
  push(Shift{x, out, mix, state});
  return out;
}

Act Builder::experts(Act x, const ExpertsW& w, Act residual, Act1 act) {
  expect(x, w.router.in, "router");
  const Act route = fresh(2 * w.used);
  const RouteSpec& r = w.route;
  if (w.bias) expect(w.bias, {1, w.experts, 1}, "router");
  if (w.used == 0 || r.groups == 0 || w.experts % r.groups != 0 || r.groups_used == 0 ||
      r.groups_used > r.groups || w.used > w.experts / r.groups * r.groups_used) {
    throw Error(Code::corrupt_file,
                fmt::format("{} of {} experts cannot be chosen from {} of {} groups", w.used, w.experts,
                            r.groups_used, r.groups),
                "the metadata contradicts itself: get the file from another source");
  }
  push(Route{x, route, w.router.weight, w.experts, w.used, r.scores, r.renormalise, r.scale, w.bias, r.groups,
             r.groups_used});
  const Act out = fresh(w.down.out);
  push(Experts{x, route, out, residual, w.gate.weight, w.up.weight, w.down.weight, w.gate.scale, w.up.scale,
               w.down.scale, w.used, w.hidden, act});
  return out;
}

Act Builder::patch(const PatchW& w) {
  const LinearW& p = w.projection;
  expect(p.weight, {p.out, uint64_t{w.size} * w.size * w.channels, 1}, "patches");
  if (p.bias) expect(p.bias, {1, p.out, 1}, "patches");
  if (w.positions)
    expect(w.positions, {program_.weights[w.positions.id - 1].shape.rows, p.out, 1}, "positions");
  const Act out = fresh(p.out);
  push(Patch{out, p.weight, p.bias, w.positions, w.size, w.channels, p.scale});
  return out;
}

Act Builder::resample(Act x, ResampleKind kind, uint32_t factor) {
  constexpr uint32_t most = 64;
  if (factor == 0 || factor > most)
    throw Error(Code::corrupt_file, fmt::format("rows cannot be joined {} × {}", factor, factor),
                "the metadata contradicts itself: get the file from another source");
  const Act out = fresh(kind == ResampleKind::merge ? x.cols * factor * factor : x.cols);
  push(Resample{x, out, kind, factor});
  stale_ = out.id - 1;
  return out;
}

void Builder::logits(Act x, const LinearW& w, float scale, float soft_cap) {
  expect(x, w.in, "head");
  push(Logits{x, w.weight, w.bias, scale * w.scale, soft_cap});
  program_.outputs = w.out;
}

void Builder::pool(Act x, PoolKind kind, const LinearW& classifier) {
  const uint32_t outputs = classifier ? classifier.out : x.cols;
  push(Pool{x, kind, classifier.weight, classifier.bias, outputs});
  program_.outputs = outputs;
  program_.pooled = true;
}

Program Builder::finish() && { return std::move(program_); }

}  // namespace hearth
