// Routing and experts, heads of embedding models and windows against naive double arithmetic, over odd sizes
// and several threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "device/cpu/experts.h"
#include "rig.h"

namespace hearth {
namespace {

using Row = std::vector<double>;

struct Case {
  std::string set;
  uint32_t threads = 1, rows = 1;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* set : {"portable", ""}) {
    for (const uint32_t threads : {1U, 3U, 7U}) {
      for (const uint32_t rows : {1U, 6U, 37U}) all.push_back({set, threads, rows});
    }
  }
  return all;
}

Row softmaxed(Row x) {
  const double best = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double& v : x) sum += v = std::exp(v - best);
  for (double& v : x) v /= sum;
  return x;
}

// Numbers in descending order of what they stand for.
std::vector<size_t> ranked(const Row& x) {
  std::vector<size_t> order(x.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] > x[b]; });
  return order;
}

// Ranks of experts outside the best groups fall below all others.
void keep_best_groups(const Route& o, Row& ranks) {
  const size_t size = o.experts / o.groups;
  Row groups;
  for (size_t g = 0; g < o.groups; ++g) {
    Row own(ranks.begin() + static_cast<long>(g * size), ranks.begin() + static_cast<long>((g + 1) * size));
    std::sort(own.rbegin(), own.rend());
    groups.push_back(o.bias && size > 1 ? own[0] + own[1] : own[0]);
  }
  const auto order = ranked(groups);
  for (size_t i = o.groups_used; i < order.size(); ++i) {
    for (size_t e = 0; e < size; ++e) ranks[order[i] * size + e] = -1e9;
  }
}

// The chosen experts and their weights of one row of router scores.
std::vector<std::pair<size_t, double>> chosen(const Route& o, const Row& scores, const Row& bias = {}) {
  Row all = o.scores == RouteScores::softmax ? softmaxed(scores) : scores;
  if (o.scores == RouteScores::sigmoid) {
    for (double& v : all) v = 1 / (1 + std::exp(-v));
  }
  Row ranks = all;
  for (size_t e = 0; e < bias.size(); ++e) ranks[e] += bias[e];
  if (o.groups > 1) keep_best_groups(o, ranks);
  std::vector<size_t> order = ranked(ranks);
  order.resize(o.used);
  Row weights;
  for (const size_t e : order) weights.push_back(all[e]);
  if (o.scores == RouteScores::softmax_of_chosen) weights = softmaxed(weights);
  double sum = 0;
  for (const double w : weights) sum += w;
  std::vector<std::pair<size_t, double>> out;
  for (size_t i = 0; i < order.size(); ++i) {
    const bool scaled = o.scores != RouteScores::softmax_of_chosen && o.renormalise;
    out.emplace_back(order[i], static_cast<double>(o.scale) * (scaled ? weights[i] / sum : weights[i]));
  }
  return out;
}

Matrix slice_of(const Matrix& stack, size_t rows, size_t index) {
  const auto first = stack.begin() + static_cast<long>(rows * index);
  return {first, first + static_cast<long>(rows)};
}

struct Mixture {
  uint32_t experts = 0, used = 0, hidden = 0;
  RouteScores scores = RouteScores::softmax;
  bool renormalise = true;
  float scale = 1;
  bool bias = false;
  uint32_t groups = 1, groups_used = 1;
};

