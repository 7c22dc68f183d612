// Which placements are tried.
#include <algorithm>
#include <limits>

#include "plan/placement/draft.h"

namespace hearth {
namespace {

class Search {
 public:
  Search(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Wish& wish,
         const Terms& terms)
      : model_(model), devices_(devices), wish_(wish), terms_(terms) {
    for (uint32_t d = 0; d < devices.size(); ++d) {
      if (devices[d].maps_weights) {
        host_ = host_.value_or(d);
      } else {
        cards_.push_back(d);
      }
    }
    if (wish.main_gpu > 0 && wish.main_gpu < cards_.size())
      std::rotate(cards_.begin(), cards_.begin() + wish.main_gpu, cards_.begin() + wish.main_gpu + 1);
    for (uint32_t d = 0; d < devices.size(); ++d) {
      if (devices[d].maps_weights && d != *host_) cards_.push_back(d);  // a second host device, in tests
    }
  }

  std::optional<Draft> run() {
    if (wish_.gpu_layers && host_ && !cards_.empty()) {
      consider(counted(*wish_.gpu_layers));
      return best_;
    }
    if (!wish_.spread || cards_.size() < 2) {
      for (const uint32_t d : cards_) consider(single(d));
      if (best_) return best_;
    } else {
      consider(spread());
      if (best_) return best_;
    }
    const auto order = by_speed();
    consider(filled(order, false));
    if (host_) {
      auto with_host = order;
      with_host.push_back(*host_);
      if (!cards_.empty()) {
        consider(filled(with_host, false));
        consider(filled(with_host, true));
      }
      consider(single(*host_));
      // An integrated card takes its copies from the memory that the host needs: it may have to leave some.
      const bool shares =
          std::any_of(order.begin(), order.end(), [&](uint32_t d) { return devices_[d].host_memory; });
      for (size_t most = model_.parts.size(); shares && !best_ && most-- > 0;)
        consider(filled(with_host, false, most));
    }
    return best_;
  }

 private:
  void consider(std::optional<Draft> draft) {
    if (!draft || !draft->fits()) return;
    const double s = score(model_, devices_, *draft);
    if (best_ && s >= score_) return;
    best_.emplace(std::move(*draft));
    score_ = s;
  }

  std::vector<uint32_t> by_speed() const {
    auto order = cards_;
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return devices_[a].rates.memory > devices_[b].rates.memory;
    });
    if (wish_.main_gpu > 0 && !cards_.empty()) {
      const auto main = std::find(order.begin(), order.end(), cards_.front());
      std::rotate(order.begin(), main, main + 1);
    }
    return order;
  }

  std::optional<Draft> single(uint32_t device) const {
    Draft draft(model_, devices_, terms_);
    for (size_t p = model_.parts.size(); p-- > 0;) {
      if (!draft.put(p, device)) return std::nullopt;
    }
    return draft;
  }

  // From the head backwards: the first device takes as much as it can, then the next one goes on. The head is
  // read whole for every token and belongs to the fastest; the table of embeddings costs least elsewhere.
  // experts_last: what all tokens read goes first, the experts get what is left. most_shared: parts on cards
  // that share the host's memory.
  std::optional<Draft> filled(const std::vector<uint32_t>& order, bool experts_last,
                              size_t most_shared = std::numeric_limits<size_t>::max()) const {
    Draft draft(model_, devices_, terms_);
    const auto put = [&](size_t part, uint32_t device) {
      const bool shares = devices_[device].host_memory;
      if ((shares && most_shared == 0) || !draft.put(part, device)) return false;
      most_shared -= shares ? 1 : 0;
      return true;
    };
    const auto pass = [&](auto&& wanted) {
      size_t at = 0;
      for (size_t p = model_.parts.size(); p-- > 0;) {
        if (!wanted(model_.parts[p].kind)) continue;
        while (at < order.size() && !put(p, order[at])) ++at;
        if (at < order.size()) continue;
        // It is refused, or too large, for the last device too: one of the others may take it.
        at = order.size() - 1;
        if (std::none_of(order.begin(), order.end(), [&](uint32_t d) { return put(p, d); })) return false;
      }
      return true;
    };
    if (!experts_last) {
      return pass([](PartKind) { return true; }) ? std::optional(draft) : std::nullopt;
    }
    const bool any = std::any_of(model_.parts.begin(), model_.parts.end(),
                                 [](const PartProfile& p) { return p.kind == PartKind::experts; });
    const bool done = any && pass([](PartKind k) { return k != PartKind::experts; }) &&
                      pass([](PartKind k) { return k == PartKind::experts; });
    return done ? std::optional(draft) : std::nullopt;
  }

  // No card computes it, however much room there is.
  bool refused(size_t part) const {
    return std::all_of(cards_.begin(), cards_.end(), [&](uint32_t d) {
      const auto& causes = devices_[d].refusals;
      return part < causes.size() && !causes[part].empty();
    });
  }

  // The last `layers` layers on the cards, the head being the first of them; the rest on the host, and with
  // it what the cards refuse.
  std::optional<Draft> counted(uint32_t layers) const {
    Draft draft(model_, devices_, terms_);
    const auto order = by_speed();
    const auto all = static_cast<uint32_t>(std::count_if(
        model_.parts.begin(), model_.parts.end(), [](const auto& p) { return p.kind == PartKind::layer; }));
    const bool table_too = layers > all;
    size_t at = 0;
    uint32_t left = layers;
    for (size_t p = model_.parts.size(); p-- > 0;) {
      const PartKind kind = model_.parts[p].kind;
      const bool on_card = kind == PartKind::embed ? table_too : left > 0;
      if (kind == PartKind::layer || kind == PartKind::head) left -= left > 0 ? 1 : 0;
      if (!on_card || refused(p)) {
        if (!draft.put(p, *host_)) return std::nullopt;
        continue;
      }
      while (at < order.size() && !draft.put(p, order[at])) ++at;
      if (at == order.size()) return std::nullopt;
    }
    return draft;
  }

  // Over all cards, each with a share of the layers like its share of the memory.
  std::optional<Draft> spread() const {
    const auto order = by_speed();
    double memory = 0, weights = 0;
    for (const uint32_t d : order) memory += static_cast<double>(devices_[d].usable);
    for (const PartProfile& p : model_.parts) weights += static_cast<double>(p.weights);
    Draft draft(model_, devices_, terms_);
    size_t at = 0;
    double placed = 0, limit = static_cast<double>(devices_[order[0]].usable) / memory;
    for (size_t p = model_.parts.size(); p-- > 0;) {
      const double part = static_cast<double>(model_.parts[p].weights) / std::max(1.0, weights);
      if (placed + part / 2 > limit && at + 1 < order.size()) {
        ++at;
        limit += static_cast<double>(devices_[order[at]].usable) / memory;
      }
      placed += part;
      if (!draft.put(p, order[at])) return std::nullopt;
    }
    return draft;
  }

  const MemoryProfile& model_;
  std::span<const DeviceBudget> devices_;
  const Wish& wish_;
  const Terms& terms_;
  std::optional<uint32_t> host_;
  std::vector<uint32_t> cards_;
  std::optional<Draft> best_;
  double score_ = 0;
};

}  // namespace

std::optional<Draft> best_placement(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                                    const Wish& wish, const Terms& terms) {
  return Search(model, devices, wish, terms).run();
}

}  // namespace hearth
