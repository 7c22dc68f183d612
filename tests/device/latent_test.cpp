// Latent attention against attention as its paper has it: keys and values of every head made from the latent,
// nothing absorbed, in double arithmetic.
#include <gtest/gtest.h>

#include <cmath>

#include "device/cost.h"
#include "rig.h"

namespace hearth {
namespace {

using Row = std::vector<double>;

constexpr uint32_t width = 64;
constexpr float eps = 1e-3F, scale = 0.2F;

struct Case {
  std::string set;
  uint32_t threads, rows;
  LatentShape shape;
  uint32_t value = 32;   // of a head
  bool upright = false;  // one matrix of keys and values
  DType type = DType::f32;
  bool served = false, two_pass = false;
  KvType kv = KvType::f32;
};

// The model of a case: its weights, and what they are to the plain arithmetic.
struct Model {
  explicit Model(const Case& c) : rig(c.set, c.threads, c.served), wanted(c) {
    const LatentShape& s = c.shape;
    RopeTable rope;
    for (uint32_t i = 0; i < s.rotated / 2; ++i)
      rope.inv_freq.push_back(1.0F / static_cast<float>(1 + 3 * i));
    rope.magnitude = 1.25F;
    rig.program.ropes = {rope};
    rig.program.caches = {{1, 1, s.key(), 0, 0}};
    table = rig.weight(c.rows, width);
    q = rig.weight(s.heads * (s.plain + s.rotated), width, 0.2F, 0, 1, c.type);
    bias = rig.weight(1, s.heads * (s.plain + s.rotated), 0.1F);
    down = rig.weight(s.key(), width, 0.2F, 0, 1, c.type);
    gain = rig.weight(1, s.latent, 0.1F, 1);
    if (c.upright) {
      keys = values = rig.weight(s.heads * (s.plain + c.value), s.latent, 0.2F, 0, 1, c.type);
      key_rows = {s.heads, s.plain, 0, s.plain + c.value};
      value_rows = {s.heads, c.value, s.plain, s.plain + c.value};
    } else {
      keys = rig.weight(s.latent, s.plain, 0.2F, 0, s.heads, c.type);
      values = rig.weight(c.value, s.latent, 0.2F, 0, s.heads, c.type);
      key_rows = {s.heads, s.latent, 0, s.latent};
      value_rows = {s.heads, c.value, 0, c.value};
    }
    push(c);
  }

  void push(const Case& c) {
    const LatentShape& s = c.shape;
    const Act x = rig.act(width), latent = rig.act(s.key()), absorbed = rig.act(s.heads * s.key()),
              seen = rig.act(s.heads * s.latent), y = rig.act(s.heads * c.value);
    rig.push(Embed{x, table, 1});
    rig.push(Linear{x, latent, down, {}, {}, Act1::none, 1, {}});
    rig.push(
        QkvLatent{x, latent, absorbed, q, bias, keys, gain, key_rows, c.upright, eps, 0.5F, 2, 0, {}, s});
    rig.push(Attend{absorbed, seen, {}, {}, scale, 0, {s.heads, 1, s.key(), s.latent}, {}, c.two_pass});
    rig.push(Linear{seen, y, values, {}, {}, Act1::none, 3, value_rows});
    rig.push(Pool{y, PoolKind::none, {}, {}, y.cols});
  }

  // Row `p` of head h's key matrix, [plain][latent].
  Row key_row(uint32_t h, uint32_t p) const {
    const Matrix m = rig.matrix(keys);
    if (wanted.upright) return m[h * key_rows.pitch + p];
    Row row;
    for (uint32_t l = 0; l < wanted.shape.latent; ++l) row.push_back(m[h * wanted.shape.latent + l][p]);
    return row;
  }