void check_mixture(const Case& c, const Mixture& m) {
  constexpr uint32_t width = 64;
  Rig rig(c.set, c.threads);
  const Act x = rig.act(width), route = rig.act(2 * m.used), y = rig.act(width);
  const Weight table = rig.weight(c.rows, width), router = rig.weight(m.experts, width, 0.2F);
  Route r{x, route, router, m.experts, m.used, m.scores, m.renormalise, m.scale};
  if (m.bias) r.bias = rig.weight(1, m.experts, 0.3F);
  r.groups = m.groups;
  r.groups_used = m.groups_used;
  const Row bias = m.bias ? rig.matrix(r.bias)[0] : Row{};
  const Weight gate = rig.weight(m.hidden, width, 0.2F, 0, m.experts),
               up = rig.weight(m.hidden, width, 0.2F, 0, m.experts),
               down = rig.weight(width, m.hidden, 0.2F, 0, m.experts);
  rig.push(Embed{x, table, 1});
  rig.push(r);
  rig.push(Experts{x, route, y, x, gate, up, down, 0.5F, 2, 0.25F, m.used, m.hidden, Act1::silu});
  rig.push(Pool{y, PoolKind::none, {}, {}, width});
  const Matrix in = rig.matrix(table), scores = times(in, rig.matrix(router)), gates = rig.matrix(gate),
               ups = rig.matrix(up), downs = rig.matrix(down);
  Matrix wanted = in;
  for (size_t i = 0; i < c.rows; ++i) {
    for (const auto& [e, weight] : chosen(r, scores[i], bias)) {
      const Row g = times({in[i]}, slice_of(gates, m.hidden, e))[0];
      const Row u = times({in[i]}, slice_of(ups, m.hidden, e))[0];
      Row h(m.hidden);
      for (size_t k = 0; k < m.hidden; ++k) h[k] = 0.5 * g[k] / (1 + std::exp(-0.5 * g[k])) * 2 * u[k];
      const Row d = times({h}, slice_of(downs, width, e))[0];
      for (size_t k = 0; k < width; ++k) wanted[i][k] += weight * 0.25 * d[k];
    }
  }
  SCOPED_TRACE(c.set + " threads " + std::to_string(c.threads) + " experts " + std::to_string(m.experts));
  expect_near(rig.run(c.rows), wanted, 1e-4);
}

TEST(Experts, EveryWayToChooseAndWeigh) {
  for (const Case& c : cases()) {
    check_mixture(c, {8, 2, 96, RouteScores::softmax, true, 1});
    check_mixture(c, {5, 5, 32, RouteScores::softmax, false, 2.5F});
    check_mixture(c, {33, 1, 160, RouteScores::softmax_of_chosen, true, 1});
    check_mixture(c, {7, 3, 64, RouteScores::softmax_of_chosen, false, 0.5F});
    check_mixture(c, {9, 4, 32, RouteScores::sigmoid, true, 2.5F});
    check_mixture(c, {9, 4, 32, RouteScores::sigmoid, false, 1, true});
    check_mixture(c, {1, 1, 64, RouteScores::sigmoid, false});  // a gate
    check_mixture(c, {12, 3, 32, RouteScores::softmax, false, 1, false, 4, 2});
    check_mixture(c, {15, 4, 32, RouteScores::sigmoid, true, 2, true, 3, 2});
    check_mixture(c, {6, 2, 32, RouteScores::sigmoid, true, 1, true, 6, 2});  // groups of one
  }
}

// Packed experts with integers: close to the decoded weights' products, and every row the same whatever else
// is in the step and however many threads there are.
TEST(Experts, PackedMatricesOfAStack) {
  for (const DType type : {DType::q8_0, DType::q4_k, DType::f16}) {
    const Mixture m{5, 2, 256};
    Matrix alone;
    for (const uint32_t threads : {1U, 3U}) {
      for (const uint32_t rows : {15U, 11U}) {
        Rig rig("", threads, true);
        const Act x = rig.act(256), route = rig.act(2 * m.used), y = rig.act(256);
        const Weight table = rig.weight(15, 256), router = rig.weight(m.experts, 256, 0.2F);
        const Route r{x, route, router, m.experts, m.used, m.scores, m.renormalise, m.scale};
        const Weight gate = rig.weight(m.hidden, 256, 0.05F, 0, m.experts, type),
                     up = rig.weight(m.hidden, 256, 0.05F, 0, m.experts, type),
                     down = rig.weight(256, m.hidden, 0.05F, 0, m.experts, type);
        rig.push(Embed{x, table, 1});
        rig.push(r);
        rig.push(Experts{x, route, y, {}, gate, up, down, 1, 1, 1, m.used, m.hidden, Act1::silu});
        rig.push(Pool{y, PoolKind::none, {}, {}, 256});
        const Matrix found = rig.run(rows), in = rig.matrix(table), scores = times(in, rig.matrix(router)),
                     gates = rig.matrix(gate), ups = rig.matrix(up), downs = rig.matrix(down);
        Matrix wanted(rows, Row(256, 0));
        for (size_t i = 0; i < rows; ++i) {
          for (const auto& [e, weight] : chosen(r, scores[i])) {
            const Row g = times({in[i]}, slice_of(gates, m.hidden, e))[0];
            const Row u = times({in[i]}, slice_of(ups, m.hidden, e))[0];
            Row h(m.hidden);
            for (size_t k = 0; k < m.hidden; ++k) h[k] = g[k] / (1 + std::exp(-g[k])) * u[k];
            const Row d = times({h}, slice_of(downs, 256, e))[0];
            for (size_t k = 0; k < 256; ++k) wanted[i][k] += weight * d[k];
          }
        }
        SCOPED_TRACE(std::string(type_info(type).name) + " threads " + std::to_string(threads));
        expect_near(found, wanted, 0.03);  // activations keep seven bits
        if (alone.empty()) alone = found;
        EXPECT_TRUE(std::equal(found.begin(), found.end(), alone.begin()));
      }
    }
  }
}

