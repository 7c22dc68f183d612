#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "scheduler/pool/pool.h"

namespace hearth::test {

// A worker without a process: a test says what it reports and when it dies.
class FakeWorker {
 public:
  explicit FakeWorker(WorkerEvents e) : events(std::move(e)) {}

  void say(FromChild message) const { events.message(std::move(message)); }
  void ready(uint64_t bytes = 100, uint32_t context = 8192, bool mapped = false) {
    from_child::Ready r;
    r.model = "fake";
    r.device = "cpu";
    r.context = context;
    r.held.push_back({"cpu", {{BufferKind::weights, bytes, mapped}}, {}, {}});
    loaded = true;
    say(r);
  }
  void text(RequestId id, const std::string& s) const { say(from_child::Text{id, s}); }
  void done(RequestId id, const std::string& reason = "stop") {
    open.erase(id);
    say(from_child::Done{id, reason, {}});
  }
  void fail(RequestId id, Code code, const std::string& message) {
    open.erase(id);
    say(from_child::Failed{id, code, message, "a remedy"});
  }
  // The process is gone without having been asked to go.
  void die(const std::string& how = "was killed by signal 11 (Segmentation fault): last words");

  WorkerEvents events;
  std::vector<ToChild> got;
  std::set<RequestId> open;  // started and not finished
  uint32_t pings = 0;
  LoadRequest load;
  bool loaded = false, killed = false, dead = false;
  Progress progress;
};

// Clock, executor, memory and workers of a machine that exists only here.
class FakeWorld : public WorkerFactory {
 public:
  explicit FakeWorld(SchedulerPolicy policy = {}) : pool(policy, *this, surroundings()) {}

  std::unique_ptr<WorkerHandle> start(WorkerEvents events) override;

  // Runs what was posted; a killed worker reports its end.
  void run();
  // Lets time pass, with all ticks on the way.
  void pass(std::chrono::nanoseconds d);

  // The latest worker, or the latest of a model, dead or not.
  FakeWorker& worker() { return *workers.back(); }
  FakeWorker& worker_of(const std::string& path);
  size_t alive() const;

  Time now = Time{} + std::chrono::hours(1);
  std::optional<Time> alarm;
  std::deque<std::function<void()>> posted;
  uint64_t available = 1000000;
  bool reluctant = false;  // killed workers do not end before this is false again
  bool no_processes = false;
  std::vector<std::shared_ptr<FakeWorker>> workers;  // all that ever were
  size_t most_alive = 0;
  WorkerPool pool;  // last: its workers use the rest

 private:
  Surroundings surroundings();
};

// A request's end of the line: what came, and that nothing came after the final piece.
class Listener {
 public:
  PieceSink sink();

  bool finished() const { return finals == 1; }
  bool done(const std::string& reason) const { return finished() && !error && done_reason == reason; }

  std::string text, done_reason;
  std::optional<from_child::Failed> error;
  Statistics statistics;
  int finals = 0, late = 0;
};

ModelSpec model(const std::string& key, uint32_t context = 0);
Request question();

}  // namespace hearth::test
