// Qwen 3: each query and key head is normalised before it is rotated; no biases. Also its embedding models
// and rerankers, which differ in the last step only. Yang et al. 2025.
#include <cmath>

#include "model/arch/list.h"
#include "model/parts/rope.h"

namespace hearth {
namespace {

struct Layer {
  NormW attn_norm, ffn_norm;
  QkvW qkv;
  LinearW out, down;
  GatedW ffn;
};

class Qwen3 final : public Model {
 public:
  Qwen3(const Keys& keys, Binder& b) : Model(keys, b), rope_(read_rope(keys, h_.heads.k_size, true, {})) {
    for (uint32_t i = 0; i < h_.layers; ++i) layers_.push_back(bind(b, "blk." + std::to_string(i) + "."));
  }

  std::vector<RopeTable> ropes() const override { return {rope_}; }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    const Layer& w = layers_[i];
    const KvRef kv{0, static_cast<uint16_t>(i)};
    const AttendSpec attention{h_.heads, {}, 1.0F / std::sqrt(static_cast<float>(h_.heads.k_size)), 0};
    const Act q = b.qkv(b.norm(x, w.attn_norm, NormKind::rms, h_.eps), w.qkv, h_.heads, kv);
    x = b.linear(b.attend(q, kv, attention), w.out, x);
    return b.linear(b.gated(b.norm(x, w.ffn_norm, NormKind::rms, h_.eps), w.ffn, Act1::silu), w.down, x);
  }

 private:
  Layer bind(Binder& b, const std::string& at) const {
    const HeadShape& h = h_.heads;
    Layer w;
    w.attn_norm = b.norm(at + "attn_norm", h_.width);
    w.qkv.q = b.linear(at + "attn_q", uint64_t{h.q_heads} * h.k_size, h_.width);
    w.qkv.k = b.linear(at + "attn_k", uint64_t{h.kv_heads} * h.k_size, h_.width);
    w.qkv.v = b.linear(at + "attn_v", uint64_t{h.kv_heads} * h.v_size, h_.width);
    w.qkv.q_norm = b.norm(at + "attn_q_norm", h.k_size);
    w.qkv.k_norm = b.norm(at + "attn_k_norm", h.k_size);
    w.qkv.eps = h_.eps;
    w.out = b.linear(at + "attn_output", h_.width, uint64_t{h.q_heads} * h.v_size);
    w.ffn_norm = b.norm(at + "ffn_norm", h_.width);
    w.ffn = {b.linear(at + "ffn_gate", h_.ffn, h_.width), b.linear(at + "ffn_up", h_.ffn, h_.width)};
    w.down = b.linear(at + "ffn_down", h_.width, h_.ffn);
    return w;
  }

  RopeTable rope_;
  std::vector<Layer> layers_;
};

}  // namespace

const Architecture qwen3_architecture{"qwen3", [](const Keys& k, Binder& b) -> std::unique_ptr<Model> {
                                        return std::make_unique<Qwen3>(k, b);
                                      }};

}  // namespace hearth
