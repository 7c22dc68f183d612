#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "device/program.h"
#include "formats/gguf.h"
#include "model/binder.h"
#include "model/builder.h"
#include "model/keys.h"

namespace hearth {

// Hyperparameters that every decoder shares.
struct Hyper {
  uint32_t layers = 0, width = 0, context = 0, vocabulary = 0, ffn = 0;
  HeadShape heads;
  float eps = 0;
  uint32_t experts = 0, experts_used = 0;
  PoolKind pooling = PoolKind::none;
};

// Reads them from metadata and the embedding table; throws Error naming the key that is missing or
// impossible. Where heads differ between layers: the most of any; a model of states alone may have none.
Hyper read_hyper(const Keys& keys);

// Takes off the layers at the end that predict tokens further ahead (nextn_predict_layers); throws
// Error(corrupt_file) where no other is left.
void leave_out_predictors(const Keys& keys, Hyper& h);

// A described model: which tensors it has and how a step is computed.
class Model {
 public:
  // output_norm: the name of the last norm.
  Model(const Keys& keys, Binder& binder, const std::string& output_norm = "output_norm");
  virtual ~Model() = default;

  const Hyper& hyper() const noexcept { return h_; }
  // The vector of a text instead of scores of what follows it: where the file does not say how texts are
  // pooled, what stands at their last token, which alone has seen all of them.
  void make_vectors() {
    if (h_.pooling == PoolKind::none) h_.pooling = PoolKind::last;
  }
  virtual std::vector<CacheGroup> caches() const;
  virtual std::vector<RopeTable> ropes() const = 0;
  virtual Act embed(Builder& b) const;  // default: table lookup
  virtual Act layer(Builder& b, uint32_t index, Act x) const = 0;
  virtual void head(Builder& b, Act x) const;  // default: norm, then logits or pooling

 protected:
  Hyper h_;
  LinearW table_, output_, classifier_;
  NormW output_norm_;
};

// One architecture: its name in general.architecture and how to bind it.
struct Architecture {
  std::string_view name;
  std::unique_ptr<Model> (*bind)(const Keys& keys, Binder& binder);
};

// All that hearth knows; arch/list.cpp, one line each.
std::span<const Architecture> architectures();

// A model file, bound: the program of a step and the tensors it needs. The Gguf must outlive it.
struct BoundModel {
  std::string architecture;
  Hyper hyper;
  Program program;
  std::vector<const TensorInfo*> tensors;  // [weight id − 1]
};

// That of a file. Throws Error(unsupported) for an unknown one, naming those that are known,
// Error(corrupt_file) where the file names none.
const Architecture& architecture_of(const Gguf& file);

// Throws what architecture_of does, and Error(corrupt_file) for a file that contradicts itself. `vectors`:
// the program ends in a vector whatever the model is for.
BoundModel bind_model(const Gguf& file, bool vectors = false);

}  // namespace hearth