TEST(Experts, EqualScoresChooseTheLowestNumbers) {
  for (const Case& c : cases()) {
    Rig rig(c.set, c.threads);
    const Act x = rig.act(32), route = rig.act(6);
    const Weight table = rig.weight(c.rows, 32), router = rig.weight(9, 32, 0, 0.1F);
    rig.push(Embed{x, table, 1});
    rig.push(Route{x, route, router, 9, 3, RouteScores::softmax, true, 1});
    rig.push(Pool{route, PoolKind::none, {}, {}, 6});
    const double third = 1.0 / 3;
    expect_near(rig.run(c.rows), Matrix(c.rows, Row{0, 1, 2, third, third, third}), 1e-5);
  }
}

// Biases and scores that are no numbers, or infinite: every row still has as many experts, no two the same.
TEST(Experts, AreChosenOnceWhateverTheScores) {
  constexpr float infinite = std::numeric_limits<float>::infinity(),
                  nan = std::numeric_limits<float>::quiet_NaN();
  for (const Case& c : cases()) {
    for (const RouteScores scores :
         {RouteScores::softmax, RouteScores::softmax_of_chosen, RouteScores::sigmoid}) {
      for (const float worst : {infinite, -infinite, nan}) {
        Rig rig(c.set, c.threads);
        const Act x = rig.act(32), route = rig.act(12);
        const Weight table = rig.weight(c.rows, 32), router = rig.weight(9, 32, 0.1F);
        Route r{x, route, router, 9, 6, scores, true, 1};
        r.bias = rig.weight(1, 9, 0, worst);
        r.groups = 3;
        r.groups_used = 2;
        rig.push(Embed{x, table, 1});
        rig.push(r);
        rig.push(Pool{route, PoolKind::none, {}, {}, 12});
        for (const Row& row : rig.run(c.rows)) {
          const std::set<double> chosen(row.begin(), row.begin() + 6);
          EXPECT_EQ(chosen.size(), 6U) << worst;
          EXPECT_LT(*chosen.rbegin(), 9) << worst;
        }
      }
    }
  }
}

// What another device has chosen is not trusted: an expert has room for one pair of each row.
TEST(Experts, ListsLeaveOutWhatNoRouterChooses) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> route{2, 2, 2, 0.5F, 0.25F, 0.125F, -1, 4, nan, 1, 1, 1, 3, 0, 3, 7, 8, 9};
  std::vector<std::byte> memory(cpu::PairLists::bytes(4, 9));
  cpu::PairLists lists(memory.data(), 4, 9);
  lists.build(route.data(), 6, 3, 3);
  EXPECT_EQ(lists.pairs(), 3U);
  EXPECT_EQ(lists.active(), 3U);
  EXPECT_EQ(lists.count(2), 1U);
  EXPECT_EQ(lists.row(lists.first(2)), 0U);
  EXPECT_EQ(lists.weight(lists.first(2)), 0.5F);
  EXPECT_EQ(lists.count(3), 1U);
  EXPECT_EQ(lists.weight(lists.first(3)), 7.0F);
  EXPECT_EQ(lists.count(0), 1U);
  EXPECT_EQ(lists.weight(lists.first(0)), 8.0F);
}

