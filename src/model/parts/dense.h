#pragma once

#include <string>

#include "model/model.h"

// The two halves of a pre-norm decoder layer as most families have them, under the tensor names of GGUF.
namespace hearth {

struct AttentionW {
  NormW norm;
  QkvW qkv;
  LinearW out;
};

// blk.N.attn_{norm,q,k,v,output}, and with `head_norms` attn_{q,k}_norm: a gain for each query and key head.
// gated: attn_q has a gate behind each head.
AttentionW bind_attention(Binder& b, const Hyper& h, const std::string& at, bool head_norms = false,
                          bool gated = false);

// x + out(attend(qkv(norm(x)))), causal, scores scaled by 1/√(head size).
Act attention(Builder& b, const AttentionW& w, const Hyper& h, uint32_t layer, Act x);

struct FeedForwardW {
  NormW norm;
  GatedW gated;
  LinearW down;
};

// blk.N.ffn_{norm,gate,up,down}; `norm`: where the norm has another name.
FeedForwardW bind_feed_forward(Binder& b, const Hyper& h, const std::string& at,
                               const std::string& norm = "ffn_norm");

// x + down(silu(gate(norm(x))) ∘ up(norm(x)))
Act feed_forward(Builder& b, const FeedForwardW& w, const Hyper& h, Act x);

}  // namespace hearth
