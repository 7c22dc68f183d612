#pragma once

#include <string>

#include "model/model.h"

// The second half of a layer as a mixture of experts, under the tensor names of GGUF.
namespace hearth {

// What a family does where its files do not say.
struct MixtureSpec {
  uint32_t hidden = 0;         // of an expert
  uint32_t shared_hidden = 0;  // of the expert that every row goes to; 0: there is none
  bool shared_gate = false;    // the router of that expert: a sigmoid weighs it
  RouteSpec route;
};

// From the keys expert_*: sizes, scale, groups, scores and whether weights are renormalised, the latter two
// as `otherwise` has them where the file does not say. Throws Error(unsupported) for scores that are not
// known.
MixtureSpec read_mixture(const Keys& keys, const Hyper& h, const RouteSpec& otherwise);

struct MixtureW {
  NormW norm;
  ExpertsW experts;
  GatedW shared;
  LinearW shared_down;
  ExpertsW gated_shared;  // a mixture of one
};

// blk.N.ffn_{norm,gate_inp}, ffn_{gate,up,down}_exps, exp_probs_b where there is one, and for a shared expert
// ffn_{gate,up,down}_shexp and ffn_gate_inp_shexp.
MixtureW bind_mixture(Binder& b, const Hyper& h, const std::string& at, const MixtureSpec& spec,
                      const std::string& norm = "ffn_norm");

// x + Σ weight · expert(norm(x)) + shared(norm(x))
Act mixture(Builder& b, const MixtureW& w, const Hyper& h, Act x);

}  // namespace hearth
