#include "worker/probe/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace hearth::probe {
namespace {

using Values = std::vector<double>;

// Kernels round activations to bytes or bfloat16, which costs less than a fiftieth of the results' size; what
// is wrong is wrong by much more.
constexpr double tolerance = 0.05;

// `first`: number of the first row that is compared, for the message.
std::string compare(std::span<const float> got, const Values& wanted, size_t cols, uint32_t first) {
  double square = 0;
  for (const double v : wanted) square += v * v;
  const double size = std::sqrt(square / static_cast<double>(wanted.size()));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto value = static_cast<double>(got[i]);
    const size_t row = first + i / cols, column = i % cols;
    if (!std::isfinite(value)) return fmt::format("wrong: row {} column {} is no number", row, column);
    if (std::fabs(value - wanted[i]) > tolerance * size)
      return fmt::format("wrong: row {} column {} is {:.4g} instead of {:.4g}", row, column, value,
                         wanted[i]);
  }
  return {};
}

std::vector<float> normal_values(size_t count, float scale, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& v : values) v = normal(random) * scale;
  return values;
}

// Rows [first, first + count) of x times the transposed w. x: [· × cols], w: [outs × cols].
Values times(const std::vector<float>& x, const std::vector<float>& w, size_t cols, uint32_t first,
             uint32_t count) {
  const size_t outs = w.size() / cols;
  Values y(count * outs);
  for (size_t r = 0; r < count; ++r) {
    for (size_t o = 0; o < outs; ++o) {
      const float *in = x.data() + (first + r) * cols, *row = w.data() + o * cols;
      double sum = 0;
      for (size_t c = 0; c < cols; ++c) sum += static_cast<double>(in[c]) * static_cast<double>(row[c]);
      y[r * outs + o] = sum;
    }
  }
  return y;
}

// Whole numbers from -8 to 7, with a -8 among every sixteen: each block of a q4_0 or q8_0 cache then has a
// scale that represents them (almost) exactly, and types of cache need no tolerance of their own.
std::vector<float> grid_values(uint32_t rows, uint32_t cols, std::mt19937& random) {
  std::vector<float> values(size_t{rows} * cols);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = i % 16 == 0 ? -8.0F : static_cast<float>(static_cast<int>(random() % 16) - 8);
  return values;
}

constexpr uint32_t width = 64, prompt_rows = 64;
constexpr HeadShape shape_of(uint32_t size) { return {4, 2, size, size}; }

// Output o of a matrix that copies columns of its input, `width` wide, is column o · step + shift.
struct Selection {
  uint32_t outs, step, shift;
  size_t source(uint32_t o) const { return (o * step + shift) % width; }
  std::vector<float> matrix() const {
    std::vector<float> values(size_t{outs} * width, 0.0F);
    for (uint32_t o = 0; o < outs; ++o) values[size_t{o} * width + source(o)] = 1.0F;
    return values;
  }
  Values of(const std::vector<float>& input) const {
    Values y;
    for (size_t row = 0; row < input.size(); row += width) {
      for (uint32_t o = 0; o < outs; ++o) y.push_back(static_cast<double>(input[row + source(o)]));
    }
    return y;
  }
};

// Softmax attention of one row over all rows up to its own, as the paper has it.
Values attend_row(const Values& q, const Values& k, const Values& v, uint32_t own, const Attend& o) {
  const HeadShape& h = o.heads;
  const size_t q_cols = h.q_heads * h.k_size, k_cols = h.kv_heads * h.k_size, v_cols = h.kv_heads * h.v_size;
  Values out(h.q_heads * h.v_size, 0);
  for (size_t head = 0; head < h.q_heads; ++head) {
    const size_t group = head / (h.q_heads / h.kv_heads);
    Values weights;
    double total = 0;
    for (size_t t = 0; t <= own; ++t) {
      double score = 0;
      for (size_t d = 0; d < h.k_size; ++d)
        score += q[own * q_cols + head * h.k_size + d] * k[t * k_cols + group * h.k_size + d];
      weights.push_back(std::exp(score * static_cast<double>(o.scale)));
      total += weights.back();
    }
    for (size_t t = 0; t <= own; ++t) {
      for (size_t d = 0; d < h.v_size; ++d)
        out[head * h.v_size + d] += weights[t] / total * v[t * v_cols + group * h.v_size + d];
    }
  }
  return out;
}

}  // namespace

