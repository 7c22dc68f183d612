// DeepSeek V2, V3, R1 and their kin: latent attention, a mixture of experts with a shared one behind a few
// dense layers (DeepSeek-AI 2024, "DeepSeek-V2", section 2; "DeepSeek-V3", section 2.1).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/arch/list.h"
#include "model/parts/dense.h"
#include "model/parts/mixture.h"
#include "model/parts/rope.h"

namespace hearth {
namespace {

struct Layer {
  NormW norm, q_norm;
  LinearW q_down, down;  // compressions: of the queries (none in the lite models), of keys and values
  LatentW qkv;
  LinearW values, out;
  HeadRows value_rows;
  FeedForwardW ffn;  // of the leading layers
  MixtureW mixture;  // of the others
};

class Deepseek2 final : public Model {
 public:
  Deepseek2(const Keys& keys, Binder& b) : Model(keys, b) {
    shape_.heads = h_.heads.q_heads;
    shape_.latent = keys.require("attention.kv_lora_rank");
    shape_.rotated = keys.require("rope.dimension_count");
    const uint32_t size = keys.number("attention.key_length_mla", h_.heads.k_size);
    value_ = keys.number("attention.value_length_mla", h_.heads.v_size);
    constexpr uint32_t most = 1U << 16;
    if (size <= shape_.rotated || std::max({size, value_, shape_.latent}) > most) {
      throw Error(Code::corrupt_file,
                  fmt::format("heads of {} with {} rotated, {} values and a latent of {} cannot be", size,
                              shape_.rotated, value_, shape_.latent),
                  "the metadata contradicts itself: get the file from another source");
    }
    shape_.plain = size - shape_.rotated;
    q_latent_ = keys.number("attention.q_lora_rank", 0);
    dense_ = keys.number("leading_dense_block_count", 0);
    spec_ = read_mixture(keys, h_, {RouteScores::softmax, false});
    read_scale(keys, static_cast<float>(size));
    for (uint32_t i = 0; i < h_.layers; ++i) layers_.push_back(bind(b, i));
  }

  std::vector<RopeTable> ropes() const override { return {rope_}; }
  std::vector<CacheGroup> caches() const override { return {{h_.layers, 1, shape_.key(), 0, 0}}; }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    const Layer& w = layers_[i];
    const KvRef kv{0, static_cast<uint16_t>(i)};
    const AttendSpec spec{{shape_.heads, 1, shape_.key(), shape_.latent}, {}, scale_, 0};
    const Act in = b.norm(x, w.norm, NormKind::rms, h_.eps);
    const Act latent = b.linear(in, w.down);
    const Act q = w.q_down ? b.norm(b.linear(in, w.q_down), w.q_norm, NormKind::rms, h_.eps) : in;
    const Act seen = b.attend(b.qkv_latent(q, latent, w.qkv, shape_, kv), kv, spec);
    x = b.linear(b.head_linear(seen, w.values, w.value_rows), w.out, x);
    return i < dense_ ? feed_forward(b, w.ffn, h_, x) : mixture(b, w.mixture, h_, x);
  }

 private:
  // With yarn, scores are scaled by the square of what the rotated part alone would be multiplied with: that
  // is then left out of the rotation.
  void read_scale(const Keys& keys, float size) {
    rope_ = read_rope(keys, shape_.rotated, false, {});
    const float strength = keys.real("rope.scaling.yarn_log_multiplier", 0);
    float magnitude = 1;
    if (strength != 0) {
      rope_.magnitude = keys.real("rope.scaling.attn_factor", 1);
      magnitude += strength * std::log(std::max(1.0F, keys.real("rope.scaling.factor", 1)));
    }
    scale_ = magnitude * magnitude / std::sqrt(size);
  }

  Layer bind(Binder& b, uint32_t i) const {
    const std::string at = "blk." + std::to_string(i) + ".";
    const uint32_t queries = shape_.heads * (shape_.plain + shape_.rotated);
    Layer w;
    w.norm = b.norm(at + "attn_norm", h_.width);
    if (q_latent_ != 0) {
      w.q_down = b.linear(at + "attn_q_a", q_latent_, h_.width);
      w.q_norm = b.norm(at + "attn_q_a_norm", q_latent_);
    }
    w.qkv.q = q_latent_ != 0 ? b.linear(at + "attn_q_b", queries, q_latent_)
                             : b.linear(at + "attn_q", queries, h_.width);
    w.down = b.linear(at + "attn_kv_a_mqa", shape_.key(), h_.width);
    w.qkv.norm = b.norm(at + "attn_kv_a_norm", shape_.latent);
    for (const char* bias : {"attn_kv_a_norm.bias", "attn_kv_b.bias", "attn_k_b.bias", "attn_v_b.bias"})
      b.refuse(at + bias);
    w.qkv.eps = h_.eps;
    bind_heads(b, at, w);
    w.out = b.linear(at + "attn_output", h_.width, uint64_t{shape_.heads} * value_);
    if (i < dense_) {
      w.ffn = bind_feed_forward(b, h_, at);
    } else {
      w.mixture = bind_mixture(b, h_, at, spec_);
    }
    return w;
  }

  // The heads' matrices of keys and values: two stacks, or in older files one matrix in which they alternate.
  void bind_heads(Binder& b, const std::string& at, Layer& w) const {
    const uint32_t heads = shape_.heads, pitch = shape_.plain + value_;
    w.qkv.k = b.stack(at + "attn_k_b", heads, shape_.latent, shape_.plain, Presence::optional);
    if (w.qkv.k) {
      w.qkv.keys = {heads, shape_.latent, 0, shape_.latent};
      w.values = b.stack(at + "attn_v_b", heads, value_, shape_.latent);
      w.value_rows = {heads, value_, 0, value_};
      return;
    }
    w.values = w.qkv.k = b.linear(at + "attn_kv_b", uint64_t{heads} * pitch, shape_.latent);
    w.qkv.upright = true;
    w.qkv.keys = {heads, shape_.plain, 0, pitch};
    w.value_rows = {heads, value_, shape_.plain, pitch};
  }

  LatentShape shape_;
  uint32_t value_ = 0, q_latent_ = 0,
           dense_ = 0;  // values of a head, of the compressed queries; dense layers
  float scale_ = 1;
  MixtureSpec spec_;
  RopeTable rope_;
  std::vector<Layer> layers_;
};

}  // namespace

const Architecture deepseek2_architecture{
    "deepseek2",
    [](const Keys& k, Binder& b) -> std::unique_ptr<Model> { return std::make_unique<Deepseek2>(k, b); }};

}  // namespace hearth
