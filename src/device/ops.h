#pragma once

#include <cstdint>
#include <optional>
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

// Where an operation keeps what it carries from token to token of a sequence: a group of states
// (CacheGroup::state) and the layer's number in it. A sequence that begins (Slice::cached 0) begins with
// zeros.
using StateRef = KvRef;

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

// parts: the row is that many equal pieces, each normalised by itself; gain and bias have all columns.
struct Norm {
  Act in, out;
  Weight gain, bias;
  NormKind kind = NormKind::rms;
  float eps = 0;
  uint32_t parts = 1;
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
// writes k and v into the pages of kv. q: [rows × q_heads·k_size]. gated: wq has for each head the rows of
// its query and then those of a gate, which goes into q as it is: [rows × q_heads·2·k_size].
struct Qkv {
  Act in, q;
  Weight wq, wk, wv, bq, bk, bv, q_norm, k_norm;
  float eps = 0;
  float scale_q = 1, scale_k = 1, scale_v = 1;  // of the matrices (NVFP4 carries one per matrix)
  uint32_t rope = 0;
  KvRef kv;
  HeadShape heads;
  bool gated = false;
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
  // q holds a gate behind each query (Qkv::gated): out ∘ σ(gate), for heads of k_size = v_size.
  bool gated = false;
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

// Causal convolution along each sequence, each column c of `out` for itself:
//   v[t][c] = in[t][at + c] (· in[t][pre + c])
//   out[t][c] = act(Σ_k kernel[c][k] · v[t − taps + 1 + k][c] + bias[c]) (· in[t][post + c])
// kernel: [cols × taps]. State: v of the last taps − 1 tokens, the oldest first.
struct ShortConv {
  Act in, out;
  Weight kernel, bias;
  uint32_t at = 0;
  std::optional<uint32_t> pre, post;
  Act1 act = Act1::none;
  StateRef state;
};

// Columns of an activation, from number `at` on.
struct Columns {
  Act act;
  uint32_t at = 0;
};

// Selective scan along each sequence (Gu and Dao 2023, "Mamba"; Dao and Gu 2024 with heads): a head has
// `size` columns of x and of out, and heads share b and c in equal groups, one after the other.
//   time[t][h] = softplus(step[t]·projectᵀ + step_bias)[h]; without `project` the heads' own column of step
//   S[t][i][n] = e^(time·a[h][n]) · S[t − 1][i][n] + time · x[t][i] · b[t][n],  n < states
//   out[t][i] = (Σ_n S[t][i][n] · c[t][n] + skip[h] · x[t][i]) · silu(gate[t][i])
// a: [heads × states], or [heads] where a head forgets all alike (each_state false). State: S,
// [cols][states].
struct Scan {
  Columns x, b, c, step, gate;
  Act out;
  Weight project, step_bias, a, skip;
  uint32_t heads = 0, size = 1, groups = 1, states = 0;
  bool each_state = true;
  StateRef state;
};

// Gated delta rule along each sequence (Yang et al. 2024, "Gated Delta Networks"): heads of `size` columns
// share key heads of as many, a state S [size of v × size of k] each.
//   k̂, q̂ = k, q of the key head, divided by their length (eps at least)
//   decay = e^(a[h] · softplus(alpha[t][h] + alpha_bias[h])), rate = σ(beta[t][h])
//   S[t] = decay · S[t − 1] + rate · (v[t] − decay · S[t − 1]·k̂[t]) ⊗ k̂[t]
//   out[t] = rms(S[t]·q̂[t] / √size, eps) · gain · silu(gate[t]), each head for itself
// turns: head h has key head h mod key_heads; else key heads have equal groups, one after the other. gain:
// [size]. State: [heads][size of v][size of k].
struct Delta {
  Columns q, k, v, alpha, beta, gate;
  Act out;
  Weight alpha_bias, a, gain;
  uint32_t heads = 0, key_heads = 1, size = 0;
  bool turns = false;
  float eps = 0;
  StateRef state;
};

// Mixes of each row with the one before it in its sequence (Peng et al. 2023, "RWKV"):
//   out[t][m·cols + i] = in[t][i] + mix[m][i] · (in[t − 1][i] − in[t][i])
// Zeros stand before the first row. mix: [mixes × cols], cols those of `in`. State: the last row.
struct Shift {
  Act in, out;
  Weight mix;
  StateRef state;
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

using Op = std::variant<Embed, Norm, Linear, Qkv, QkvLatent, Attend, Gated, Route, Experts, ShortConv, Scan,
                        Delta, Shift, Combine, Patch, Resample, Logits, Pool, Transfer>;

// Operations that carry a state.
template <class O>
concept Carries = requires(const O& o) {
  o.state;
};

}  // namespace hearth