std::vector<DType> product_types() {
  return {DType::f16,  DType::f32,    DType::bf16,   DType::q8_0, DType::q4_0, DType::q4_1,
          DType::q5_0, DType::q5_1,   DType::q2_k,   DType::q3_k, DType::q4_k, DType::q5_k,
          DType::q6_k, DType::iq4_nl, DType::iq4_xs, DType::mxfp4};
}

std::string check_product(const OpenDevice& open, DType type) {
  constexpr uint32_t cols = 256, outs = 96, rows = 44, prompt = 40;
  std::mt19937 random{static_cast<uint32_t>(type) + 1};
  Trial trial;
  const Act x = trial.act(cols), y = trial.act(outs);
  const std::vector<float> input = normal_values(size_t{rows} * cols, 1, random);
  const Weight table = trial.weight(DType::f32, rows, cols, input);
  const Weight w = trial.weight(type, outs, cols, normal_values(size_t{outs} * cols, 0.1F, random));
  trial.push(Embed{x, table, 1});
  trial.push(Linear{x, y, w, {}, {}, Act1::none, 1});
  trial.push(Pool{y, PoolKind::none, {}, {}, outs});
  trial.program.outputs = outs;
  trial.make_ready(open, prompt, rows);
  const std::vector<float> weights = trial.decoded(w);
  std::string wrong = compare(trial.step(0, prompt, false), times(input, weights, cols, 0, prompt), outs, 0);
  if (!wrong.empty()) return wrong;
  return compare(trial.step(prompt, rows - prompt, true), times(input, weights, cols, prompt, rows - prompt),
                 outs, prompt);
}

std::vector<AttentionVariant> attention_variants() {
  std::vector<AttentionVariant> all;
  for (const uint32_t size : {128U, 64U, 256U, 96U, 80U, 112U, 192U, 32U}) {
    all.push_back({size, KvType::f16});
    if (size == 128) all.push_back({size, KvType::f32});
    if (size % 32 != 0) continue;
    all.push_back({size, KvType::q8_0});
    all.push_back({size, KvType::q4_0});
  }
  return all;
}

std::string check_attention(const OpenDevice& open, AttentionVariant variant) {
  const HeadShape heads = shape_of(variant.head_size);
  constexpr uint32_t rows = prompt_rows + 1;
  std::mt19937 random{variant.head_size};
  Trial trial;
  trial.program.caches = {{1, heads.kv_heads, heads.k_size, heads.v_size, 0}};
  trial.program.ropes = {RopeTable{}};  // no rotation
  const Act x = trial.act(width), q = trial.act(heads.q_heads * heads.k_size),
            y = trial.act(heads.q_heads * heads.v_size);
  const uint32_t kv_cols = heads.kv_heads * heads.k_size;
  const std::vector<float> input = grid_values(rows, width, random);
  const Selection of_q{q.cols, 5, 3}, of_k{kv_cols, 1, 7}, of_v{kv_cols, 1, 21};
  const Weight table = trial.weight(DType::f32, rows, width, input);
  Qkv qkv;
  qkv.in = x;
  qkv.q = q;
  qkv.wq = trial.weight(DType::f16, q.cols, width, of_q.matrix());
  qkv.wk = trial.weight(DType::f16, kv_cols, width, of_k.matrix());
  qkv.wv = trial.weight(DType::f16, kv_cols, width, of_v.matrix());
  qkv.heads = heads;
  // The products of two such rows vary by about 21 per root of their length; the softmax shall be neither
  // flat nor of one token alone.
  const float scale = 1.5F / (21.0F * std::sqrt(static_cast<float>(heads.k_size)));
  const Attend attend{q, y, {}, {true, 0}, scale, 0, heads, {}, variant.two_pass};
  trial.push(Embed{x, table, 1});
  trial.push(qkv);
  trial.push(attend);
  trial.push(Pool{y, PoolKind::none, {}, {}, y.cols});
  trial.program.outputs = y.cols;
  trial.make_ready(open, prompt_rows, rows, {variant.kv, variant.kv});
  const Values qs = of_q.of(input), ks = of_k.of(input), vs = of_v.of(input);
  const auto prompt = trial.step(0, prompt_rows, false);
  for (const uint32_t row : {0U, 1U, 31U, 32U, 47U, 63U}) {
    std::string wrong = compare(prompt.subspan(size_t{row} * y.cols, y.cols),
                                attend_row(qs, ks, vs, row, attend), y.cols, row);
    if (!wrong.empty()) return wrong;
  }
  return compare(trial.step(prompt_rows, 1, true), attend_row(qs, ks, vs, prompt_rows, attend), y.cols,
                 prompt_rows);
}

}  // namespace hearth::probe
