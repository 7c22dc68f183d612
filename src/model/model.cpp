#include "model/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace hearth {
namespace {

[[noreturn]] void impossible(const std::string& what) {
  throw Error(Code::corrupt_file, what, "the metadata contradicts itself: get the file from another source");
}

void check_heads(const HeadShape& heads) {
  constexpr uint32_t most = 4096;
  if (heads.kv_heads == 0 || heads.q_heads % heads.kv_heads != 0)
    impossible(fmt::format("{} query heads cannot share {} key/value heads", heads.q_heads, heads.kv_heads));
  if (heads.k_size == 0 || heads.k_size > most || heads.v_size == 0 || heads.v_size > most)
    impossible(fmt::format("head sizes are {} and {}", heads.k_size, heads.v_size));
}

void check(const Hyper& h) {
  constexpr uint32_t most_layers = 4096, most_heads = 4096;
  if (h.layers == 0 || h.layers > most_layers) impossible(fmt::format("block_count is {}", h.layers));
  if (h.width == 0) impossible("embedding_length is 0");
  if (h.heads.q_heads > most_heads) impossible(fmt::format("head_count is {}", h.heads.q_heads));
  if (h.experts_used > h.experts) impossible(fmt::format("{} of {} experts used", h.experts_used, h.experts));
}

uint32_t most_of_layers(const Keys& keys, const char* name, uint32_t layers) {
  const std::vector<uint32_t> all = keys.per_layer(name, std::max(1U, layers));
  return all.empty() ? keys.require(name) : *std::max_element(all.begin(), all.end());
}

uint32_t vocabulary_of(const Gguf& file) {
  const TensorInfo* table = file.tensor("token_embd.weight");
  if (table == nullptr) {
    throw Error(Code::corrupt_file, "tensor 'token_embd.weight' is missing",
                "the file holds no language model, or only a part of one: use the complete model file");
  }
  return static_cast<uint32_t>(file.view(*table).shape.rows);
}

}  // namespace

Hyper read_hyper(const Keys& keys) {
  Hyper h;
  h.layers = keys.require("block_count");
  h.width = keys.require("embedding_length");
  h.context = keys.require("context_length");
  h.vocabulary = vocabulary_of(keys.file());
  h.ffn = keys.number("feed_forward_length", 0);
  h.heads.q_heads = most_of_layers(keys, "attention.head_count", h.layers);
  h.heads.kv_heads = keys.has("attention.head_count_kv")
                         ? most_of_layers(keys, "attention.head_count_kv", h.layers)
                         : h.heads.q_heads;
  const uint32_t size = h.heads.q_heads != 0 ? h.width / h.heads.q_heads : 0;
  h.heads.k_size = keys.number("attention.key_length", size);
  h.heads.v_size = keys.number("attention.value_length", size);
  h.eps = keys.require_real("attention.layer_norm_rms_epsilon");
  h.experts = keys.number("expert_count", 0);
  h.experts_used = keys.number("expert_used_count", 0);
  const uint32_t pooling = keys.number("pooling_type", 0);
  if (pooling > 4) impossible(fmt::format("pooling_type is {}", pooling));
  h.pooling = static_cast<PoolKind>(pooling);
  check(h);
  if (h.heads.q_heads == 0 && !keys.has("ssm.state_size")) impossible("head_count is 0");
  if (h.heads.q_heads == 0) {
    h.heads = {};  // of states alone: no other number of heads counts
  } else {
    check_heads(h.heads);
  }
  return h;
}

void leave_out_predictors(const Keys& keys, Hyper& h) {
  const uint32_t ahead = keys.number("nextn_predict_layers", 0);
  if (ahead >= h.layers) impossible(fmt::format("{} of {} layers predict further tokens", ahead, h.layers));
  h.layers -= ahead;
}

Model::Model(const Keys& keys, Binder& binder, const std::string& output_norm) : h_(read_hyper(keys)) {
  table_ = binder.linear("token_embd", h_.vocabulary, h_.width);
  output_norm_ = binder.norm(output_norm, h_.width);
  output_ = binder.linear("output", h_.vocabulary, h_.width, Presence::optional);
  if (!output_) output_ = table_;
  if (h_.pooling == PoolKind::rank) {
    const TensorInfo* classifier = binder.file().tensor("cls.output.weight");
    const uint64_t outputs = classifier != nullptr ? binder.file().view(*classifier).shape.rows : 1;
    classifier_ = binder.linear("cls.output", outputs, h_.width);
  }
}

std::vector<CacheGroup> Model::caches() const {
  return {{h_.layers, h_.heads.kv_heads, h_.heads.k_size, h_.heads.v_size, 0}};
}

Act Model::embed(Builder& b) const { return b.embed(table_); }

void Model::head(Builder& b, Act x) const {
  x = b.norm(x, output_norm_, NormKind::rms, h_.eps);
  if (h_.pooling == PoolKind::none) {
    b.logits(x, output_);
  } else {
    b.pool(x, h_.pooling, classifier_);
  }
}

const Architecture& architecture_of(const Gguf& file) {
  const Keys keys(file);
  std::vector<std::string_view> known;
  for (const Architecture& a : architectures()) {
    if (a.name == keys.architecture()) return a;
    known.push_back(a.name);
  }
  throw Error(Code::unsupported, fmt::format("unknown architecture '{}'", keys.architecture()),
              fmt::format("this version runs {}", fmt::join(known, ", ")));
}

BoundModel bind_model(const Gguf& file, bool vectors) {
  const Architecture& architecture = architecture_of(file);
  const Keys keys(file);
  Binder binder(file);
  const std::unique_ptr<Model> model = architecture.bind(keys, binder);
  if (vectors) model->make_vectors();
  Builder builder(model->ropes(), model->caches(), binder.weights());
  Act x = model->embed(builder);
  for (uint32_t i = 0; i < model->hyper().layers; ++i) {
    builder.at_layer(static_cast<uint16_t>(i));
    x = model->layer(builder, i, x);
  }
  builder.at_layer(0xffff);
  model->head(builder, x);
  return {keys.architecture(), model->hyper(), std::move(builder).finish(), binder.tensors()};
}

}  // namespace hearth
