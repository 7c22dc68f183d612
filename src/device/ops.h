#pragma once

#include <cstdint>
#include <variant>

#include "base/id.h"

// The vocabulary between models and devices: every operation a device can be asked for. An operation is fused
// as far as memory traffic goes (a projection carries its bias, activation and residual; Qkv writes the
// cache), so that a layer of a common model is five to seven entries of a list.
namespace hearth {

// A matrix of activations: [rows of this step × cols] floats. Rows are known only when a step runs. id 0 =
// none.
struct Act {
  uint32_t id = 0, cols = 0;
  explicit operator bool() const { return id != 0; }
  friend bool operator==(const Act&, const Act&) = default;
};

// A weight matrix or vector of the model, by its number in the binder's list. id 0 = none.
struct Weight {
  uint32_t id = 0;
  explicit operator bool() const { return id != 0; }
  friend bool operator==(const Weight&, const Weight&) = default;
};

// Where keys and values of a layer live: the page group and the layer's number in it.
struct KvRef {
  uint16_t group = 0, layer = 0;
};

enum class NormKind : uint8_t { rms, layer };
enum class Act1 : uint8_t { none, silu, gelu, gelu_tanh, relu, relu2 };  // element-wise activation functions
enum class PoolKind : uint8_t { none = 0, mean = 1, first = 2, last = 3, rank = 4 };  // GGUF's pooling_type

// Attention heads of a layer. k_size and v_size are the values per head; q heads share kv heads in equal
// groups.
struct HeadShape {
  uint32_t q_heads = 0, kv_heads = 0, k_size = 0, v_size = 0;
};

// x → [rows × cols]: rows of the embedding table, times scale.
struct Embed {
  Act out;
  Weight table;
  float scale = 1;
};

struct Norm {
  Act in, out;
  Weight gain, bias;
  NormKind kind = NormKind::rms;
  float eps = 0;
};

// One matrix per head, as rows of a single weight: head h has rows [h·pitch + first, h·pitch + first + rows)
// of it, those of a stack counted on from matrix to matrix. heads 0: the whole weight is one matrix.
struct HeadRows {
  uint32_t heads = 0, rows = 0, first = 0, pitch = 0;
};

// out = act(scale · in·Wᵀ + bias) + residual. out may take the residual's place in memory. With `heads`, each
// head's columns of `in` meet the head's own matrix, and give its columns of `out`.
struct Linear {
  Act in, out;
  Weight weight, bias;
  Act residual;
  Act1 act = Act1::none;
  float scale = 1;
  HeadRows heads = {};
};

// Projects to q, k, v; normalises each head (where there is a gain); rotates q and k by Program::ropes[rope];
// writes k and v into the pages of kv. q: [rows × q_heads·k_size].
struct Qkv {
  Act in, q;
  Weight wq, wk, wv, bq, bk, bv, q_norm, k_norm;
  float eps = 0;
  float scale_q = 1, scale_k = 1, scale_v = 1;  // of the matrices (NVFP4 carries one per matrix)
  uint32_t rope = 0;
  KvRef kv;
  HeadShape heads;
};

// Sizes of multi-head latent attention: a head's query and key have `plain` values that know no position and
// `rotated` ones that do; `latent` values per token stand for the keys and values of all heads.
struct LatentShape {
  uint32_t heads = 0, plain = 0, rotated = 0, latent = 0;
  uint32_t key() const { return latent + rotated; }
};

// Multi-head latent attention (DeepSeek-AI 2024, "DeepSeek-V2", section 2.1 and appendix C), up to Attend.
// Norms the latent part of `latent` [rows × key()], rotates the rest, and writes both as one row into the
// pages: all that is cached. Projects `in` to the heads' queries, takes the plain part of each through the
// transpose of the head's key matrix (q·(W·c) = (Wᵀ·q)·c) and rotates the other part. q: [rows ×
// heads·key()], for an Attend with one head of keys, whose values are the first `latent` values of each key.
// The cut: what compresses a row (to `in`, to `latent`) and what makes values of Attend's results are
// products like any other and stay Linears (the latter with one matrix per head); this has the rest, of
// which a head is a unit of work.
struct QkvLatent {
  Act in, latent, q;
  Weight wq, bq, wk, gain;
  // Of wk: each head's matrix as [latent × plain], or [plain × latent] where `upright`: as the older files
  // have it, together with the matrices of the values.
  HeadRows keys;
  bool upright = false;
  float eps = 0, scale_q = 1, scale_k = 1;
  uint32_t rope = 0;
  KvRef kv;
  LatentShape shape;
};

// Which positions a query sees. window 0 = all; causal: none after its own.
struct MaskSpec {
  bool causal = true;
  uint32_t window = 0;
};

// out = softmax(cap(scale · q·Kᵀ) + mask) · V over the pages of each row's sequence. out: [rows ×
// q_heads·v_size]. In a cache group without values of its own (CacheGroup) those are the first of each key.
// sinks [q_heads]: a score per head that takes part in the softmax and has no value.
struct Attend {
  Act q, out;
  KvRef kv;
  MaskSpec mask;
  float scale = 1, soft_cap = 0;
  HeadShape heads;
  Weight sinks;
  // The softmax's maximum is known before the first value is added: the scores are computed twice, and
  // nothing is rescaled on the way (OLLAMA_FLASH_ATTENTION=0). Otherwise a running softmax.
  bool two_pass = false;
};

// out = act(in·gateᵀ) ∘ (in·upᵀ)
struct Gated {
  Act in, out;
  Weight gate, up, gate_bias, up_bias;
  float scale_gate = 1, scale_up = 1;
  Act1 act = Act1::silu;
};

// What a router's scores become: weights by softmax over all experts, by softmax over the chosen ones, or
// each for itself by sigmoid.
enum class RouteScores : uint8_t { softmax, softmax_of_chosen, sigmoid };

// Router: the `used` best of `experts` per row. out: [rows × 2·used] floats: expert numbers, then weights.
// `renormalise`: the weights of the chosen are divided by their sum (softmax_of_chosen: always so). With
// `bias` [experts] the best are chosen by weight + bias and weighted without it. With groups > 1 only the
// experts of the best `groups_used` groups are candidates: a group counts as its best expert, with a bias as
// the sum of its two best (DeepSeek-V2, section 2.1.2; DeepSeek-V3, section 2.1.2).
struct Route {
  Act in, out;
  Weight router;
  uint32_t experts = 0, used = 0;
  RouteScores scores = RouteScores::softmax;
  bool renormalise = true;
  float scale = 1;
  Weight bias = {};
  uint32_t groups = 1, groups_used = 1;
};

// out = Σ weight · down(act(gate(x)) ∘ up(x)) over the chosen experts + residual. Matrices are stacks of
// experts.
struct Experts {
  Act in, route, out, residual;
  Weight gate, up, down;
  float scale_gate = 1, scale_up = 1, scale_down = 1;
  uint32_t used = 0, hidden = 0;
  Act1 act = Act1::silu;
};

// out = a · in + b · other (other may be none).
struct Combine {
  Act in, other, out;
  float a = 1, b = 1;
};

// Patches of pictures (StepInputs::pictures) → rows: the pixels of each size × size square, channel by
// channel and row by row, times Wᵀ, times scale, + bias, + the row of `positions` [patches × cols] with the
// patch's number in its picture, where there is such a table. weight: [cols × channels·size·size].
struct Patch {
  Act out;
  Weight weight, bias, positions;
  uint32_t size = 0, channels = 3;
  float scale = 1;
};

enum class ResampleKind : uint8_t { merge, average };

// Each factor × factor neighbours of a picture's grid become one row: their values one after another, row by
// row of the grid (out: factor²·cols), or their mean. From there on the step has as many rows fewer, its
// slices and pictures follow one another without gaps, and wanted rows count those. Activations from before
// cannot be read any more, and nothing behind it is rotated: positions are those of the patches.
struct Resample {
  Act in, out;
  ResampleKind kind = ResampleKind::merge;
  uint32_t factor = 2;
};

// Wanted rows (StepInputs::logit_rows) → scores: soft_cap(scale · norm'd row · Wᵀ + bias). Ends a language
// model.
struct Logits {
  Act in;
  Weight weight, bias;
  float scale = 1, soft_cap = 0;
};

// Rows of a sequence → one vector, the result of an embedding model. `rank` feeds the last row to a
// classifier, softmax over its outputs. Ends an embedding model.
struct Pool {
  Act in;
  PoolKind kind = PoolKind::last;
  Weight classifier, bias;
  uint32_t outputs = 0;  // values per sequence
};

// Copies an activation across a device border; inserted by placement, never by a model.
struct Transfer {
  Act in, out;
  bool to_host = true;  // else from the host's copy into out
  uint32_t slot = 0;    // which of the step's host copies
};

using Op = std::variant<Embed, Norm, Linear, Qkv, QkvLatent, Attend, Gated, Route, Experts, Combine, Patch,
                        Resample, Logits, Pool, Transfer>;

}  // namespace hearth
