// How many workers fit, and who has to go.
#include <algorithm>
#include <limits>
#include <tuple>

#include "scheduler/pool/pool.h"

namespace hearth {
namespace {

uint64_t minus(uint64_t a, uint64_t b) { return a - std::min(a, b); }
uint64_t plus(uint64_t a, uint64_t b) {
  return a > std::numeric_limits<uint64_t>::max() - b ? std::numeric_limits<uint64_t>::max() : a + b;
}

uint64_t anonymous_on_host(const std::vector<DeviceBuffers>& held) {
  uint64_t sum = 0;
  for (const DeviceBuffers& h : held) sum = plus(sum, h.device == "cpu" ? h.anonymous() : 0);
  return sum;
}

}  // namespace

// Of each card what loaded models leave; `without_stopping`: as if those that are being stopped were gone.
std::map<std::string, uint64_t> WorkerPool::left_on_cards(bool without_stopping) const {
  std::map<std::string, uint64_t> left;
  for (const DeviceBudget& d : policy_.devices) {
    if (!d.maps_weights) left[d.device] = d.usable;
  }
  for (const auto& [key, worker] : workers_) {
    if (!worker.lives() && without_stopping) continue;
    for (auto& [device, bytes] : left) {
      const auto taken = worker.takes.cards.find(device);
      if (taken != worker.takes.cards.end()) bytes = minus(bytes, taken->second);
    }
  }
  return left;
}

// As its worker will plan it: for the empty machine, or, where others leave enough for a plan that is as
// good, for what they leave.
WorkerPool::Need WorkerPool::need_of(const ModelSpec& spec) const {
  const auto alone = plan_within(spec, policy_.devices, {});
  if (!alone) return {{estimated_memory(spec.load.path), {}}, policy_.devices};
  Need need{footprint_of(alone->devices), policy_.devices};
  if (fits_on_cards(need.takes, true)) return need;
  const auto left = left_on_cards(true);
  const auto squeezed = plan_within(spec, policy_.devices, left);
  if (!squeezed || !as_good(*squeezed, *alone, policy_.devices)) return need;
  need.takes = footprint_of(squeezed->devices);
  for (DeviceBudget& b : need.budgets) {
    if (!b.maps_weights) b.usable = left.at(b.device);
  }
  return need;
}

bool WorkerPool::fits_on_cards(const Footprint& need, bool without_stopping) const {
  const auto left = left_on_cards(without_stopping);
  return std::all_of(need.cards.begin(), need.cards.end(), [&](const auto& card) {
    const auto there = left.find(card.first);
    return there == left.end() || card.second <= there->second;
  });
}

// Whether one more worker that takes so much may start; `without_stopping`: as if those that are being
// stopped were gone. A worker that would be the only one may always try: it says itself by how much it falls
// short.
bool WorkerPool::fits(const Footprint& need, bool without_stopping) const {
  uint32_t count = 0;
  uint64_t held = 0, reserved = 0, returning = 0;
  for (const auto& [key, worker] : workers_) {
    const uint64_t anonymous = worker.was_ready ? anonymous_on_host(worker.ready.held) : 0;
    if (!worker.lives()) {
      returning = plus(returning, anonymous);
      if (without_stopping) continue;
    }
    ++count;
    held = plus(held, worker.takes.host);
    // What the system still reports as available although this worker is going to use it: all of a loading
    // one, and the pages of the file of a loaded one.
    reserved = plus(reserved, minus(worker.takes.host, anonymous));
  }
  if (count == 0) return true;
  if (count >= most_loaded() || !fits_on_cards(need, without_stopping)) return false;
  if (policy_.memory_bytes > 0) return plus(held, need.host) <= policy_.memory_bytes;
  const uint64_t available = plus(world_.available(), without_stopping ? returning : 0);
  return need.host <= minus(available, reserved);
}

// Evicts idle workers as needed. Where only busy ones are left, the one that is waited for is put into
// `held`, so that it comes to rest.
WorkerPool::Room WorkerPool::make_room(const ModelSpec& spec, std::set<std::string>& held) {
  const auto shortage = short_of_memory_.find(spec.key);
  if (shortage != short_of_memory_.end()) {
    const Room room = make_room_after_shortage(spec.key, held);
    if (room != Room::free) return room;
  }
  Footprint need = need_of(spec).takes;
  while (!fits(need, true)) {
    Worker* idle = least_needed(true);
    if (idle == nullptr) {
      if (const Worker* busy = least_needed(false)) held.insert(busy->spec.key);
      return Room::none;
    }
    stop(*idle);
    need = need_of(spec).takes;
  }
  return fits(need, false) ? Room::free : Room::coming;
}

// A load ran out of memory: all idle workers go, or at least one of the busy ones when it comes to rest.
WorkerPool::Room WorkerPool::make_room_after_shortage(const std::string& key, std::set<std::string>& held) {
  bool& made = short_of_memory_.at(key);
  if (!made) {
    bool others_busy = false, evicted = false;
    for (auto& [other, worker] : workers_) {
      others_busy = others_busy || (worker.lives() && !worker.idle());
      if (!worker.idle()) continue;
      stop(worker);
      evicted = true;
    }
    made = evicted || !others_busy;
  }
  if (!made) {
    if (const Worker* busy = least_needed(false)) held.insert(busy->spec.key);
    return Room::none;
  }
  const bool stopping =
      std::any_of(workers_.begin(), workers_.end(), [](const auto& w) { return !w.second.lives(); });
  return stopping ? Room::coming : Room::free;
}

// The idle (or the busy) worker whose keep-alive is the shortest to last, the longest unused among equals.
Worker* WorkerPool::least_needed(bool idle) {
  const auto rank = [&](const Worker& w) {
    const auto expires = w.expires();
    // Of busy ones the clock stands still: what they were given counts.
    const auto left = !expires ? Time::duration::max() : idle ? *expires - Time{} : *expires - w.idle_since;
    return std::tuple(left, idle ? w.idle_since : Time{}, w.number);
  };
  Worker* best = nullptr;
  for (auto& [key, worker] : workers_) {
    if (!worker.lives() || worker.idle() != idle) continue;
    if (best == nullptr || rank(worker) < rank(*best)) best = &worker;
  }
  return best;
}

}  // namespace hearth
