#include "worker/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "device/layout.h"

namespace hearth {
namespace {

constexpr uint32_t out_slot = most_inputs;

// One operation between its transfers: inputs from the first host copies, the output to the last.
Program alone(const Program& whole, size_t index) {
  Program p = whole;
  p.ops.clear();
  p.layer_of.clear();
  const Operands o = operands(whole.ops[index]);
  const auto push = [&](const Op& op) {
    p.ops.push_back(op);
    p.layer_of.push_back(whole.layer_of[index]);
  };
  std::vector<uint32_t> here;
  for (uint32_t i = 0; i < most_inputs; ++i) {
    const Act in = o.in[i];
    if (!in || std::find(here.begin(), here.end(), in.id) != here.end()) continue;
    here.push_back(in.id);
    push(Transfer{{}, in, false, i});
  }
  push(whole.ops[index]);
  if (o.out) push(Transfer{o.out, {}, true, out_slot});
  return p;
}

// Sums of how many products a value of the operation is.
double terms(const Op& op) {
  const uint32_t cols = operands(op).in[0].cols;
  if (const auto* e = std::get_if<Experts>(&op)) return std::max(e->hidden, cols);
  if (const auto* a = std::get_if<Attend>(&op)) return a->heads.k_size;
  if (std::holds_alternative<ShortConv>(op) || std::holds_alternative<Shift>(op)) return 1;
  if (const auto* s = std::get_if<Scan>(&op)) return s->states;
  if (const auto* d = std::get_if<Delta>(&op)) return d->size;
  return std::max(1U, cols);
}

// What rounding explains, relative to the largest value of a row: sums of n products in another order differ
// by about √n ulps of the largest partial sum, for which sixteen times the result is allowed; and a cached
// value may fall on the other side of a step of its type.
double tolerance_of(const Op& op, KvTypes kv) {
  constexpr double ulp = 1.0 / (1 << 23);
  double t = 8 * 16 * ulp * std::sqrt(terms(op));
  if (std::holds_alternative<Attend>(op)) {
    for (const KvType type : {kv.k, kv.v}) {
      if (type == KvType::f16) t = std::max(t, 1.0 / 512);
      if (type == KvType::q8_0) t = std::max(t, 1.0 / 32);
      if (type == KvType::q4_0) t = std::max(t, 1.0 / 4);
    }
  }
  return t;
}

class Side {
 public:
  Side(Device& device, const BoundModel& model, const Gguf& file, KvTypes kv, uint32_t rows)
      : device_(device), rows_(rows) {
    for (const Op& op : model.program.ops) {
      if (const auto refusal = device.refuse(op, model.program, kv)) {
        throw Error(Code::unsupported,
                    fmt::format("device {} cannot compute {} of this model: {}", device.info().name,
                                kind_name(op), refusal->detail),
                    "compare another file of this model");
      }
    }
    reserve(model.program, kv);
    for (uint32_t i = 0; i < model.tensors.size(); ++i) device.load({i + 1}, file.view(*model.tensors[i]));
  }

  void run(const Program& program, const StepInputs& inputs) {
    const auto executable = device_.prepare(program, lay_out(program, rows_));
    executable->run(inputs);
    const auto results = executable->results();
    results_.assign(results.begin(), results.end());
  }
  const std::vector<float>& results() const { return results_; }

 private:
  // Room for every operation alone, with the transfers of the largest.
  void reserve(const Program& program, KvTypes kv) {
    uint64_t arena = 0, crossing = 0;
    Program widest = program;
    for (size_t i = 0; i < program.ops.size(); ++i) {
      const Program one = alone(program, i);
      arena = std::max(arena, lay_out(one, rows_).peak);
      uint64_t cols = 0;
      for (const Act& in : operands(program.ops[i]).in) cols += in.cols;
      cols += operands(program.ops[i]).out.cols;
      if (cols <= crossing) continue;
      crossing = cols;
      widest = program;
      for (const Op& op : one.ops) {
        if (!std::holds_alternative<Transfer>(op)) continue;
        widest.ops.push_back(op);
        widest.layer_of.push_back(0xffff);
      }
    }
    DeviceBuffers plan;
    plan.kv = kv;
    uint64_t cache = 0;
    for (const CacheGroup& c : program.caches) {
      plan.pages.push_back((rows_ + page_tokens - 1) / page_tokens);
      cache += plan.pages.back() * page_bytes(profile_of(c), kv);
    }
    plan.device = device_.info().name;
    plan.buffers = {{BufferKind::weights, device_.resident(widest), false},
                    {BufferKind::kv, cache, false},
                    {BufferKind::arena, arena, false},
                    {BufferKind::workspace, device_.workspace(widest, rows_), false},
                    {BufferKind::results, uint64_t{rows_} * program.outputs * sizeof(float), false}};
    device_.reserve(plan, widest);
  }

