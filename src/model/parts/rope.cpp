#include "model/parts/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace hearth {
namespace {

struct Yarn {
  double low = 0, high = 0;  // pair numbers between which interpolation fades in
  double strength = 1;
};

// The pair whose wave makes `turns` turns within the original context (YaRN, equation 17 solved for the
// dimension).
double pair_of_turns(double turns, double dims, double context, double base) {
  return dims * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

Yarn read_yarn(const Keys& keys, uint32_t dims, double base) {
  const double context = keys.number("rope.scaling.original_context_length", keys.require("context_length"));
  const double fast = keys.real("rope.scaling.yarn_beta_fast", 32),
               slow = keys.real("rope.scaling.yarn_beta_slow", 1);
  Yarn y;
  y.low = std::max(0.0, std::floor(pair_of_turns(fast, dims, context, base)));
  y.high = std::min(dims - 1.0, std::ceil(pair_of_turns(slow, dims, context, base)));
  y.strength = keys.real("rope.scaling.yarn_ext_factor", 1);
  return y;
}

// How much of a pair keeps its own frequency: 1 for fast pairs, 0 for slow ones.
double kept(const Yarn& y, double pair) {
  const double ramp = (pair - y.low) / std::max(0.001, y.high - y.low);
  return (1 - std::clamp(ramp, 0.0, 1.0)) * y.strength;
}

}  // namespace

RopeTable read_rope(const Keys& keys, uint32_t head_size, bool split, const std::vector<float>& factors) {
  const uint32_t dims = keys.number("rope.dimension_count", head_size);
  if (dims > head_size || dims % 2 != 0) {
    throw Error(Code::corrupt_file,
                fmt::format("rope.dimension_count {} does not suit heads of {}", dims, head_size),
                "the metadata contradicts itself: get the file from another source");
  }
  const double base = keys.real("rope.freq_base", 10000);
  const std::string type = keys.text("rope.scaling.type", keys.has("rope.scale_linear") ? "linear" : "none");
  if (type != "none" && type != "linear" && type != "yarn") {
    throw Error(Code::unsupported, fmt::format("rope scaling '{}' is not known", type),
                "this version knows none, linear, yarn and llama-3 factors");
  }
  const double factor = keys.real("rope.scaling.factor", keys.real("rope.scale_linear", 1));
  const double shrink = type == "none" || factor <= 0 ? 1 : 1 / factor;

  RopeTable rope;
  rope.split = split;
  rope.magnitude = keys.real("rope.scaling.attn_factor", 1);
  const bool yarn = type == "yarn";
  const Yarn y = yarn ? read_yarn(keys, dims, base) : Yarn{};
  if (yarn && y.strength != 0) rope.magnitude *= static_cast<float>(1 + 0.1 * std::log(1 / shrink));
  for (uint32_t i = 0; i < dims / 2; ++i) {
    const double own =
        std::pow(base, -2.0 * i / dims) / (factors.empty() ? 1.0 : static_cast<double>(factors[i]));
    const double keep = yarn ? kept(y, i) : 0;
    rope.inv_freq.push_back(static_cast<float>(own * (shrink * (1 - keep) + keep)));
  }
  return rope;
}

}  // namespace hearth
