// Workers that hang: nothing is heard of them, and they do nothing or do it for too long.
#include <fmt/format.h>

#include <algorithm>

#include "scheduler/pool/pool.h"

namespace hearth {
namespace {

using std::chrono::nanoseconds;

double seconds(nanoseconds d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

void WorkerPool::begin_watch(Worker& worker) {
  const Time now = world_.now();
  worker.watch = {now, now, now + watch_interval(worker), std::nullopt, worker.handle->progress()};
}

nanoseconds WorkerPool::watch_interval(const Worker& worker) const {
  const bool loading = worker.phase == Worker::Phase::loading;
  const nanoseconds limit = loading ? policy_.load_timeout : policy_.hang_timeout;
  constexpr nanoseconds longest = std::chrono::seconds(5);
  return limit <= nanoseconds(0) ? longest
                                 : std::clamp<nanoseconds>(limit / 8, std::chrono::milliseconds(5), longest);
}

// Loading, a worker answers nothing; processor time alone is no progress of a load. Afterwards it answers
// between steps, and a long step shows as processor time.
std::optional<std::string> WorkerPool::stuck(const Worker& worker, Time now) const {
  const Watch& w = worker.watch;
  if (worker.phase == Worker::Phase::loading) {
    if (policy_.load_timeout <= nanoseconds(0) || now - w.moved < policy_.load_timeout) return std::nullopt;
    return fmt::format("made no progress for {:.3g} s", seconds(policy_.load_timeout));
  }
  if (!w.asked) return std::nullopt;
  if (now - *w.asked >= policy_.step_timeout) {
    return fmt::format("did not finish a step in {:.3g} s", seconds(policy_.step_timeout));
  }
  if (now - std::max(*w.asked, w.moved) < policy_.hang_timeout) return std::nullopt;
  return fmt::format("hung: it neither answered nor computed for {:.3g} s", seconds(policy_.hang_timeout));
}

void WorkerPool::look_after(Worker& worker) {
  const bool loading = worker.phase == Worker::Phase::loading;
  const Time now = world_.now();
  if (!worker.lives() || (!loading && worker.open() == 0) || now < worker.watch.next) return;
  // Where this process itself was held up, answers may lie unread: count from now on.
  const bool late = now - worker.watch.next > 2 * watch_interval(worker);
  worker.watch.next = now + watch_interval(worker);
  const Progress seen = worker.handle->progress();
  const bool moved = loading ? seen.touched != worker.watch.seen.touched : seen != worker.watch.seen;
  worker.watch.seen = seen;
  if (moved || late) worker.watch.moved = now;
  if (const auto how = stuck(worker, now)) return lose(worker, *how, !loading);
  if (loading || worker.watch.asked) return;
  worker.watch.asked = now;
  worker.handle->send(to_child::Ping{});
}

std::optional<Time> WorkerPool::next_wake() const {
  std::optional<Time> next;
  const auto consider = [&](std::optional<Time> t) {
    if (t) next = std::min(next.value_or(*t), *t);
  };
  for (const auto& [key, worker] : workers_) {
    if (!worker.lives()) continue;
    if (worker.idle()) consider(worker.expires());
    if (worker.phase == Worker::Phase::loading || worker.open() > 0) consider(worker.watch.next);
  }
  if (!jobs_.empty()) consider(patience_ends_);
  return next;
}

}  // namespace hearth
