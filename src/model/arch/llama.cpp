// Llama 1 to 3, Mistral, Mixtral and the many models that share their shape: pre-norm, rotary embedding over
// neighbouring pairs, grouped heads, SwiGLU or a mixture of experts. Touvron et al. 2023; Jiang et al. 2024.
#include "model/arch/list.h"
#include "model/parts/dense.h"
#include "model/parts/mixture.h"
#include "model/parts/rope.h"

namespace hearth {
namespace {

struct Layer {
  AttentionW attention;
  FeedForwardW ffn;  // dense models
  MixtureW mixture;  // mixtures of experts
};

class Llama final : public Model {
 public:
  Llama(const Keys& keys, Binder& b) : Model(keys, b) {
    const uint32_t rotated = keys.number("rope.dimension_count", h_.heads.k_size);
    rope_ = read_rope(keys, h_.heads.k_size, false, b.values("rope_freqs.weight", rotated / 2));
    for (uint32_t i = 0; i < h_.layers; ++i) layers_.push_back(bind(b, "blk." + std::to_string(i) + "."));
  }

  std::vector<RopeTable> ropes() const override { return {rope_}; }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    const Layer& w = layers_[i];
    x = attention(b, w.attention, h_, i, x);
    if (h_.experts == 0) return feed_forward(b, w.ffn, h_, x);
    return mixture(b, w.mixture, h_, x);
  }

 private:
  Layer bind(Binder& b, const std::string& at) const {
    Layer w;
    w.attention = bind_attention(b, h_, at);
    if (h_.experts == 0) {
      w.ffn = bind_feed_forward(b, h_, at);
      return w;
    }
    w.mixture = bind_mixture(b, h_, at, {h_.ffn, 0, false, {}});
    return w;
  }

  RopeTable rope_;
  std::vector<Layer> layers_;
};

}  // namespace

const Architecture llama_architecture{"llama", [](const Keys& k, Binder& b) -> std::unique_ptr<Model> {
                                        return std::make_unique<Llama>(k, b);
                                      }};

}  // namespace hearth
