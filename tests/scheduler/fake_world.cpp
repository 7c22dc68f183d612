#include "fake_world.h"

#include <algorithm>

namespace hearth::test {
namespace {

class FakeHandle final : public WorkerHandle {
 public:
  explicit FakeHandle(std::shared_ptr<FakeWorker> worker) : worker_(std::move(worker)) {}
  ~FakeHandle() override {
    worker_->dead = true;
    worker_->events = {};
  }

  void send(const ToChild& message) override {
    if (worker_->dead) return;
    worker_->got.push_back(message);
    if (const auto* load = std::get_if<to_child::Load>(&message)) worker_->load = load->request;
    if (const auto* start = std::get_if<to_child::Start>(&message)) worker_->open.insert(start->id);
    if (std::holds_alternative<to_child::Ping>(message)) ++worker_->pings;
  }
  void kill() override { worker_->killed = true; }
  bool alive() const override { return !worker_->dead; }
  Progress progress() const override { return worker_->progress; }

 private:
  std::shared_ptr<FakeWorker> worker_;
};

}  // namespace

void FakeWorker::die(const std::string& how) {
  dead = true;
  const auto ended = events.ended;
  if (ended) ended(how);
}

std::unique_ptr<WorkerHandle> FakeWorld::start(WorkerEvents events) {
  if (no_processes) throw Error(Code::io, "cannot fork for a child process", "check the limits");
  workers.push_back(std::make_shared<FakeWorker>(std::move(events)));
  most_alive = std::max(most_alive, alive());
  return std::make_unique<FakeHandle>(workers.back());
}

Surroundings FakeWorld::surroundings() {
  Surroundings s;
  s.now = [this] { return now; };
  s.later = [this](std::function<void()> call) { posted.push_back(std::move(call)); };
  s.wake = [this](std::optional<Time> when) { alarm = when; };
  s.available = [this] { return available; };
  return s;
}

void FakeWorld::run() {
  for (bool more = true; more;) {
    more = false;
    while (!posted.empty()) {
      const auto call = std::move(posted.front());
      posted.pop_front();
      call();
    }
    if (reluctant) return;
    for (const auto& w : std::vector(workers)) {
      if (!w->killed || w->dead) continue;
      w->die("was killed by signal 9 (Killed)");
      more = true;
    }
  }
}

void FakeWorld::pass(std::chrono::nanoseconds d) {
  const Time end = now + d;
  run();
  while (alarm && *alarm <= end) {
    now = std::max(now, *alarm);
    alarm.reset();
    pool.tick();
    run();
  }
  now = end;
  run();
}

FakeWorker& FakeWorld::worker_of(const std::string& path) {
  const auto found =
      std::find_if(workers.rbegin(), workers.rend(), [&](const auto& w) { return w->load.path == path; });
  if (found == workers.rend()) throw Error(Code::not_found, path, "");
  return **found;
}

size_t FakeWorld::alive() const {
  return static_cast<size_t>(
      std::count_if(workers.begin(), workers.end(), [](const auto& w) { return !w->dead; }));
}

PieceSink Listener::sink() {
  return [this](const Piece& piece) {
    if (finals > 0) ++late;
    if (const auto* t = std::get_if<from_child::Text>(&piece)) text += t->text;
    if (const auto* f = std::get_if<from_child::Failed>(&piece)) {
      error = *f;
      ++finals;
    }
    if (const auto* d = std::get_if<from_child::Done>(&piece)) {
      done_reason = d->reason;
      statistics = d->statistics;
      ++finals;
    }
  };
}

ModelSpec model(const std::string& key, uint32_t context) {
  ModelSpec spec{key, "model " + key, {}, context == 0};
  spec.load.path = key;
  spec.load.wish.context = context;
  return spec;
}

Request question() {
  Request r;
  r.raw = "why";
  return r;
}

}  // namespace hearth::test
