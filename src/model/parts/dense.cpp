#include "model/parts/dense.h"

#include <cmath>

namespace hearth {

AttentionW bind_attention(Binder& b, const Hyper& h, const std::string& at, bool head_norms, bool gated) {
  const HeadShape& heads = h.heads;
  AttentionW w;
  w.norm = b.norm(at + "attn_norm", h.width);
  w.qkv.q = b.linear(at + "attn_q", uint64_t{heads.q_heads} * heads.k_size * (gated ? 2 : 1), h.width);
  w.qkv.gated = gated;
  w.qkv.k = b.linear(at + "attn_k", uint64_t{heads.kv_heads} * heads.k_size, h.width);
  w.qkv.v = b.linear(at + "attn_v", uint64_t{heads.kv_heads} * heads.v_size, h.width);
  if (head_norms) {
    w.qkv.q_norm = b.norm(at + "attn_q_norm", heads.k_size);
    w.qkv.k_norm = b.norm(at + "attn_k_norm", heads.k_size);
    w.qkv.eps = h.eps;
  }
  w.out = b.linear(at + "attn_output", h.width, uint64_t{heads.q_heads} * heads.v_size);
  return w;
}

Act attention(Builder& b, const AttentionW& w, const Hyper& h, uint32_t layer, Act x) {
  const KvRef kv{0, static_cast<uint16_t>(layer)};
  const float scale = 1.0F / std::sqrt(static_cast<float>(h.heads.k_size));
  const AttendSpec spec{h.heads, {}, scale, 0, {}, w.qkv.gated};
  const Act q = b.qkv(b.norm(x, w.norm, NormKind::rms, h.eps), w.qkv, h.heads, kv);
  return b.linear(b.attend(q, kv, spec), w.out, x);
}

FeedForwardW bind_feed_forward(Binder& b, const Hyper& h, const std::string& at, const std::string& norm) {
  FeedForwardW w;
  w.norm = b.norm(at + norm, h.width);
  w.gated = {b.linear(at + "ffn_gate", h.ffn, h.width), b.linear(at + "ffn_up", h.ffn, h.width)};
  w.down = b.linear(at + "ffn_down", h.width, h.ffn);
  return w;
}

Act feed_forward(Builder& b, const FeedForwardW& w, const Hyper& h, Act x) {
  return b.linear(b.gated(b.norm(x, w.norm, NormKind::rms, h.eps), w.gated, Act1::silu), w.down, x);
}

}  // namespace hearth
