#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/pool/worker.h"
#include "scheduler/scheduler.h"
#include "scheduler/worker_handle.h"

namespace hearth {

// All that the pool knows of the world besides its workers; tests make a world of their own.
struct Surroundings {
  std::function<Time()> now;
  // Runs a call on the executor, in order, after the current one.
  std::function<void(std::function<void()>)> later;
  // Wants tick() to be called at that time; replaces the time asked for before, none = not at all.
  std::function<void(std::optional<Time>)> wake;
  // Bytes that could be allocated now.
  std::function<uint64_t()> available;
};

// The scheduler without sockets, processes and timers: a state machine that calls, worker events and ticks
// drive. After each of them decide() brings the workers in line with the requests.
//
// Requests are served in the order of their numbers, per model and for room: one that waits for room lets no
// later one start a worker, and the busy worker it waits for takes no later request, so nobody starves.
class WorkerPool {
 public:
  // `factory` must outlive the pool.
  WorkerPool(SchedulerPolicy policy, WorkerFactory& factory, Surroundings world);
  ~WorkerPool();  // all workers are killed first, and then waited for
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // As in Scheduler.
  void use_devices(std::vector<DeviceBudget> devices) { policy_.devices = std::move(devices); }
  // Models at once at most.
  uint32_t most_loaded() const;
  RequestId submit(const ModelSpec& spec, Request request, KeepAlive keep_alive, PieceSink sink);
  void cancel(RequestId id);
  void unload(const std::string& key);
  void shut_down(std::chrono::nanoseconds patience, std::function<void()> done);
  std::vector<Resident> residents() const;

  void tick();

 private:
  // pool.cpp: requests
  void answer(Job& job, Piece piece);
  void fail(RequestId id, const Error& error);
  void finish_cancelled(RequestId id);
  std::vector<RequestId> waiting() const;
  size_t waiting_for(const std::string& key) const;
  Worker* find(const std::string& key);
  void leave_idle(Worker& worker);

  // events.cpp: what workers report
  void on_message(const std::string& key, uint64_t number, FromChild message);
  void on_end(const std::string& key, uint64_t number, const std::string& how);
  void on_ready(Worker& worker, from_child::Ready ready);
  void on_failed_load(Worker& worker, const from_child::Failed& why);
  void on_piece(Worker& worker, RequestId id, Piece piece);
  void on_final(Worker& worker, Job& job, Piece piece);
  bool try_again(Worker& worker, Job& job, const from_child::Failed& why);
  void lose(Worker& worker, const std::string& how, bool again);
  void on_lost_device(Worker& worker, const from_child::Failed& why);

  // watch.cpp: workers that hang
  void begin_watch(Worker& worker);
  void look_after(Worker& worker);
  std::optional<std::string> stuck(const Worker& worker, Time now) const;
  std::chrono::nanoseconds watch_interval(const Worker& worker) const;
  std::optional<Time> next_wake() const;

  // decide.cpp: which workers live, and what they begin
  void decide();
  void serve_waiting();
  void place(Job& job, std::set<std::string>& held, bool& room_awaited);
  void begin(Worker& worker, Job& job);
  void load(Job& job);
  void retire();
  bool expired(const Worker& worker, Time now) const;
  bool wanted(const Worker& worker) const;
  void stop(Worker& worker);
  void end_patience();

  // room.cpp: how many fit
  enum class Room { free, coming, none };
  Room make_room(const ModelSpec& spec, std::set<std::string>& held);
  Room make_room_after_shortage(const std::string& key, std::set<std::string>& held);
  // What a model is going to take, and what its worker is told of the devices.
  struct Need {
    Footprint takes;
    std::vector<DeviceBudget> budgets = {};
  };
  Need need_of(const ModelSpec& spec) const;
  std::map<std::string, uint64_t> left_on_cards(bool without_stopping) const;
  bool fits(const Footprint& need, bool without_stopping) const;
  bool fits_on_cards(const Footprint& need, bool without_stopping) const;
  Worker* least_needed(bool idle);

  SchedulerPolicy policy_;
  WorkerFactory& factory_;
  Surroundings world_;

  std::map<RequestId, Job> jobs_;
  std::map<std::string, Worker> workers_;  // by key: one process per weights, stopping ones included
  // Models whose load ran out of memory beside others, and whether room was made for the second try.
  std::map<std::string, bool> short_of_memory_;
  std::map<std::string, uint32_t>
      halvings_;  // by key: models whose steps are smaller since a device was lost
  uint64_t last_request_ = 0, last_worker_ = 0;
  bool closing_ = false;
  std::optional<Time> patience_ends_;
  std::vector<std::function<void()>> when_closed_;
};

}  // namespace hearth
