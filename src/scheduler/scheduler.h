#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocol/messages.h"
#include "scheduler/worker_handle.h"

// Decides which worker processes live. Everything here happens on one executor (the server's): calls come
// from it, events are delivered on it, nothing blocks.
namespace hearth {

// How a model is to be loaded. Two requests with equal specs share a worker; a request whose spec differs
// reloads the model, except that automatic values (zero, empty, automatic_context) are content with whatever
// is loaded.
struct ModelSpec {
  std::string key;   // digest or path: which weights
  std::string name;  // as it is shown
  LoadRequest load;
  bool automatic_context = true;
  // What a dry run says of the model, for its devices in load.devices; null: its file's size is all that is
  // known.
  std::shared_ptr<const from_child::Surveyed> survey = nullptr;
};

// Residency that a request wishes for after it: unset keeps what the loaded model has.
using KeepAlive = std::optional<std::chrono::nanoseconds>;  // negative = for ever
inline constexpr std::chrono::nanoseconds forever{-1};

// What the sink of a request gets, in order: any number of pieces, then exactly one Done or Failed. Done's
// statistics.load is the time from submit() to the ready model, and `total` includes it. A sink is never
// called from within a call to the scheduler, so it may call the scheduler itself; it must not throw.
using Piece =
    std::variant<from_child::Text, from_child::Thinking, from_child::Called, from_child::PromptProgress,
                 from_child::Vectors, from_child::Done, from_child::Failed>;
using PieceSink = std::function<void(const Piece&)>;

struct Resident {
  ModelSpec spec;
  from_child::Ready ready;  // what it holds on which device
  uint32_t running = 0, waiting = 0;
  std::optional<std::chrono::system_clock::time_point> expires;  // none = for ever
  bool stopping = false;
};

struct SchedulerPolicy {
  std::chrono::nanoseconds keep_alive = std::chrono::minutes(5), load_timeout = std::chrono::minutes(5);
  uint32_t most_loaded = 3;  // models at once; 0 = three per card, three where there is none
  uint32_t most_waiting = 512;
  uint32_t parallel = 0;      // requests per worker at once; 0 = as many as its pages carry
  uint64_t memory_bytes = 0;  // of the host, what all workers together may hold; 0 = what is available
  // The devices of every model, in the order of LoadRequest::devices: what each has for models when none is
  // loaded. Empty = the CPU.
  std::vector<DeviceBudget> devices = {};

  // load_timeout is the longest time without progress of a load; 0 or less = no limit. A worker with requests
  // is killed when it neither answers nor does anything for hang_timeout, or does not answer for step_timeout
  // although it computes.
  std::chrono::nanoseconds hang_timeout = std::chrono::seconds(30), step_timeout = std::chrono::minutes(30);
};

class Scheduler {
 public:
  // Workers are children of this program in the role `internal-worker`, or what `factory` starts.
  Scheduler(const boost::asio::any_io_executor& executor, const SchedulerPolicy& policy);
  Scheduler(const boost::asio::any_io_executor& executor, const SchedulerPolicy& policy,
            std::unique_ptr<WorkerFactory> factory);
  // Kills all workers and waits for them. Sinks that have not got their final piece are not called any more:
  // shut_down() is the polite way.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Other devices from now on, in place of the policy's: what each has for models when none is loaded.
  void use_devices(std::vector<DeviceBudget> devices);

  // Queues a request; the worker is started, or another one evicted for it, as needed. An empty request
  // (no messages, no raw, nothing to embed) loads the model and gets Done("load"). Failed(busy) when the
  // queue is full; Failed(device_lost) when its worker died, with the signal and the last lines of its log.
  // Where a worker's device is lost, requests that were not answered in part are tried once more, by a worker
  // with steps of half the size.
  RequestId submit(const ModelSpec& spec, Request request, KeepAlive keep_alive, PieceSink sink);
  // The request's sink gets Done("cancelled"); nothing if it is over.
  void cancel(RequestId id);
  // Ends the worker of these weights: at once if idle, else when the requests submitted so far are done.
  // Later ones load the model anew.
  void unload(const std::string& key);
  // No more requests; waiting ones fail now, running ones are cancelled after `patience` (negative: never; a
  // second call can only shorten it). `done` is called when no worker lives.
  void shut_down(std::chrono::nanoseconds patience, std::function<void()> done);

  // The loaded models, by name.
  std::vector<Resident> residents() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hearth