  Device& device_;
  uint32_t rows_;
  std::vector<float> results_;
};

// The largest difference in terms of its row's tolerance.
void measure(std::span<const float> a, std::span<const float> b, uint32_t cols, double tolerance,
             OpDifference& d) {
  double worst = -1;
  for (size_t at = 0; at + cols <= a.size() && cols > 0; at += cols) {
    double largest = 0;
    for (size_t c = 0; c < cols; ++c) largest = std::max(largest, std::fabs(static_cast<double>(a[at + c])));
    const double allowed = tolerance * largest + 1e-30;
    for (size_t c = 0; c < cols; ++c) {
      const double x = a[at + c], y = b[at + c], difference = x == y ? 0 : std::fabs(x - y);
      // What is no number differs from everything.
      const double ratio = std::isnan(difference) ? INFINITY : difference / allowed;
      if (ratio <= worst) continue;
      worst = ratio;
      d.row = static_cast<uint32_t>(at / cols);
      d.column = static_cast<uint32_t>(c);
      d.reference = x;
      d.other = y;
      d.difference = difference;
      d.tolerance = allowed;
    }
  }
}

std::string first_tensor(const Program& program, const Op& op) {
  const auto name = [&](Weight w) { return w ? program.weights[w.id - 1].name : std::string(); };
  if (const auto* o = std::get_if<Embed>(&op)) return name(o->table);
  if (const auto* o = std::get_if<Norm>(&op)) return name(o->gain);
  if (const auto* o = std::get_if<Linear>(&op)) return name(o->weight);
  if (const auto* o = std::get_if<Qkv>(&op)) return name(o->wq);
  if (const auto* o = std::get_if<QkvLatent>(&op)) return name(o->wq);
  if (const auto* o = std::get_if<Gated>(&op)) return name(o->gate);
  if (const auto* o = std::get_if<Patch>(&op)) return name(o->weight);
  if (const auto* o = std::get_if<Route>(&op)) return name(o->router);
  if (const auto* o = std::get_if<Experts>(&op)) return name(o->gate);
  if (const auto* o = std::get_if<ShortConv>(&op)) return name(o->kernel);
  if (const auto* o = std::get_if<Scan>(&op)) return name(o->a);
  if (const auto* o = std::get_if<Delta>(&op)) return name(o->a);
  if (const auto* o = std::get_if<Shift>(&op)) return name(o->mix);
  if (const auto* o = std::get_if<Logits>(&op)) return name(o->weight);
  return {};
}

// The step that is computed: one sequence, its first rows with the kernels of generation.
struct Input {
  Input(const Program& program, uint32_t rows, uint32_t vocabulary) {
    for (uint32_t i = 0; i < rows; ++i) {
      tokens.push_back({static_cast<int32_t>((i * 7919U + 13U) % vocabulary)});
      positions.push_back(i);
      pages.push_back({i / page_tokens});
    }
    for (uint32_t i = 0; i < pages.size(); ++i) pages[i] = {i};
    // A few rows of scores are enough.
    for (uint32_t i = 0; i < rows; i += 8) wanted.push_back(i);
    tables.assign(program.caches.size(), pages);
    slices = {{0, rows, 0}};
    step.tokens = tokens;
    step.positions = positions;
    step.slices = slices;
    step.page_tables = tables;
    step.table_stride = static_cast<uint32_t>(pages.size());
    step.result_rows = wanted;
    step.exact_rows = std::min(rows, 9U);
  }
  std::vector<TokenId> tokens;
  std::vector<uint32_t> positions, wanted;
  std::vector<PageId> pages;
  std::vector<Slice> slices;
  std::vector<std::span<const PageId>> tables;
  StepInputs step;
};

}  // namespace

std::optional<OpDifference> compare_devices(const BoundModel& model, const Gguf& file, Device& reference,
                                            Device& other, KvTypes kv, uint32_t rows,
                                            const std::function<void(const OpDifference&)>& seen) {
  const Program& program = model.program;
  Side first(reference, model, file, kv, rows), second(other, model, file, kv, rows);
  Input input(program, rows, model.hyper.vocabulary);
  std::vector<std::vector<float>> values(program.acts.size());  // [act id − 1] as the reference made them
  for (uint32_t i = 0; i < program.ops.size(); ++i) {
    const Program one = alone(program, i);
    const Operands o = operands(program.ops[i]);
    std::vector<std::vector<float>> outs(2, std::vector<float>(size_t{rows} * o.out.cols));
    std::vector<std::span<float>> host(out_slot + 1);
    for (uint32_t k = 0; k < most_inputs; ++k) {
      if (o.in[k]) host[k] = values[o.in[k].id - 1];
    }
    for (uint32_t s = 0; s < 2; ++s) {
      host[out_slot] = outs[s];
      input.step.host = host;
      (s == 0 ? first : second).run(one, input.step);
    }
    OpDifference d{i, program.layer_of[i], std::string(kind_name(program.ops[i])),
                   first_tensor(program, program.ops[i])};
    const double tolerance = tolerance_of(program.ops[i], kv);
    if (o.out) {
      measure(outs[0], outs[1], o.out.cols, tolerance, d);
      values[o.out.id - 1] = std::move(outs[0]);
    } else {
      measure(first.results(), second.results(), program.outputs, tolerance, d);
    }
    seen(d);
    if (!(d.difference <= d.tolerance)) return d;
  }
  return std::nullopt;
}

}  // namespace hearth
