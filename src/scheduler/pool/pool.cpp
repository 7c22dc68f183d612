#include "scheduler/pool/pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace hearth {

WorkerPool::WorkerPool(SchedulerPolicy policy, WorkerFactory& factory, Surroundings world)
    : policy_(std::move(policy)), factory_(factory), world_(std::move(world)) {
  policy_.most_waiting = std::max(policy_.most_waiting, 1U);
}

uint32_t WorkerPool::most_loaded() const {
  if (policy_.most_loaded > 0) return policy_.most_loaded;
  constexpr uint32_t per_card = 3;
  const auto cards = std::count_if(policy_.devices.begin(), policy_.devices.end(),
                                   [](const DeviceBudget& d) { return !d.maps_weights; });
  return per_card * std::max(1U, static_cast<uint32_t>(cards));
}

WorkerPool::~WorkerPool() {
  for (auto& [key, worker] : workers_) worker.handle->kill();
}

RequestId WorkerPool::submit(const ModelSpec& spec, Request request, KeepAlive keep_alive, PieceSink sink) {
  const RequestId id{++last_request_};
  Job job{id,          spec, std::move(request), keep_alive, std::make_shared<PieceSink>(std::move(sink)),
          world_.now()};
  jobs_.emplace(id, std::move(job));
  if (closing_) {
    fail(id, Error(Code::busy, "server busy: it is shutting down", "try again when it is back"));
  } else if (waiting().size() > policy_.most_waiting) {
    fail(id, Error(Code::busy, fmt::format("server busy: {} requests are waiting", policy_.most_waiting),
                   "try again later or raise OLLAMA_MAX_QUEUE"));
  } else {
    decide();
  }
  return id;
}

void WorkerPool::cancel(RequestId id) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end()) return;
  if (job->second.running) {
    Worker& worker = *find(job->second.spec.key);
    worker.handle->send(to_child::Cancel{id});
    worker.running.erase(id);
    worker.cancelled.insert(id);
    if (worker.idle()) leave_idle(worker);
  }
  finish_cancelled(id);
  decide();
}

void WorkerPool::unload(const std::string& key) {
  Worker* worker = find(key);
  if (worker == nullptr || !worker->lives()) return;
  if (!worker->last) worker->last = RequestId{last_request_};
  decide();
}

void WorkerPool::shut_down(std::chrono::nanoseconds patience, std::function<void()> done) {
  closing_ = true;
  when_closed_.push_back(std::move(done));
  if (patience >= std::chrono::nanoseconds(0)) {
    const Time end =
        world_.now() + std::min<std::chrono::nanoseconds>(patience, std::chrono::hours(24 * 365));
    patience_ends_ = std::min(patience_ends_.value_or(end), end);
  }
  for (const RequestId id : waiting()) {
    fail(id, Error(Code::busy, "server busy: it is shutting down", "try again when it is back"));
  }
  decide();
}

std::vector<Resident> WorkerPool::residents() const {
  std::vector<Resident> list;
  for (const auto& [key, worker] : workers_) {
    if (!worker.was_ready) continue;
    Resident r{worker.spec,
               worker.ready,
               static_cast<uint32_t>(worker.running.size()),
               static_cast<uint32_t>(waiting_for(key)),
               std::nullopt,
               !worker.lives() || worker.last};
    const Time now = world_.now();
    const auto expires = worker.expires();
    if (expires) {
      // While requests run the clock stands still.
      const auto left = worker.running.empty() ? *expires - now : *expires - worker.idle_since;
      r.expires = std::chrono::system_clock::now() +
                  std::chrono::duration_cast<std::chrono::system_clock::duration>(left);
    }
    list.push_back(std::move(r));
  }
  std::sort(list.begin(), list.end(),
            [](const Resident& a, const Resident& b) { return a.spec.name < b.spec.name; });
  return list;
}

void WorkerPool::tick() {
  for (auto& [key, worker] : workers_) look_after(worker);
  decide();
}

// Final pieces are given by the functions below alone, and each of them forgets the job.
void WorkerPool::answer(Job& job, Piece piece) {
  world_.later([sink = job.sink, piece = std::move(piece)] { (*sink)(piece); });
}

void WorkerPool::fail(RequestId id, const Error& error) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end()) return;
  answer(job->second, from_child::Failed{id, error.code, error.message, error.remedy});
  jobs_.erase(job);
}

void WorkerPool::finish_cancelled(RequestId id) {
  const auto job = jobs_.find(id);
  from_child::Done done{id, "cancelled", {}};
  done.statistics.total = std::chrono::duration<double>(world_.now() - job->second.submitted).count();
  answer(job->second, std::move(done));
  jobs_.erase(job);
}

std::vector<RequestId> WorkerPool::waiting() const {
  std::vector<RequestId> ids;
  for (const auto& [id, job] : jobs_) {
    if (!job.running) ids.push_back(id);
  }
  return ids;
}

size_t WorkerPool::waiting_for(const std::string& key) const {
  return static_cast<size_t>(std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
    return !entry.second.running && entry.second.spec.key == key;
  }));
}

Worker* WorkerPool::find(const std::string& key) {
  const auto worker = workers_.find(key);
  return worker == workers_.end() ? nullptr : &worker->second;
}

void WorkerPool::leave_idle(Worker& worker) { worker.idle_since = world_.now(); }

}  // namespace hearth
