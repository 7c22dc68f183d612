// Qwen 2 and 2.5: as Llama, but with biases on q, k and v and rotary pairs half a head apart (Yang et al.
// 2024). Qwen 3: each query and key head is normalised before it is rotated; no biases. Its embedding models
// and rerankers differ in the last step only (Yang et al. 2025).
#include "model/arch/list.h"
#include "model/parts/dense.h"
#include "model/parts/rope.h"

namespace hearth {
namespace {

class Qwen final : public Model {
 public:
  Qwen(const Keys& keys, Binder& b, bool head_norms)
      : Model(keys, b), rope_(read_rope(keys, h_.heads.k_size, true, {})) {
    for (uint32_t i = 0; i < h_.layers; ++i) {
      const std::string at = "blk." + std::to_string(i) + ".";
      layers_.push_back({bind_attention(b, h_, at, head_norms), bind_feed_forward(b, h_, at)});
    }
  }

  std::vector<RopeTable> ropes() const override { return {rope_}; }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    return feed_forward(b, layers_[i].ffn, h_, attention(b, layers_[i].attention, h_, i, x));
  }

 private:
  struct Layer {
    AttentionW attention;
    FeedForwardW ffn;
  };

  RopeTable rope_;
  std::vector<Layer> layers_;
};

template <bool head_norms>
std::unique_ptr<Model> bind(const Keys& keys, Binder& binder) {
  return std::make_unique<Qwen>(keys, binder, head_norms);
}

}  // namespace

const Architecture qwen2_architecture{"qwen2", bind<false>};
const Architecture qwen3_architecture{"qwen3", bind<true>};

}  // namespace hearth
