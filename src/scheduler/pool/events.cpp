// What workers report, and what their end means for the requests.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "base/error.h"
#include "scheduler/pool/pool.h"

namespace hearth {
namespace {

bool final(const Piece& piece) {
  return std::holds_alternative<from_child::Done>(piece) || std::holds_alternative<from_child::Failed>(piece);
}

}  // namespace

void WorkerPool::on_message(const std::string& key, uint64_t number, FromChild message) {
  Worker* worker = find(key);
  if (worker == nullptr || worker->number != number || !worker->lives()) return;
  worker->watch.heard = world_.now();
  worker->watch.asked.reset();
  std::visit(
      [&](auto& m) {
        using M = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<M, from_child::Ready>) {
          on_ready(*worker, std::move(m));
        } else if constexpr (!std::is_same_v<M, from_child::Pong> &&
                             !std::is_same_v<M, from_child::Inspected> &&
                             !std::is_same_v<M, from_child::Surveyed>) {
          if constexpr (std::is_same_v<M, from_child::Failed>) {
            if (m.id.value == 0 && m.code == Code::device_lost && worker->phase == Worker::Phase::ready)
              return on_lost_device(*worker, m);
            if (m.id.value == 0) return on_failed_load(*worker, m);
          }
          const RequestId id = m.id;
          on_piece(*worker, id, std::move(m));
        }
      },
      message);
}

void WorkerPool::on_ready(Worker& worker, from_child::Ready ready) {
  if (worker.phase != Worker::Phase::loading) return;
  worker.phase = Worker::Phase::ready;
  worker.was_ready = true;
  worker.ready = std::move(ready);
  worker.takes = footprint_of(worker.ready.held);
  short_of_memory_.erase(worker.spec.key);
  leave_idle(worker);
  spdlog::info(fmt::format("{} is loaded on {} after {:.2f} s with a context of {}", worker.spec.name,
                           worker.ready.device, worker.ready.load_seconds, worker.ready.context));
  decide();
}

// The child's own words reach everybody who waits for this very load. Where memory ran out beside other
// models, a second try with fewer of them comes first.
void WorkerPool::on_failed_load(Worker& worker, const from_child::Failed& why) {
  if (worker.phase != Worker::Phase::loading) return;
  const bool others = workers_.size() > 1;
  if (why.code == Code::out_of_memory && others && !short_of_memory_.contains(worker.spec.key)) {
    spdlog::info(fmt::format("{} did not fit beside the other models: {}", worker.spec.name, why.message));
    short_of_memory_[worker.spec.key] = false;
  } else {
    short_of_memory_.erase(worker.spec.key);
    for (const RequestId id : waiting()) {
      const ModelSpec& spec = jobs_.at(id).spec;
      if (spec.key == worker.spec.key && same_load(spec, worker.spec)) {
        fail(id, Error(why.code, why.message, why.remedy));
      }
    }
  }
  stop(worker);
  decide();
}

// Only requests that this worker was given are listened to: what a hostile model makes of its worker cannot
// speak for another one's requests.
void WorkerPool::on_piece(Worker& worker, RequestId id, Piece piece) {
  if (worker.cancelled.contains(id)) {
    if (!final(piece)) return;
    worker.cancelled.erase(id);
    worker.full_at.reset();
    return decide();
  }
  if (!worker.running.contains(id)) return;
  Job& job = jobs_.at(id);
  if (final(piece)) return on_final(worker, job, std::move(piece));
  if (!job.answered && !std::holds_alternative<from_child::PromptProgress>(piece)) {
    job.answered = true;
    job.request = {};
  }
  answer(job, std::move(piece));
}

void WorkerPool::on_final(Worker& worker, Job& job, Piece piece) {
  const RequestId id = job.id;
  worker.running.erase(id);
  if (const auto* failed = std::get_if<from_child::Failed>(&piece)) {
    if (try_again(worker, job, *failed)) return decide();
  }
  worker.full_at.reset();
  if (worker.running.empty()) leave_idle(worker);
  if (auto* done = std::get_if<from_child::Done>(&piece)) {
    done->statistics.load = job.waited;
    done->statistics.total += job.waited;
  }
  answer(job, std::move(piece));
  jobs_.erase(id);
  decide();
}

// A worker whose pages are all taken refuses a request that it could serve when another one is done.
bool WorkerPool::try_again(Worker& worker, Job& job, const from_child::Failed& why) {
  if (why.code != Code::busy || job.answered || worker.open() == 0) return false;
  worker.full_at = worker.open();
  job.running = false;
  return true;
}

// A driver that ended a job for taking too long may bear shorter ones: requests that have not been answered
// in part wait for one more worker, whose steps are half as large. A worker that was halved already was that
// one; the next begins anew.
void WorkerPool::on_lost_device(Worker& worker, const from_child::Failed& why) {
  const bool again = worker.spec.load.halvings == 0;
  Error error(why.code, fmt::format("{} lost its device: {}", worker.spec.name, why.message), why.remedy);
  if (!again) error.message += "; so it did with steps of half the size";
  spdlog::warn(fmt::format("{}{}", error.message,
                           again ? "; it is loaded once more, with steps of half the size" : ""));
  if (again) {
    halvings_[worker.spec.key] = 1;
  } else {
    halvings_.erase(worker.spec.key);
  }
  for (const RequestId id : std::exchange(worker.running, {})) {
    Job& job = jobs_.at(id);
    if (again && !job.answered) {
      job.running = false;
    } else {
      fail(id, error);
    }
  }
  worker.cancelled.clear();
  stop(worker);
  decide();
}

void WorkerPool::on_end(const std::string& key, uint64_t number, const std::string& how) {
  Worker* worker = find(key);
  if (worker == nullptr || worker->number != number) return;
  if (worker->lives()) lose(*worker, how, true);
  workers_.erase(key);
  decide();
}

// Its requests end with the cause. Those that waited for it without it having begun anything are tried on one
// more worker (`again`); a second such death is theirs.
void WorkerPool::lose(Worker& worker, const std::string& how, bool again) {
  const bool loading = worker.phase == Worker::Phase::loading;
  const Error error(
      Code::device_lost,
      fmt::format("the worker process of {} {}{}", worker.spec.name, loading ? "did not load it: it " : "",
                  how),
      loading ? "check the model file and the free memory" : "ask again: the model is loaded anew");
  spdlog::warn(error.message);
  const uint32_t chances = again ? 1 : 0;
  if (worker.open() == 0) {
    for (const RequestId id : waiting()) {
      Job& job = jobs_.at(id);
      if (job.spec.key == worker.spec.key && ++job.crashes > chances) fail(id, error);
    }
  }
  for (const RequestId id : std::exchange(worker.running, {})) fail(id, error);
  worker.cancelled.clear();
  stop(worker);
}

}  // namespace hearth
