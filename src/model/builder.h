#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "device/program.h"
#include "model/binder.h"

namespace hearth {

// The weights of an attention layer's projections.
struct QkvW {
  LinearW q, k, v;
  NormW q_norm, k_norm;
  float eps = 0;
  uint32_t rope = 0;   // number of the model's rope table
  bool gated = false;  // q has a gate behind each head
};

// The weights of latent attention behind its compressions, see QkvLatent.
struct LatentW {
  LinearW q, k;
  NormW norm;
  HeadRows keys;
  bool upright = false;
  float eps = 0;
  uint32_t rope = 0;
};

struct GatedW {
  LinearW gate, up;
};

struct AttendSpec {
  HeadShape heads;
  MaskSpec mask;
  float scale = 1, soft_cap = 0;
  Weight sinks = {};  // [q_heads], see Attend
  bool gated = false;
};

// How a mixture's experts are chosen, see Route.
struct RouteSpec {
  RouteScores scores = RouteScores::softmax;
  bool renormalise = true;
  float scale = 1;
  uint32_t groups = 1, groups_used = 1;
};

struct ExpertsW {
  LinearW router, gate, up, down;
  uint32_t experts = 0, used = 0, hidden = 0;
  Weight bias = {};  // of the choice
  RouteSpec route = {};
};

// The weights that make rows of patches, see Patch.
struct PatchW {
  LinearW projection;
  Weight positions = {};
  uint32_t size = 0, channels = 3;
};

// A convolution over the last `taps` tokens of each of `channels` columns.
struct ShortConvW {
  Weight kernel, bias;
  uint32_t channels = 0, taps = 0;
};

// Where a convolution finds its columns in its input, and what it does beside (ShortConv).
struct ShortConvSpec {
  uint32_t at = 0;
  std::optional<uint32_t> pre, post;
  Act1 act = Act1::none;
};

// The weights of a selective scan, and its sizes (Scan). `project`: from a time step of few columns to all
// heads.
struct ScanW {
  LinearW project;
  Weight step_bias, a, skip;
  uint32_t heads = 0, size = 1, groups = 1, states = 0;
};

// Where a scan finds what it reads.
struct ScanInputs {
  Columns x, b, c, step, gate;
};

// The weights of a gated delta rule, and its sizes (Delta).
struct DeltaW {
  Weight alpha_bias, a, gain;
  uint32_t heads = 0, key_heads = 1, size = 0;
  bool turns = false;
  float eps = 0;
};

// Where a delta rule finds what it reads.
struct DeltaInputs {
  Columns q, k, v, alpha, beta, gate;
};

// What an architecture file talks to: one call per step of the paper, each appends an operation. Widths are
// checked here; a mismatch is a fault of the architecture file and throws Error(bug) naming the layer.
class Builder {
 public:
  explicit Builder(std::vector<RopeTable> ropes, std::vector<CacheGroup> caches,
                   std::vector<WeightInfo> weights);

  void at_layer(uint16_t layer) { layer_ = layer; }

  Act embed(const LinearW& table, float scale = 1);
  // parts: of the row, each normalised by itself.
  Act norm(Act x, const NormW& w, NormKind kind, float eps, uint32_t parts = 1);
  Act linear(Act x, const LinearW& w, Act residual = {}, Act1 act = Act1::none);
  Act qkv(Act x, const QkvW& w, const HeadShape& heads, KvRef kv);
  Act qkv_latent(Act x, Act latent, const LatentW& w, const LatentShape& shape, KvRef kv);
  // A projection with one matrix per head.
  Act head_linear(Act x, const LinearW& w, const HeadRows& heads);
  Act attend(Act q, KvRef kv, const AttendSpec& spec);
  Act gated(Act x, const GatedW& w, Act1 act);
  Act short_conv(Act x, const ShortConvW& w, const ShortConvSpec& spec, StateRef state);
  Act scan(const ScanInputs& in, const ScanW& w, StateRef state);
  Act delta(const DeltaInputs& in, const DeltaW& w, StateRef state);
  // As many mixes as `mix` has rows, one after the other (Shift).
  Act shift(Act x, Weight mix, StateRef state);
  Act experts(Act x, const ExpertsW& w, Act residual, Act1 act);
  Act patch(const PatchW& w);
  Act resample(Act x, ResampleKind kind, uint32_t factor);
  void logits(Act x, const LinearW& w, float scale = 1, float soft_cap = 0);
  void pool(Act x, PoolKind kind, const LinearW& classifier = {});

  Program finish() &&;

 private:
  Act fresh(uint32_t cols);
  void expect(Act x, uint32_t cols, const char* where) const;
  void expect(Weight w, const Shape& shape, const char* where) const;
  void expect(Weight w, const HeadRows& heads, uint64_t cols, const char* where) const;
  void expect_values(Weight w, uint64_t count, const char* where) const;
  void expect_columns(Act x, uint64_t end, const char* where) const;
  void expect_inputs(std::initializer_list<Act> acts, const char* where) const;
  void expect_state(StateRef state, uint64_t floats, const char* where) const;
  void push(Op op);

  Program program_;
  uint16_t layer_ = 0xffff;
  uint32_t stale_ = 0;  // activations up to this one have more rows than there are now
};

}  // namespace hearth
