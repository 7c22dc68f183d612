// Qwen 3.5 (dense): three of four layers hold what was said in a state that the gated delta rule updates, the
// fourth attends, with a gate behind each query head and rotary pairs in the first part of the heads.
// Positions in images, which rope.dimension_sections is for, are none of a text's.
#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "model/arch/list.h"
#include "model/parts/dense.h"
#include "model/parts/rope.h"

namespace hearth {
namespace {

constexpr uint16_t convolved = 1,
                   remembered = 2;  // groups of states; group 0 is the cache of keys and values

struct Layer {
  std::optional<AttentionW> attention;
  NormW norm;  // of a delta rule
  LinearW qkv, gate, alpha, beta, out;
  ShortConvW conv;
  DeltaW delta;
  FeedForwardW ffn;
  uint16_t number = 0;  // among the layers of its kind
};

class Qwen35 final : public Model {
 public:
  Qwen35(const Keys& keys, Binder& b)
      : Model(keys, b),
        rope_(read_rope(keys, h_.heads.k_size, true, {})),
        taps_(keys.require("ssm.conv_kernel")) {
    read_delta(keys);
    leave_out_predictors(keys, h_);
    const uint32_t interval = keys.number("full_attention_interval", 4);
    for (uint32_t i = 0; i < h_.layers; ++i) {
      const bool attends = interval != 0 && (i + 1) % interval == 0;
      layers_.push_back(bind(b, "blk." + std::to_string(i) + ".", attends));
      layers_.back().number = attends ? attending_++ : remembering_++;
    }
  }

  std::vector<CacheGroup> caches() const override {
    const HeadShape& h = h_.heads;
    return {{attending_, h.kv_heads, h.k_size, h.v_size, 0},
            {remembering_, 0, 0, 0, 0, uint64_t{taps_ - 1} * channels()},
            {remembering_, 0, 0, 0, 0, uint64_t{inner()} * delta_.size}};
  }
  std::vector<RopeTable> ropes() const override { return {rope_}; }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    const Layer& w = layers_[i];
    x = w.attention ? attention(b, *w.attention, h_, w.number, x) : memory(b, w, x);
    return feed_forward(b, w.ffn, h_, x);
  }

 private:
  uint32_t inner() const { return delta_.heads * delta_.size; }
  uint32_t channels() const { return inner() + 2 * delta_.key_heads * delta_.size; }

  // x + out(delta(silu(conv(qkv(norm(x))))))
  Act memory(Builder& b, const Layer& w, Act x) const {
    const Act n = b.norm(x, w.norm, NormKind::rms, h_.eps);
    const Act c = b.short_conv(b.linear(n, w.qkv), w.conv, {0, {}, {}, Act1::silu}, {convolved, w.number});
    const uint32_t keys = delta_.key_heads * delta_.size;
    const Act gate = b.linear(n, w.gate), alpha = b.linear(n, w.alpha), beta = b.linear(n, w.beta);
    const DeltaInputs in{{c, 0}, {c, keys}, {c, 2 * keys}, {alpha, 0}, {beta, 0}, {gate, 0}};
    return b.linear(b.delta(in, w.delta, {remembered, w.number}), w.out, x);
  }

  void read_delta(const Keys& keys) {
    constexpr uint32_t most = 1U << 12;
    delta_.heads = keys.require("ssm.time_step_rank");
    delta_.key_heads = keys.require("ssm.group_count");
    delta_.size = keys.require("ssm.state_size");
    delta_.turns = true;
    delta_.eps = h_.eps;
    const uint32_t all = keys.require("ssm.inner_size");
    const auto possible = [](uint32_t n) { return n > 0 && n <= most; };
    if (taps_ >= 2 && possible(delta_.heads) && possible(delta_.key_heads) && possible(delta_.size) &&
        delta_.heads % delta_.key_heads == 0 && inner() == all)
      return;
    throw Error(Code::corrupt_file,
                fmt::format("{} heads of {} share {} key heads, {} channels, and {} tokens", delta_.heads,
                            delta_.size, delta_.key_heads, all, taps_),
                "the metadata contradicts itself: get the file from another source");
  }

  Layer bind(Binder& b, const std::string& at, bool attends) const {
    Layer w;
    w.ffn = bind_feed_forward(b, h_, at, "post_attention_norm");
    if (attends) {
      if (h_.heads.k_size != h_.heads.v_size)
        throw Error(
            Code::unsupported,
            fmt::format("gated attention with keys of {} and values of {}", h_.heads.k_size, h_.heads.v_size),
            "this version needs heads whose keys and values are of one size");
      w.attention = bind_attention(b, h_, at, true, true);
      return w;
    }
    w.norm = b.norm(at + "attn_norm", h_.width);
    w.qkv = b.linear(at + "attn_qkv", channels(), h_.width);
    w.gate = b.linear(at + "attn_gate", inner(), h_.width);
    w.alpha = b.linear(at + "ssm_alpha", delta_.heads, h_.width);
    w.beta = b.linear(at + "ssm_beta", delta_.heads, h_.width);
    w.out = b.linear(at + "ssm_out", h_.width, inner());
    w.conv = {b.tensor(at + "ssm_conv1d.weight", {channels(), taps_, 1}), {}, channels(), taps_};
    w.delta = delta_;
    w.delta.alpha_bias = b.tensor(at + "ssm_dt.bias", {1, delta_.heads, 1});
    w.delta.a = b.tensor(at + "ssm_a", {1, delta_.heads, 1});
    w.delta.gain = b.norm(at + "ssm_norm", delta_.size).gain;
    return w;
  }

  RopeTable rope_;
  DeltaW delta_;  // its sizes
  uint32_t taps_;
  uint16_t attending_ = 0, remembering_ = 0;
  std::vector<Layer> layers_;
};

}  // namespace

const Architecture qwen35_architecture{"qwen35", [](const Keys& k, Binder& b) -> std::unique_ptr<Model> {
                                         return std::make_unique<Qwen35>(k, b);
                                       }};

}  // namespace hearth
