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

}  // namespace

// Whether one more worker of `need` bytes may start; `without_stopping`: as if those that are being stopped
// were gone. A worker that would be the only one may always try: it says itself by how much it falls short.
bool WorkerPool::fits(uint64_t need, bool without_stopping) const {
  uint32_t count = 0;
  uint64_t held = 0, reserved = 0, returning = 0;
  for (const auto& [key, worker] : workers_) {
    const uint64_t anonymous = worker.was_ready ? worker.ready.held.anonymous() : 0;
    if (!worker.lives()) {
      returning = plus(returning, anonymous);
      if (without_stopping) continue;
    }
    ++count;
    held = plus(held, worker.memory);
    // What the system still reports as available although this worker is going to use it: all of a loading
    // one, and the pages of the file of a loaded one.
    reserved = plus(reserved, minus(worker.memory, anonymous));
  }
  if (count == 0) return true;
  if (count >= policy_.most_loaded) return false;
  if (policy_.memory_bytes > 0) return plus(held, need) <= policy_.memory_bytes;
  const uint64_t available = plus(world_.available(), without_stopping ? returning : 0);
  return need <= minus(available, reserved);
}

// Evicts idle workers as needed. Where only busy ones are left, the one that is waited for is put into
// `held`, so that it comes to rest.
WorkerPool::Room WorkerPool::make_room(const ModelSpec& spec, std::set<std::string>& held) {
  const auto shortage = short_of_memory_.find(spec.key);
  if (shortage != short_of_memory_.end()) {
    const Room room = make_room_after_shortage(spec.key, held);
    if (room != Room::free) return room;
  }
  const uint64_t need = estimated_memory(spec.load.path);
  while (!fits(need, true)) {
    Worker* idle = least_needed(true);
    if (idle == nullptr) {
      if (const Worker* busy = least_needed(false)) held.insert(busy->spec.key);
      return Room::none;
    }
    stop(*idle);
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