TEST(Pooling, RankIsASoftmaxOverItsClassifier) {
  for (const Case& c : cases()) {
    Rig rig(c.set, c.threads);
    const Act x = rig.act(96);
    const Weight table = rig.weight(c.rows, 96), classifier = rig.weight(5, 96, 0.1F),
                 bias = rig.weight(1, 5);
    rig.push(Embed{x, table, 1});
    rig.push(Pool{x, PoolKind::rank, classifier, bias, 5});
    Matrix wanted = times(rig.matrix(table), rig.matrix(classifier));
    const Row b = rig.matrix(bias)[0];
    for (Row& row : wanted) {
      for (size_t k = 0; k < 5; ++k) row[k] += b[k];
      row = softmaxed(row);
    }
    expect_near(rig.run(c.rows), wanted, 1e-5);
  }
}

TEST(Pooling, LastFirstAndNoneGiveTheWantedRows) {
  for (const Case& c : cases()) {
    for (const PoolKind kind : {PoolKind::none, PoolKind::first, PoolKind::last}) {
      Rig rig(c.set, c.threads);
      const Act x = rig.act(32);
      const Weight table = rig.weight(c.rows, 32);
      rig.push(Embed{x, table, 1.5F});
      rig.push(Pool{x, kind, {}, {}, 32});
      Matrix wanted = rig.matrix(table);
      for (Row& row : wanted) {
        for (double& v : row) v *= 1.5;
      }
      expect_near(rig.run(c.rows), wanted, 1e-6);
    }
  }
}

TEST(Scores, SoftCapBiasAndScaleOfTheVocabulary) {
  for (const Case& c : cases()) {
    for (const uint32_t vocabulary : {1U, 63U, 200U}) {
      Rig rig(c.set, c.threads);
      const Act x = rig.act(64), y = rig.act(64);
      const Weight table = rig.weight(c.rows, 64), gain = rig.weight(1, 64, 0.1F, 1),
                   head = rig.weight(vocabulary, 64, 0.3F), bias = rig.weight(1, vocabulary);
      rig.push(Embed{x, table, 1});
      rig.push(Norm{x, y, gain, {}, NormKind::rms, 1e-6F});
      rig.push(Logits{y, head, bias, 0.5F, 3});
      Matrix normed = rig.matrix(table);
      const Row g = rig.matrix(gain)[0], b = rig.matrix(bias)[0];
      for (Row& row : normed) {
        double square = 0;
        for (const double v : row) square += v * v / 64;
        for (size_t k = 0; k < 64; ++k) row[k] *= g[k] / std::sqrt(square + 1e-6);
      }
      Matrix wanted = times(normed, rig.matrix(head));
      for (Row& row : wanted) {
        for (size_t k = 0; k < vocabulary; ++k) row[k] = 3 * std::tanh((0.5 * row[k] + b[k]) / 3);
      }
      expect_near(rig.run(c.rows), wanted, 2e-5);
    }
  }
}

TEST(Combining, WithAndWithoutAnother) {
  for (const Case& c : cases()) {
    Rig rig(c.set, c.threads);
    const Act x = rig.act(40), y = rig.act(40), z = rig.act(40);
    const Weight table = rig.weight(c.rows, 40);
    rig.push(Embed{x, table, 1});
    rig.push(Combine{x, {}, y, -2, 9});
    rig.push(Combine{y, x, z, 0.5F, 3});
    rig.push(Pool{z, PoolKind::none, {}, {}, 40});
    Matrix wanted = rig.matrix(table);
    for (Row& row : wanted) {
      for (double& v : row) v = 0.5 * -2 * v + 3 * v;
    }
    expect_near(rig.run(c.rows), wanted, 1e-6);
  }
}

}  // namespace
}  // namespace hearth
