// How fast a placement is: bytes over bandwidth for a generated token, the slower of that and arithmetic for
// a prompt.
#include <algorithm>

#include "plan/placement/draft.h"

namespace hearth {
namespace {

// Where nobody measured: a middling card, and a desktop's memory. They only order placements; a plan says
// that its speed is unknown.
constexpr Rates common_card{300e9, 10e12, 10e9, false};
constexpr Rates common_host{40e9, 300e9, 10e9, false};

// Reading the file's mapping misses huge pages and the woven form.
constexpr double mapped_slower = 1.3;
// What a step costs per device change beside the bytes: a wait for the other device.
constexpr double change_seconds = 50e-6;

}  // namespace

Times times(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Draft& draft,
            uint32_t depth) {
  Times t;
  const Terms& terms = draft.terms();
  const double rows = model.steps[terms.step].rows;
  for (size_t p = 0; p < model.parts.size(); ++p) {
    const PartProfile& part = model.parts[p];
    const DeviceBudget& device = devices[*draft.at(p)];
    Rates rates = device.rates;
    const Rates& common = device.maps_weights ? common_host : common_card;
    t.token_known = t.token_known && rates.memory > 0;
    t.prompt_known = t.prompt_known && rates.memory > 0 && rates.flops > 0;
    t.measured = t.measured && rates.measured;
    if (rates.memory <= 0) rates.memory = common.memory;
    if (rates.flops <= 0) rates.flops = common.flops;
    const double memory = rates.memory / (device.maps_weights && !terms.host_copy ? mapped_slower : 1);
    double kv = 0;
    for (const uint16_t group : part.caches) {
      CacheProfile one = model.caches[group];
      one.layers = 1;
      const auto page = static_cast<double>(page_bytes(one, terms.kv));
      kv += one.state != 0 ? 2 * page : page / page_tokens * depth;  // a state is read and written
    }
    const double weights = static_cast<double>(part.token_bytes);
    t.token += (weights + kv) / memory;
    const double flops =
        static_cast<double>(part.row_flops) + static_cast<double>(part.attend_flops) * depth / 2;
    // A step reads what any of its rows needs: of experts all, sooner or later.
    const double read = part.kind == PartKind::head ? 0 : static_cast<double>(part.weights);
    t.prompt += std::max(part.kind == PartKind::head ? 0 : flops / rates.flops, read / memory / rows);
  }
  double slowest = 0;
  for (const DeviceBudget& d : devices)
    slowest = d.maps_weights || d.rates.transfer <= 0 ? slowest : std::max(slowest, 1 / d.rates.transfer);
  if (slowest == 0) slowest = 1 / common_card.transfer;
  const double changes = draft.crossings(), bytes = 4.0 * model.width;
  t.token += changes * (change_seconds + 2 * bytes * slowest);
  t.prompt += changes * (change_seconds / rows + 2 * bytes * slowest);
  return t;
}

double score(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Draft& draft) {
  constexpr double prompt = 512, answer = 256;
  const Times t = times(model, devices, draft, 512);
  return prompt * t.prompt + answer * t.token;
}

}  // namespace hearth
