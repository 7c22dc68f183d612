#include "device/program.h"

#include <algorithm>
#include <initializer_list>

namespace hearth {
namespace {

template <class... F>
struct Match : F... {
  using F::operator()...;
};
template <class... F>
Match(F...) -> Match<F...>;

// Each activation once; the builder has seen to it that there is room.
Operands distinct(std::initializer_list<Act> acts, Act out) noexcept {
  Operands o{{}, out, {}};
  uint32_t n = 0;
  for (const Act& a : acts) {
    if (std::find(o.in, o.in + n, a) == o.in + n && n < most_inputs) o.in[n++] = a;
  }
  return o;
}

Operands reads(const Scan& o) noexcept {
  return distinct({o.x.act, o.b.act, o.c.act, o.step.act, o.gate.act}, o.out);
}
Operands reads(const Delta& o) noexcept {
  return distinct({o.q.act, o.k.act, o.v.act, o.alpha.act, o.beta.act, o.gate.act}, o.out);
}

}  // namespace

std::string_view kind_name(const Op& op) noexcept {
  return std::visit(
      Match{
          [](const Embed&) { return "Embed"; },         [](const Norm&) { return "Norm"; },
          [](const Linear&) { return "Linear"; },       [](const Qkv&) { return "Qkv"; },
          [](const QkvLatent&) { return "QkvLatent"; }, [](const Attend&) { return "Attend"; },
          [](const Gated&) { return "Gated"; },         [](const Route&) { return "Route"; },
          [](const Experts&) { return "Experts"; },     [](const ShortConv&) { return "ShortConv"; },
          [](const Scan&) { return "Scan"; },           [](const Delta&) { return "Delta"; },
          [](const Shift&) { return "Shift"; },         [](const Combine&) { return "Combine"; },
          [](const Patch&) { return "Patch"; },         [](const Resample&) { return "Resample"; },
          [](const Logits&) { return "Logits"; },       [](const Pool&) { return "Pool"; },
          [](const Transfer&) { return "Transfer"; },
      },
      op);
}

Operands operands(const Op& op) noexcept {
  return std::visit(Match{
                        [](const Embed& o) {
                          return Operands{{}, o.out, {}};
                        },
                        [](const Norm& o) {
                          return Operands{{o.in}, o.out, {}};
                        },
                        [](const Linear& o) {
                          return Operands{{o.in, o.residual}, o.out, o.residual};
                        },
                        [](const Qkv& o) {
                          return Operands{{o.in}, o.q, {}};
                        },
                        [](const QkvLatent& o) {
                          return Operands{{o.in, o.latent}, o.q, {}};
                        },
                        [](const Attend& o) {
                          return Operands{{o.q}, o.out, {}};
                        },
                        [](const Gated& o) {
                          return Operands{{o.in}, o.out, {}};
                        },
                        [](const Route& o) {
                          return Operands{{o.in}, o.out, {}};
                        },
                        [](const Experts& o) {
                          return Operands{{o.in, o.route, o.residual}, o.out, o.residual};
                        },
                        [](const ShortConv& o) {
                          return Operands{{o.in}, o.out, {}};
                        },
                        [](const Scan& o) { return reads(o); },
                        [](const Delta& o) { return reads(o); },
                        [](const Shift& o) {
                          return Operands{{o.in}, o.out, {}};
                        },
                        [](const Combine& o) {
                          return Operands{{o.in, o.other}, o.out, o.in};
                        },
                        [](const Patch& o) {
                          return Operands{{}, o.out, {}};
                        },
                        [](const Resample& o) {
                          return Operands{{o.in}, o.out, {}};
                        },
                        [](const Logits& o) {
                          return Operands{{o.in}, {}, {}};
                        },
                        [](const Pool& o) {
                          return Operands{{o.in}, {}, {}};
                        },
                        [](const Transfer& o) {
                          return Operands{{o.in}, o.out, {}};
                        },
                    },
                    op);
}

std::vector<Weight> weights_of(const Op& op) {
  using List = std::vector<Weight>;
  List all = std::visit(
      Match{
          [](const Embed& o) { return List{o.table}; },
          [](const Norm& o) {
            return List{o.gain, o.bias};
          },
          [](const Linear& o) {
            return List{o.weight, o.bias};
          },
          [](const Qkv& o) { return List{o.wq, o.wk, o.wv, o.bq, o.bk, o.bv, o.q_norm, o.k_norm}; },
          [](const QkvLatent& o) {
            return List{o.wq, o.bq, o.wk, o.gain};
          },
          [](const Attend& o) { return List{o.sinks}; },
          [](const Gated& o) {
            return List{o.gate, o.up, o.gate_bias, o.up_bias};
          },
          [](const Route& o) {
            return List{o.router, o.bias};
          },
          [](const Experts& o) {
            return List{o.gate, o.up, o.down};
          },
          [](const ShortConv& o) {
            return List{o.kernel, o.bias};
          },
          [](const Scan& o) {
            return List{o.project, o.step_bias, o.a, o.skip};
          },
          [](const Delta& o) {
            return List{o.alpha_bias, o.a, o.gain};
          },
          [](const Shift& o) { return List{o.mix}; },
          [](const Combine&) { return List{}; },
          [](const Patch& o) {
            return List{o.weight, o.bias, o.positions};
          },
          [](const Resample&) { return List{}; },
          [](const Logits& o) {
            return List{o.weight, o.bias};
          },
          [](const Pool& o) {
            return List{o.classifier, o.bias};
          },
          [](const Transfer&) { return List{}; },
      },
      op);
  std::erase_if(all, [](Weight w) { return !w; });
  return all;
}

uint32_t rows_behind(const Op& op, uint32_t rows) noexcept {
  const auto* resample = std::get_if<Resample>(&op);
  return resample == nullptr ? rows : rows / (resample->factor * resample->factor);
}

CacheProfile profile_of(const CacheGroup& group) noexcept {
  return {group.layers, group.kv_heads, group.k_size, group.v_size, group.state * sizeof(float)};
}

void attend_in_two_passes(Program& program) noexcept {
  for (Op& op : program.ops) {
    if (auto* attend = std::get_if<Attend>(&op)) attend->two_pass = true;
  }
}

}  // namespace hearth
