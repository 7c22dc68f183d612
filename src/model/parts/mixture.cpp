#include "model/parts/mixture.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace hearth {
namespace {

RouteScores read_scores(const Keys& keys, RouteScores otherwise) {
  switch (const uint32_t number = keys.number("expert_gating_func", 0)) {
    case 0: return otherwise;
    case 1: return RouteScores::softmax;
    case 2: return RouteScores::sigmoid;
    case 3: return RouteScores::softmax_of_chosen;
    default:
      throw Error(Code::unsupported, fmt::format("expert_gating_func {} is not known", number),
                  "this version knows softmax (1), sigmoid (2) and softmax of the chosen (3)");
  }
}

}  // namespace

MixtureSpec read_mixture(const Keys& keys, const Hyper& h, const RouteSpec& otherwise) {
  MixtureSpec m;
  const uint32_t share = h.experts_used != 0 ? h.ffn / h.experts_used : h.ffn;
  m.hidden = keys.number("expert_feed_forward_length", share);
  constexpr uint64_t most = 1U << 30;
  const uint64_t shared = uint64_t{keys.number("expert_shared_count", 0)} * m.hidden;
  if (shared > most)
    throw Error(Code::corrupt_file, fmt::format("shared experts have {} hidden columns", shared),
                "the metadata contradicts itself: get the file from another source");
  m.shared_hidden = keys.number("expert_shared_feed_forward_length", static_cast<uint32_t>(shared));
  m.route = otherwise;
  m.route.scores = read_scores(keys, otherwise.scores);
  m.route.renormalise = keys.flag("expert_weights_norm", otherwise.renormalise);
  const float scale = keys.real("expert_weights_scale", 1);
  m.route.scale = scale == 0 ? 1 : scale;  // older files: 0 for none
  m.route.groups = std::max(1U, keys.number("expert_group_count", 1));
  m.route.groups_used = m.route.groups > 1 ? keys.require("expert_group_used_count") : 1;
  return m;
}

MixtureW bind_mixture(Binder& b, const Hyper& h, const std::string& at, const MixtureSpec& m,
                      const std::string& norm) {
  MixtureW w;
  w.norm = b.norm(at + norm, h.width);
  for (const char* bias : {"ffn_gate_exps.bias", "ffn_up_exps.bias", "ffn_down_exps.bias"})
    b.refuse(at + bias);
  w.experts = {b.linear(at + "ffn_gate_inp", h.experts, h.width),
               b.stack(at + "ffn_gate_exps", h.experts, m.hidden, h.width),
               b.stack(at + "ffn_up_exps", h.experts, m.hidden, h.width),
               b.stack(at + "ffn_down_exps", h.experts, h.width, m.hidden),
               h.experts,
               h.experts_used,
               m.hidden,
               b.tensor(at + "exp_probs_b.bias", {1, h.experts, 1}, Presence::optional),
               m.route};
  if (m.shared_hidden == 0) return w;
  w.shared = {b.linear(at + "ffn_gate_shexp", m.shared_hidden, h.width),
              b.linear(at + "ffn_up_shexp", m.shared_hidden, h.width)};
  w.shared_down = b.linear(at + "ffn_down_shexp", h.width, m.shared_hidden);
  if (!m.shared_gate) return w;
  for (const char* bias : {"ffn_gate_shexp.bias", "ffn_up_shexp.bias", "ffn_down_shexp.bias"})
    b.refuse(at + bias);
  w.gated_shared = {b.linear(at + "ffn_gate_inp_shexp", 1, h.width),
                    w.shared.gate,
                    w.shared.up,
                    w.shared_down,
                    1,
                    1,
                    m.shared_hidden,
                    {},
                    {RouteScores::sigmoid, false}};
  return w;
}

Act mixture(Builder& b, const MixtureW& w, const Hyper& h, Act x) {
  const Act in = b.norm(x, w.norm, NormKind::rms, h.eps);
  x = b.experts(in, w.experts, x, Act1::silu);
  if (w.gated_shared.used != 0) return b.experts(in, w.gated_shared, x, Act1::silu);
  return w.shared.gate ? b.linear(b.gated(in, w.shared, Act1::silu), w.shared_down, x) : x;
}

}  // namespace hearth
