// Mixtures of experts with common attention: Qwen 2 MoE (Yang et al. 2024) and Qwen 3 MoE (Yang et al. 2025),
// DeepSeek MoE (Dai et al. 2024), dots.llm1 (Huo et al. 2025) and GLM 4.5 (Zeng et al. 2025). They differ in
// which rotary pairs they turn, in norms of heads and in how experts are chosen; some begin with dense
// layers.
#include "model/arch/list.h"
#include "model/parts/dense.h"
#include "model/parts/mixture.h"
#include "model/parts/rope.h"

namespace hearth {
namespace {

struct Family {
  bool split = true;         // rotary pairs half a head apart
  RouteSpec route;           // where the file does not say
  bool shared_gate = false;  // the shared expert has a router of its own
  const char* norm = "ffn_norm";
};

struct Layer {
  AttentionW attention;
  FeedForwardW ffn;  // of the leading layers
  MixtureW mixture;  // of the others
};

class Mixtures final : public Model {
 public:
  Mixtures(const Keys& keys, Binder& b, const Family& family)
      : Model(keys, b), rope_(read_rope(keys, h_.heads.k_size, family.split, {})) {
    leave_out_predictors(keys, h_);
    dense_ = keys.number("leading_dense_block_count", 0);
    MixtureSpec spec = read_mixture(keys, h_, family.route);
    spec.shared_gate = family.shared_gate;
    for (uint32_t i = 0; i < h_.layers; ++i) {
      const std::string at = "blk." + std::to_string(i) + ".";
      const bool head_norms = b.file().tensor(at + "attn_q_norm.weight") != nullptr;
      layers_.push_back({bind_attention(b, h_, at, head_norms), {}, {}});
      if (i < dense_) {
        layers_.back().ffn = bind_feed_forward(b, h_, at, family.norm);
      } else {
        layers_.back().mixture = bind_mixture(b, h_, at, spec, family.norm);
      }
    }
  }

  std::vector<RopeTable> ropes() const override { return {rope_}; }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    const Layer& w = layers_[i];
    x = attention(b, w.attention, h_, i, x);
    return i < dense_ ? feed_forward(b, w.ffn, h_, x) : mixture(b, w.mixture, h_, x);
  }

 private:
  RopeTable rope_;
  uint32_t dense_ = 0;
  std::vector<Layer> layers_;
};

constexpr RouteSpec plain{RouteScores::softmax, false}, normed{RouteScores::softmax, true},
    sigmoid{RouteScores::sigmoid, false};
constexpr Family deepseek{false, plain, false, "ffn_norm"}, dots1{true, sigmoid, false, "ffn_norm"},
    glm4moe{true, sigmoid, false, "post_attention_norm"}, qwen2moe{true, plain, true, "ffn_norm"},
    qwen3moe{true, normed, false, "ffn_norm"};

template <const Family& family>
std::unique_ptr<Model> bind(const Keys& keys, Binder& binder) {
  return std::make_unique<Mixtures>(keys, binder, family);
}

}  // namespace

const Architecture deepseek_architecture{"deepseek", bind<deepseek>};
const Architecture dots1_architecture{"dots1", bind<dots1>};
const Architecture glm4moe_architecture{"glm4moe", bind<glm4moe>};
const Architecture qwen2moe_architecture{"qwen2moe", bind<qwen2moe>};
const Architecture qwen3moe_architecture{"qwen3moe", bind<qwen3moe>};

}  // namespace hearth