  Rig rig;
  Case wanted;
  Weight table, q, bias, down, gain, keys, values;
  HeadRows key_rows, value_rows;
};

double dot(const Row& a, const Row& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Turns the pairs (x[2i], x[2i + 1]).
void rotate(Row& x, size_t position) {
  for (size_t i = 0; i < x.size() / 2; ++i) {
    const double angle = static_cast<double>(position) / static_cast<double>(1 + 3 * i);
    const double a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = 1.25 * (a * std::cos(angle) - b * std::sin(angle));
    x[2 * i + 1] = 1.25 * (a * std::sin(angle) + b * std::cos(angle));
  }
}

Row part(const Row& x, size_t first, size_t count) {
  return {x.begin() + static_cast<long>(first), x.begin() + static_cast<long>(first + count)};
}

// What one head gives for all rows.
Matrix head_of(const Model& m, uint32_t h, const Matrix& queries, const Matrix& latents,
               const Matrix& turned) {
  const LatentShape& s = m.wanted.shape;
  Matrix plain_keys(latents.size()), head_values(latents.size()), out;
  const Matrix w = m.rig.matrix(m.values);
  Matrix key_matrix;
  for (uint32_t p = 0; p < s.plain; ++p) key_matrix.push_back(m.key_row(h, p));
  for (size_t t = 0; t < latents.size(); ++t) {
    for (const Row& row : key_matrix) plain_keys[t].push_back(2 * dot(row, latents[t]));
    for (uint32_t v = 0; v < m.wanted.value; ++v)
      head_values[t].push_back(dot(w[h * m.value_rows.pitch + m.value_rows.first + v], latents[t]));
  }
  for (size_t r = 0; r < queries.size(); ++r) {
    const size_t at = size_t{h} * (s.plain + s.rotated);
    const Row plain = part(queries[r], at, s.plain);
    Row rotated = part(queries[r], at + s.plain, s.rotated), y(m.wanted.value, 0.0), weights;
    rotate(rotated, r);
    double total = 0;
    for (size_t t = 0; t <= r; ++t) {
      const double score = dot(plain, plain_keys[t]) + dot(rotated, turned[t]);
      weights.push_back(std::exp(static_cast<double>(scale) * score));
      total += weights.back();
    }
    for (size_t t = 0; t <= r; ++t) {
      for (size_t v = 0; v < y.size(); ++v) y[v] += 3 * weights[t] / total * head_values[t][v];
    }
    out.push_back(std::move(y));
  }
  return out;
}

Matrix plainly(const Model& m) {
  const LatentShape& s = m.wanted.shape;
  const Matrix in = m.rig.matrix(m.table);
  Matrix queries = times(in, m.rig.matrix(m.q)), latents = times(in, m.rig.matrix(m.down)), turned;
  const Row bias = m.rig.matrix(m.bias)[0], gain = m.rig.matrix(m.gain)[0];
  for (Row& row : queries) {
    for (size_t i = 0; i < row.size(); ++i) row[i] = 0.5 * row[i] + bias[i];
  }
  for (size_t t = 0; t < latents.size(); ++t) {
    turned.push_back(part(latents[t], s.latent, s.rotated));
    rotate(turned.back(), t);
    latents[t].resize(s.latent);
    const double factor = 1 / std::sqrt(dot(latents[t], latents[t]) / s.latent + static_cast<double>(eps));
    for (size_t l = 0; l < s.latent; ++l) latents[t][l] *= factor * gain[l];
  }
  Matrix out(in.size());
  for (uint32_t h = 0; h < s.heads; ++h) {
    const Matrix y = head_of(m, h, queries, latents, turned);
    for (size_t r = 0; r < out.size(); ++r) out[r].insert(out[r].end(), y[r].begin(), y[r].end());
  }
  return out;
}

void check(const Case& c, double tolerance) {
  SCOPED_TRACE(c.set + " threads " + std::to_string(c.threads) + " rows " + std::to_string(c.rows) +
               (c.upright ? " upright" : ""));
  Model m(c);
  expect_near(m.rig.run(c.rows, c.kv), plainly(m), tolerance);
}

TEST(LatentAttention, IsThatOfThePaper) {
  for (const std::string set : {"portable", "avx2", ""}) {
    for (const bool upright : {false, true}) {
      for (const uint32_t threads : {1U, 3U}) {
        for (const uint32_t rows : {1U, 6U, 37U, 70U}) {
          check({set, threads, rows, {4, 32, 8, 64}, 32, upright}, 1e-4);
          check({set, threads, rows, {5, 64, 24, 32}, 16, upright}, 1e-4);
        }
      }
    }
  }
}

TEST(LatentAttention, InTwoPasses) {
  for (const bool upright : {false, true}) {
    Case c{"", 2, 70, {18, 32, 8, 32}, 8, upright};
    c.two_pass = true;
    check(c, 1e-4);
  }
}

// Weights and arithmetic as they are served, by the error of all values together, relative to their size.
// Values lie inside the keys: in whole blocks.
TEST(LatentAttention, QuantizedWeightsAndCaches) {
  const std::pair<KvType, double> caches[] = {
      {KvType::f32, 0.02}, {KvType::f16, 0.02}, {KvType::q8_0, 0.04}, {KvType::q4_0, 0.4}};
  for (const bool upright : {false, true}) {
    for (const DType type : {DType::q8_0, DType::q4_0, DType::f16}) {
      for (const auto& [kv, tolerance] : caches) {
        Case c{"", 2, 70, {4, 32, 32, 64}, 32, upright, type, true};
        c.kv = kv;
        SCOPED_TRACE(std::string(type_info(type).name) + " cache " + std::string(to_string(kv)));
        Model m(c);
        const Matrix found = m.rig.run(c.rows, kv), wanted = plainly(m);
        double error = 0, size = 0;
        for (size_t r = 0; r < wanted.size(); ++r) {
          for (size_t i = 0; i < wanted[r].size(); ++i) {
            error += (found[r][i] - wanted[r][i]) * (found[r][i] - wanted[r][i]);
            size += wanted[r][i] * wanted[r][i];
          }
        }
        EXPECT_LE(std::sqrt(error / size), tolerance);
      }
    }
  }
}

// Where units are fewer than threads, heads are divided between them, and it changes no bit.
TEST(LatentAttention, TheNumberOfThreadsChangesNothing) {
  for (const uint32_t rows : {1U, 5U, 40U}) {
    Matrix alone;
    for (const uint32_t threads : {1U, 2U, 5U, 16U}) {
      Model m({"", threads, rows, {20, 32, 8, 64}});
      const Matrix found = m.rig.run(rows);
      if (alone.empty()) alone = found;
      EXPECT_EQ(found, alone) << threads << " threads, " << rows << " rows";
    }
  }
}

TEST(LatentAttention, TheCacheIsReadOnce) {
  Model m({"portable", 1, 4, {4, 32, 8, 64}});
  const Program& p = m.rig.program;
  StepShape step;
  step.context = 100;
  const auto op_cost = [&](size_t i) { return cost(p.ops[i], step, p); };
  EXPECT_EQ(op_cost(3).bytes, 100U * 72 * 2);  // one row of keys per token, values in it
  EXPECT_EQ(op_cost(3).flops, 2U * 100 * 4 * (72 + 64));
  EXPECT_EQ(op_cost(2).bytes, 4U * (4 * 40 * 64 + 4 * 32 * 64));
  EXPECT_EQ(op_cost(2).flops, 2U * (4 * 40 * 64 + 4 * 32 * 64));
  EXPECT_EQ(op_cost(4).bytes, 4U * 4 * 32 * 64);
  Model older({"portable", 1, 4, {4, 32, 8, 64}, 32, true});
  // Of the common matrix each operation reads its half.
  EXPECT_EQ(cost(older.rig.program.ops[2], step, older.rig.program).bytes, op_cost(2).bytes);
  EXPECT_EQ(cost(older.rig.program.ops[4], step, older.rig.program).bytes, op_cost(4).bytes);
}

TEST(LatentAttention, RefusalsNameTheNumbers) {
  Model m({"", 1, 4, {4, 32, 8, 64}});
  const auto device = open_cpu_device({"", 1, true});
  const auto cause = [&](KvTypes kv) {
    const auto refusal = device->refuse(m.rig.program.ops[2], m.rig.program, kv);
    return refusal ? refusal->detail : std::string();
  };
  EXPECT_NE(cause({KvType::q8_0, KvType::f16}).find("key heads have 72"), std::string::npos);
  EXPECT_EQ(cause({KvType::f16, KvType::q8_0}), "");  // the type of values is not used
}

// Each head's own matrix, with everything else that a Linear can do.
TEST(Operations, LinearWithOneMatrixPerHead) {
  for (const std::string set : {"portable", ""}) {
    for (const uint32_t rows : {1U, 9U, 70U}) {
      Rig rig(set, 3);
      const Act x = rig.act(96), y = rig.act(60);
      const Weight table = rig.weight(rows, 96), w = rig.weight(25, 32, 0.2F, 0, 3), b = rig.weight(1, 60);
      const Act z = rig.act(60);
      const Weight other = rig.weight(60, 96, 0.2F);
      rig.push(Embed{x, table, 1});
      rig.push(Linear{x, z, other, {}, {}, Act1::none, 1, {}});
      rig.push(Linear{x, y, w, b, z, Act1::relu, 0.5F, {3, 20, 4, 25}});
      rig.push(Pool{y, PoolKind::none, {}, {}, 60});
      const Matrix in = rig.matrix(table), m = rig.matrix(w);
      Matrix wanted = times(in, rig.matrix(other));
      for (size_t r = 0; r < rows; ++r) {
        for (size_t c = 0; c < 60; ++c) {
          const double product = dot(part(in[r], c / 20 * 32, 32), m[c / 20 * 25 + 4 + c % 20]);
          wanted[r][c] += std::max(0.0, 0.5 * product + rig.matrix(b)[0][c]);
        }
      }
      expect_near(rig.run(rows), wanted, 1e-5);
    }
  }
}

// The layout gives the memory that a norm read to the result of the norm's reader: they cannot be one stage.
TEST(Operations, ANormIsReadBeforeItsMemoryIsTaken) {
  for (const uint32_t rows : {3U, 70U}) {
    Rig rig("", 4);
    const Act x = rig.act(256), y = rig.act(256), normed = rig.act(256), z = rig.act(256);
    const Weight table = rig.weight(rows, 256), first = rig.weight(256, 256, 0.1F),
                 second = rig.weight(256, 256, 0.1F), gain = rig.weight(1, 256, 0.1F, 1);
    rig.push(Embed{x, table, 1});
    rig.push(Linear{x, y, first, {}, {}, Act1::none, 1, {}});
    rig.push(Norm{y, normed, gain, {}, NormKind::rms, eps});
    rig.push(Linear{normed, z, second, {}, {}, Act1::none, 1, {}});
    rig.push(Pool{z, PoolKind::none, {}, {}, 256});
    const Layout layout = lay_out(rig.program, rows);
    ASSERT_EQ(layout.offset[z.id - 1], layout.offset[y.id - 1]);
    Matrix wanted = times(rig.matrix(table), rig.matrix(first));
    const Row g = rig.matrix(gain)[0];
    for (Row& row : wanted) {
      const double factor = 1 / std::sqrt(dot(row, row) / 256 + static_cast<double>(eps));
      for (size_t c = 0; c < row.size(); ++c) row[c] *= factor * g[c];
    }
    expect_near(rig.run(rows), times(wanted, rig.matrix(second)), 1e-4);
  }
}

}  // namespace
}  // namespace hearth
