#pragma once

// Blocks whose values are scale · level + minimum, levels 0 … Top: scale and minimum that leave the smallest
// weighted squared error are searched as in search_scale.h, by weighted linear regression of the values on
// their levels.
#include <cmath>
#include <limits>

#include "tensor/types/block.h"
#include "tensor/types/lanes.h"
#include "tensor/types/search_scale.h"

namespace hearth {

// Weighted sums of N values and their levels.
struct LineSums {
  float w = 0, x = 0, q = 0, xq = 0, qq = 0;
};

struct Line {
  float scale = 0, minimum = 0;
  float gain = -std::numeric_limits<float>::infinity();  // how much of Σwx² is explained
};

// The regression line; its minimum is at most 0 where `below_zero` says so.
inline Line regression(const LineSums& s, bool below_zero) {
  const float determinant = s.w * s.qq - s.q * s.q;
  if (determinant > 0) {
    const float scale = (s.w * s.xq - s.x * s.q) / determinant, minimum = (s.x - scale * s.q) / s.w;
    if (scale > 0 && (minimum <= 0 || !below_zero)) return {scale, minimum, scale * s.xq + minimum * s.x};
  }
  if (s.qq > 0 && s.xq > 0) return {s.xq / s.qq, 0, s.xq * (s.xq / s.qq)};
  return {};
}

// The sums that the levels have no part in.
struct Totals {
  float w = 0, x = 0;
};
template <uint32_t N>
Totals totals(const float* x, const float* w) {
  Lanes sw = lanes(0), sx = lanes(0);
  for (uint32_t i = 0; i < N; i += 4) {
    const Lanes weight = load(w + i);
    sw += weight;
    sx += weight * load(x + i);
  }
  return {sum(sw), sum(sx)};
}

template <uint32_t Top, uint32_t N>
LineSums line_sums(const float* x, const float* w, const Totals& total, float inverse, float minimum) {
  Lanes sq = lanes(0), sxq = lanes(0), sqq = lanes(0);
  for (uint32_t i = 0; i < N; i += 4) {
    const Lanes value = load(x + i);
    const Lanes q = Integers<0, Top>::snap((value - lanes(minimum)) * lanes(inverse)), wq = load(w + i) * q;
    sq += wq;
    sxq += wq * value;
    sqq += wq * q;
  }
  return {total.w, total.x, sum(sq), sum(sxq), sum(sqq)};
}

// Σw(x − scale · level − minimum)² with the nearest levels.
template <uint32_t Top, uint32_t N>
float line_error(const float* x, const float* w, float scale, float minimum) {
  const float inverse = scale != 0 ? 1 / scale : 0;
  Lanes error = lanes(0);
  for (uint32_t i = 0; i < N; i += 4) {
    const Lanes value = load(x + i) - lanes(minimum);
    const Lanes off = value - lanes(scale) * Integers<0, Top>::snap(value * lanes(inverse));
    error += load(w + i) * off * off;
  }
  return sum(error);
}

// The best line of N values. Candidates divide the range of the values into Top + `from` … Top + `to` steps.
struct LineRange {
  float from, to;
  int steps;
  bool below_zero;  // the minimum may not be above 0
};
template <uint32_t Top, uint32_t N>
Line search_line(const float* x, const float* w, const Totals& total, const LineRange& range) {
  float low = x[0], high = x[0];
  for (uint32_t i = 1; i < N; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  if (range.below_zero) low = std::min(low, 0.0F);
  if (!(high - low > 1e-30F)) return {0, low, 0};
  Line best{0, low, -std::numeric_limits<float>::infinity()};
  const auto judge = [&](float inverse, float minimum) {
    const Line line = regression(line_sums<Top, N>(x, w, total, inverse, minimum), range.below_zero);
    if (!(line.gain > best.gain)) return false;
    best = line;
    return true;
  };
  for (int i = 0; i <= range.steps; ++i) {
    const float part = static_cast<float>(i) / static_cast<float>(range.steps);
    const float levels = static_cast<float>(Top) + range.from + (range.to - range.from) * part;
    // A range cut short is cut at both ends alike.
    const float spare = (high - low) * (1 - static_cast<float>(Top) / levels) / 2;
    judge(levels / (high - low), range.below_zero && low == 0 ? 0 : low + std::max(spare, 0.0F));
    if (spare > 0) judge(levels / (high - low), low);
  }
  for (int round = 0; round < 4 && best.scale > 0; ++round)
    if (!judge(1 / best.scale, best.minimum)) break;
  return best;
}

// The best line of one block whose scale and minimum are halves. The minimum is chosen for the rounded scale.
template <uint32_t Top, uint32_t N>
Line best_half_line(const float* x, const float* w, const LineRange& range) {
  const Totals total = totals<N>(x, w);
  const Line line = search_line<Top, N>(x, w, total, range);
  Line best;
  float least = std::numeric_limits<float>::infinity();
  for (int step = -1; step <= 1; ++step) {
    const float scale = half_neighbour(line.scale, step);
    const LineSums s = line_sums<Top, N>(x, w, total, scale != 0 ? 1 / scale : 0, line.minimum);
    const float wanted = s.w > 0 ? (s.x - scale * s.q) / s.w : line.minimum;
    for (int step_min = -1; step_min <= 1; ++step_min) {
      const float minimum = half_neighbour(wanted, step_min);
      const float error = line_error<Top, N>(x, w, scale, minimum);
      if (error < least) {
        least = error;
        best = {scale, minimum, 0};
      }
    }
  }
  return best;
}

// Sub-blocks with scales and minima 0 … Most times common half-precision d and dmin:
// value = d · scale · q − dmin · minimum.
template <uint32_t Top, uint32_t Subs, uint32_t Size, int Most>
class AffineSearch {
 public:
  float d = 0, dmin = 0;
  int scale[Subs] = {}, minimum[Subs] = {};
  int q[Subs][Size] = {};

  AffineSearch(const float* x, const float* w, const LineRange& range, int spread) : x_(x), w_(w) {
    float widest = 0, deepest = 0;
    for (uint32_t j = 0; j < Subs; ++j) {
      totals_[j] = totals<Size>(at(x, j), at(w, j));
      wanted_[j] = search_line<Top, Size>(at(x, j), at(w, j), totals_[j], range);
      widest = std::max(widest, wanted_[j].scale);
      deepest = std::max(deepest, -wanted_[j].minimum);
    }
    start(widest / Most, deepest / Most, spread);
    for (int round = 0; round < 3; ++round) {
      float better_d = 0, better_dmin = 0;
      least_squares(better_d, better_dmin);
      if (!attempt(half_neighbour(better_d, 0), half_neighbour(better_dmin, 0))) break;
    }
    finish();
  }

 private:
  struct Choice {
    int scale = 0, minimum = 0;
    float error = std::numeric_limits<float>::infinity();
  };

  static const float* at(const float* p, uint32_t j) { return p + j * Size; }

  // First values of d and dmin: the largest scale and minimum at the top of their range, or (where scales are
  // coarse, `spread` > 0) a little above it; and the neighbours where halves are far apart.
  void start(float first_d, float first_dmin, int spread) {
    const int reach = first_d < 0x1p-18F ? 2 : 0, reach_min = first_dmin < 0x1p-18F ? 2 : 0;
    for (int step = -reach; step <= reach; ++step) {
      for (int step_min = -reach_min; step_min <= reach_min; ++step_min)
        attempt(half_neighbour(first_d, step), half_neighbour(first_dmin, step_min));
    }
    for (int i = 1; i <= spread; ++i) {
      const float wider = 1 + 0.5F * static_cast<float>(i) / static_cast<float>(Most);
      attempt(half_neighbour(first_d * wider, 0), half_neighbour(first_dmin, 0));
      attempt(half_neighbour(first_d, 0), half_neighbour(first_dmin * wider, 0));
      attempt(half_neighbour(first_d / wider, 0), half_neighbour(first_dmin, 0));
      attempt(half_neighbour(first_d, 0), half_neighbour(first_dmin / wider, 0));
    }
  }

  bool attempt(float new_d, float new_dmin) {
    Choice choices[Subs];
    float error = 0;
    for (uint32_t j = 0; j < Subs && error < least_; ++j) {
      choices[j] = choose(j, new_d, new_dmin);
      error += choices[j].error;
    }
    if (!(error < least_)) return false;
    least_ = error;
    d = new_d;
    dmin = new_dmin;
    for (uint32_t j = 0; j < Subs; ++j) {
      scale[j] = choices[j].scale;
      minimum[j] = choices[j].minimum;
    }
    return true;
  }

  static int nearest(float value, float unit) {
    return unit == 0 ? 0 : Integers<0, Most>::number(value / unit);
  }

  // Integer scale and minimum of sub-block j near the wanted ones; for each scale the minimum follows from
  // the levels that it gives.
  Choice choose(uint32_t j, float new_d, float new_dmin) const {
    Choice best;
    const int first = nearest(-wanted_[j].minimum, new_dmin);
    const auto [below, above] = around<0, Most>(wanted_[j].scale, new_d);
    for (int s = below; s <= above; ++s) {
      const float step = new_d * static_cast<float>(s);
      const auto judge = [&](int m) {
        const float error =
            line_error<Top, Size>(at(x_, j), at(w_, j), step, -new_dmin * static_cast<float>(m));
        if (error < best.error) best = {s, m, error};
      };
      judge(first);
      const int moved = better_minimum(j, step, new_dmin, first);
      if (moved != first) judge(moved);
    }
    return best;
  }

  int better_minimum(uint32_t j, float step, float new_dmin, int m) const {
    const float shift = new_dmin * static_cast<float>(m);
    const LineSums s =
        line_sums<Top, Size>(at(x_, j), at(w_, j), totals_[j], step != 0 ? 1 / step : 0, -shift);
    return s.w > 0 ? nearest((step * s.q - s.x) / s.w, new_dmin) : 0;
  }

  // d and dmin for the integers as they are: two normal equations.
  void least_squares(float& new_d, float& new_dmin) const {
    float aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
    for (uint32_t j = 0; j < Subs; ++j) {
      const float a = static_cast<float>(scale[j]), b = static_cast<float>(-minimum[j]);
      const float step = d * a;
      const LineSums s =
          line_sums<Top, Size>(at(x_, j), at(w_, j), totals_[j], step != 0 ? 1 / step : 0, dmin * b);
      aa += a * a * s.qq;
      ab += a * b * s.q;
      bb += b * b * s.w;
      xa += a * s.xq;
      xb += b * s.x;
    }
    const float determinant = aa * bb - ab * ab;
    if (determinant > 0) {
      new_d = std::max((xa * bb - xb * ab) / determinant, 0.0F);
      new_dmin = std::max((xb * aa - xa * ab) / determinant, 0.0F);
    } else {
      new_d = aa > 0 ? std::max(xa / aa, 0.0F) : d;
      new_dmin = dmin;
    }
  }

  void finish() {
    for (uint32_t j = 0; j < Subs; ++j) {
      const float step = d * static_cast<float>(scale[j]), shift = dmin * static_cast<float>(minimum[j]);
      const float inverse = step != 0 ? 1 / step : 0;
      for (uint32_t i = 0; i < Size; ++i)
        q[j][i] = Integers<0, Top>::number((at(x_, j)[i] + shift) * inverse);
    }
  }

  const float* x_;
  const float* w_;
  Totals totals_[Subs];
  Line wanted_[Subs];
  float least_ = std::numeric_limits<float>::infinity();
};

}  // namespace hearth
