#pragma once

// Blocks whose values are scale · level: the scale that leaves the smallest weighted squared error is
// searched. For fixed levels q the best scale is Σwxq / Σwq² (least squares), and the best levels for a scale
// are the nearest ones; candidates of the scale are judged by what both together explain of Σwx², and the
// best is improved by alternating the two (Lloyd 1982).
#include <cmath>
#include <limits>
#include <utility>

#include "tensor/types/block.h"
#include "tensor/types/lanes.h"

namespace hearth {

// Σwxq, Σwq² and how much of Σwx² the best scale for these levels explains.
struct ScaleSums {
  float xq = 0, qq = 0;
  float scale() const { return qq > 0 ? xq / qq : 0; }
  float gain() const { return qq > 0 ? xq * (xq / qq) : 0; }
};

template <class Levels, uint32_t N>
ScaleSums scale_sums(const float* x, const float* w, float inverse) {
  Lanes xq = lanes(0), qq = lanes(0);
  for (uint32_t i = 0; i < N; i += 4) {
    const Lanes value = load(x + i), q = Levels::snap(value * lanes(inverse)), wq = load(w + i) * q;
    xq += wq * value;
    qq += wq * q;
  }
  return {sum(xq), sum(qq)};
}

// Σw(x − scale · level)² with the nearest levels.
template <class Levels, uint32_t N>
float scale_error(const float* x, const float* w, float scale) {
  const float inverse = scale != 0 ? 1 / scale : 0;
  Lanes error = lanes(0);
  for (uint32_t i = 0; i < N; i += 4) {
    const Lanes value = load(x + i);
    const Lanes off = value - lanes(scale) * Levels::snap(value * lanes(inverse));
    error += load(w + i) * off * off;
  }
  return sum(error);
}

template <uint32_t N>
float most_extreme(const float* x) {
  float most = x[0];
  for (uint32_t i = 1; i < N; ++i)
    if (std::fabs(x[i]) > std::fabs(most)) most = x[i];
  return most;
}

// The best scale of N values. Candidates put the largest magnitude at `from` … `to` times the lowest level
// and the highest one (both signs of the scale), in `steps` steps: below 1 it has room, above 1 it is
// clipped.
struct ScaleRange {
  float from, to;
  int steps;
};
template <class Levels, uint32_t N>
float search_scale(const float* x, const float* w, const ScaleRange& range) {
  const float peak = most_extreme<N>(x);
  if (!(std::fabs(peak) > 1e-30F)) return 0;
  ScaleSums best;
  const auto judge = [&](float candidate) {
    const ScaleSums s = scale_sums<Levels, N>(x, w, candidate);
    if (!(s.gain() > best.gain())) return false;
    best = s;
    return true;
  };
  for (const float end : {Levels::lowest, Levels::highest}) {
    for (int i = 0; i <= range.steps; ++i) {
      const float part = static_cast<float>(i) / static_cast<float>(range.steps);
      judge(end / peak * (range.from + (range.to - range.from) * part));
    }
  }
  for (int round = 0; round < 3 && best.scale() != 0; ++round)
    if (!judge(1 / best.scale())) break;
  return best.scale();
}

// The half-precision number `steps` representable numbers away from the one nearest to x; its sign is kept.
inline float half_neighbour(float x, int steps) {
  const uint16_t bits = float_to_half(x);
  const int magnitude = std::clamp((bits & 0x7fff) + steps, 0, 0x7bff);
  return half_to_float(static_cast<uint16_t>((bits & 0x8000) | magnitude));
}

// The half-precision scale near `scale` that is best for one block: `reach` neighbours to both sides are
// tried.
template <class Levels, uint32_t N>
float best_half(const float* x, const float* w, float scale, int reach) {
  float best = 0, least = std::numeric_limits<float>::infinity();
  for (int step = -reach; step <= reach; ++step) {
    const float candidate = half_neighbour(scale, step);
    const float error = scale_error<Levels, N>(x, w, candidate);
    if (error < least) {
      least = error;
      best = candidate;
    }
  }
  return best;
}

// The integers Low … High just below and above value / unit.
template <int Low, int High>
std::pair<int, int> around(float value, float unit) {
  if (unit == 0) return {0, 0};
  const float t = bounded(value / unit, static_cast<float>(Low), static_cast<float>(High));
  const int below = static_cast<int>(std::floor(t));
  return {below, std::min(below + 1, High)};
}

// Sub-blocks with integer scales Lowest … Highest times a common half-precision d.
template <class Levels, uint32_t Subs, uint32_t Size, int Lowest, int Highest>
class ScaleSearch {
 public:
  float d = 0;
  int scale[Subs] = {};
  int q[Subs][Size] = {};  // numbers of the levels, counted from the lowest

  ScaleSearch(const float* x, const float* w, const ScaleRange& range) : x_(x), w_(w) {
    for (uint32_t j = 0; j < Subs; ++j) wanted_[j] = search_scale<Levels, Size>(at(x, j), at(w, j), range);
    const float peak = most_extreme<Subs>(wanted_);
    for (const int end : {Lowest, Highest}) {
      if (Lowest == -Highest - 1 && end == Highest && Highest > 100) break;  // one step in 128 is no matter
      const float first = peak / static_cast<float>(end);
      // Subnormal halves are far apart: the neighbours may be much better.
      const int reach = std::fabs(first) < 0x1p-18F ? 3 : 0;
      for (int step = -reach; step <= reach; ++step) attempt(half_neighbour(first, step));
    }
    for (int round = 0; round < 3; ++round)
      if (!attempt(half_neighbour(least_squares(), 0))) break;
    finish();
  }

 private:
  static const float* at(const float* p, uint32_t j) { return p + j * Size; }

  // Takes `candidate` as d if the block gets better.
  bool attempt(float candidate) {
    if (candidate == 0 && least_ < std::numeric_limits<float>::infinity()) return false;
    int scales[Subs];
    float error = 0;
    for (uint32_t j = 0; j < Subs; ++j) error += choose(j, candidate, scales[j]);
    if (!(error < least_)) return false;
    least_ = error;
    d = candidate;
    std::copy(scales, scales + Subs, scale);
    return true;
  }

  // The best integer scale of sub-block j near the wanted one.
  float choose(uint32_t j, float candidate, int& chosen) const {
    float least = std::numeric_limits<float>::infinity();
    chosen = 0;
    const auto [below, above] = around<Lowest, Highest>(wanted_[j], candidate);
    for (int s = below; s <= above; ++s) {
      const float error = scale_error<Levels, Size>(at(x_, j), at(w_, j), candidate * static_cast<float>(s));
      if (error < least) {
        least = error;
        chosen = s;
      }
    }
    return least;
  }

  float least_squares() const {
    float xa = 0, aa = 0;
    for (uint32_t j = 0; j < Subs; ++j) {
      const float s = static_cast<float>(scale[j]), step = d * s;
      if (step == 0) continue;
      const ScaleSums sums = scale_sums<Levels, Size>(at(x_, j), at(w_, j), 1 / step);
      xa += s * sums.xq;
      aa += s * s * sums.qq;
    }
    return aa > 0 ? xa / aa : 0;
  }

  void finish() {
    for (uint32_t j = 0; j < Subs; ++j) {
      const float step = d * static_cast<float>(scale[j]), inverse = step != 0 ? 1 / step : 0;
      for (uint32_t i = 0; i < Size; ++i) q[j][i] = Levels::number(at(x_, j)[i] * inverse);
    }
  }

  const float* x_;
  const float* w_;
  float wanted_[Subs];
  float least_ = std::numeric_limits<float>::infinity();
};

}  // namespace hearth
