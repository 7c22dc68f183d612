// Which workers live, and what they begin.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "base/error.h"
#include "scheduler/pool/pool.h"

namespace hearth {

void WorkerPool::decide() {
  if (closing_) end_patience();
  serve_waiting();
  retire();
  world_.wake(next_wake());
  if (!closing_ || !workers_.empty()) return;
  for (auto& done : std::exchange(when_closed_, {})) world_.later(std::move(done));
}

void WorkerPool::serve_waiting() {
  std::set<std::string> held;  // models whose later requests must not overtake an earlier one
  bool room_awaited = false;
  for (const RequestId id : waiting()) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end() || held.contains(job->second.spec.key)) continue;
    place(job->second, held, room_awaited);
  }
}

void WorkerPool::place(Job& job, std::set<std::string>& held, bool& room_awaited) {
  const std::string& key = job.spec.key;
  Worker* worker = find(key);
  if (worker == nullptr) {
    if (!room_awaited && make_room(job.spec, held) == Room::free) return load(job);
    room_awaited = true;
    held.insert(key);
    return;
  }
  if (worker->phase != Worker::Phase::ready) return;
  if (!worker->handle->alive()) return worker->handle->kill();  // its end is noticed soon, or now
  const bool welcome = !worker->last || job.id <= *worker->last;
  if (!welcome || !suits(job.spec, *worker)) {
    held.insert(key);
    if (worker->idle()) stop(*worker);
    return;
  }
  const bool full = (policy_.parallel > 0 && worker->open() >= policy_.parallel) ||
                    (worker->full_at && worker->open() >= *worker->full_at);
  if (!full || only_loads(job.request)) begin(*worker, job);
}

void WorkerPool::begin(Worker& worker, Job& job) {
  const RequestId id = job.id;
  job.waited = std::chrono::duration<double>(world_.now() - job.submitted).count();
  if (job.keep_alive) worker.keep_alive = *job.keep_alive;
  leave_idle(worker);
  if (only_loads(job.request)) {
    from_child::Done done{id, "load", {}};
    done.statistics.load = done.statistics.total = job.waited;
    answer(job, std::move(done));
    jobs_.erase(id);
    return;
  }
  try {
    worker.handle->send(to_child::Start{id, job.request});
  } catch (const Error& e) {
    return fail(id, e);
  }
  if (worker.open() == 0) begin_watch(worker);
  worker.running.insert(id);
  job.running = true;
}

void WorkerPool::load(Job& job) {
  const std::string key = job.spec.key;
  const uint64_t number = ++last_worker_;
  WorkerEvents events;
  events.message = [this, key, number](FromChild m) { on_message(key, number, std::move(m)); };
  events.ended = [this, key, number](const std::string& how) { on_end(key, number, how); };
  Worker worker;
  worker.number = number;
  worker.spec = job.spec;
  const Need need = need_of(job.spec);
  worker.takes = need.takes;
  worker.spec.load.budgets = need.budgets;
  const auto halved = halvings_.find(key);
  if (halved != halvings_.end()) worker.spec.load.halvings = halved->second;
  worker.keep_alive = policy_.keep_alive;
  try {
    worker.handle = factory_.start(std::move(events));
    worker.handle->send(to_child::Load{worker.spec.load});
  } catch (const Error& e) {
    return fail(job.id, e);
  }
  begin_watch(worker);
  spdlog::info(fmt::format("loading {}", job.spec.name));
  workers_.emplace(key, std::move(worker));
}

// Ends what nobody needs any more.
void WorkerPool::retire() {
  const Time now = world_.now();
  for (auto& [key, worker] : workers_) {
    if (worker.phase == Worker::Phase::loading && !wanted(worker)) stop(worker);
    if (worker.idle() && (closing_ || expired(worker, now))) stop(worker);
  }
  std::erase_if(short_of_memory_, [&](const auto& entry) { return waiting_for(entry.first) == 0; });
}

bool WorkerPool::expired(const Worker& worker, Time now) const {
  const auto expires = worker.expires();
  return (expires && *expires <= now) || (worker.last && !wanted(worker));
}

// Whether a request waits that this worker could take.
bool WorkerPool::wanted(const Worker& worker) const {
  for (const auto& [id, job] : jobs_) {
    if (job.running || job.spec.key != worker.spec.key) continue;
    if ((!worker.last || id <= *worker.last) && suits(job.spec, worker)) return true;
  }
  return false;
}

void WorkerPool::stop(Worker& worker) {
  worker.phase = Worker::Phase::stopping;
  worker.handle->kill();
}

void WorkerPool::end_patience() {
  if (!patience_ends_ || world_.now() < *patience_ends_) return;
  while (!jobs_.empty()) finish_cancelled(jobs_.begin()->first);
  for (auto& [key, worker] : workers_) worker.running.clear();
}

}  // namespace hearth
