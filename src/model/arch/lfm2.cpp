// LFM 2 (Liquid AI 2025): most layers mix tokens by a short convolution between two gates, a few by attention
// with normalised query and key heads and rotary pairs half a head apart; SwiGLU behind both. The layers that
// attend are those with key/value heads. The last norm goes by the name of one behind the embeddings.
#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "model/arch/list.h"
#include "model/parts/dense.h"
#include "model/parts/rope.h"

namespace hearth {
namespace {

constexpr uint16_t states = 1;  // the group of the convolutions; group 0 is the cache of keys and values

struct Layer {
  std::optional<AttentionW> attention;
  NormW norm;  // of a convolution
  LinearW in, out;
  ShortConvW conv;
  FeedForwardW ffn;
  uint16_t number = 0;  // among the layers of its kind
};

class Lfm2 final : public Model {
 public:
  Lfm2(const Keys& keys, Binder& b)
      : Model(keys, b, "token_embd_norm"),
        rope_(read_rope(keys, h_.heads.k_size, true, {})),
        taps_(keys.require("shortconv.l_cache")) {
    if (taps_ < 2)
      throw Error(Code::corrupt_file, fmt::format("key 'lfm2.shortconv.l_cache' has the value {}", taps_),
                  "get the file again or from another source");
    const auto heads = keys.per_layer("attention.head_count_kv", h_.layers);
    for (uint32_t i = 0; i < h_.layers; ++i) {
      const bool attends = heads.empty() || heads[i] > 0;
      layers_.push_back(bind(b, "blk." + std::to_string(i) + ".", attends));
      layers_.back().number = attends ? attending_++ : convolving_++;
    }
  }

  std::vector<CacheGroup> caches() const override {
    const HeadShape& h = h_.heads;
    return {{attending_, h.kv_heads, h.k_size, h.v_size, 0},
            {convolving_, 0, 0, 0, 0, uint64_t{taps_ - 1} * h_.width}};
  }
  std::vector<RopeTable> ropes() const override { return {rope_}; }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    const Layer& w = layers_[i];
    x = w.attention ? attention(b, *w.attention, h_, w.number, x) : convolution(b, w, x);
    return feed_forward(b, w.ffn, h_, x);
  }

 private:
  // x + out(c ∘ conv(b ∘ v)), where (b, c, v) = in(norm(x)).
  Act convolution(Builder& b, const Layer& w, Act x) const {
    const Act gates = b.linear(b.norm(x, w.norm, NormKind::rms, h_.eps), w.in);
    const ShortConvSpec spec{2 * h_.width, 0, h_.width, Act1::none};
    return b.linear(b.short_conv(gates, w.conv, spec, {states, w.number}), w.out, x);
  }

  Layer bind(Binder& b, const std::string& at, bool attends) const {
    Layer w;
    w.ffn = bind_feed_forward(b, h_, at);
    if (attends) {
      w.attention = bind_attention(b, h_, at, true);
      return w;
    }
    w.norm = b.norm(at + "attn_norm", h_.width);
    w.in = b.linear(at + "shortconv.in_proj", uint64_t{3} * h_.width, h_.width);
    w.out = b.linear(at + "shortconv.out_proj", h_.width, h_.width);
    w.conv = {b.tensor(at + "shortconv.conv.weight", {h_.width, taps_, 1}), {}, h_.width, taps_};
    return w;
  }

  RopeTable rope_;
  uint32_t taps_;
  uint16_t attending_ = 0, convolving_ = 0;
  std::vector<Layer> layers_;
};

}  // namespace

const Architecture lfm2_architecture{
    "lfm2", [](const Keys& k, Binder& b) -> std::unique_ptr<Model> { return std::make_unique<Lfm2>(k, b); }};

}  // namespace hearth
