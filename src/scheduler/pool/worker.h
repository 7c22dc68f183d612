#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "scheduler/pool/footprint.h"
#include "scheduler/scheduler.h"

// What the pool keeps of a request and of a worker process.
namespace hearth {

using Time = std::chrono::steady_clock::time_point;

// A request that has not got its final piece.
struct Job {
  RequestId id;
  ModelSpec spec;
  Request request;  // kept until the first piece of an answer: until then it can be started again
  KeepAlive keep_alive;
  std::shared_ptr<PieceSink> sink;
  Time submitted;
  double waited = 0;     // seconds until it was started
  bool running = false;  // else waiting
  bool answered = false;
  uint32_t crashes = 0;  // workers that died while it waited for them
};

// An empty request only loads the model.
inline bool only_loads(const Request& r) {
  return r.messages.empty() && !r.raw && !r.suffix && r.embed.empty() && r.embed_tokens.empty();
}

// Whether a worker that should work does so.
struct Watch {
  Time heard;                 // last message
  Time moved;                 // last change of its progress
  Time next;                  // when to look again
  std::optional<Time> asked;  // when it was pinged and has not answered since
  Progress seen;
};

struct Worker {
  enum class Phase { loading, ready, stopping };

  uint64_t number = 0;  // distinguishes the workers of one key over time
  ModelSpec spec;
  std::unique_ptr<WorkerHandle> handle;
  Phase phase = Phase::loading;
  from_child::Ready ready;
  bool was_ready = false;
  Footprint takes;                // as planned while it loads, then what it said
  std::set<RequestId> running;    // requests whose sinks wait for an answer
  std::set<RequestId> cancelled;  // their sinks are done with, the worker has not confirmed it yet
  std::optional<size_t> full_at;  // it refused one more than this many requests for want of pages
  std::optional<RequestId> last;  // takes no request after this one, then leaves
  std::chrono::nanoseconds keep_alive{};
  Time idle_since;
  Watch watch;

  bool lives() const noexcept { return phase != Phase::stopping; }
  bool idle() const noexcept { return phase == Phase::ready && running.empty(); }
  size_t open() const noexcept { return running.size() + cancelled.size(); }
  // When its keep-alive ends, counted from its last request; none = never.
  std::optional<Time> expires() const noexcept;
};

// Whether a worker that was (or is being) loaded as `worker.spec` says can serve a request for `wanted`.
bool suits(const ModelSpec& wanted, const Worker& worker) noexcept;
// Whether two requests would be loaded in the very same way, and so fail to load in the same way.
bool same_load(const ModelSpec& a, const ModelSpec& b) noexcept;

// Bytes that a model is taken to hold where no dry run says better: the size of its file, of all parts where
// it is split ("…-00001-of-00003.gguf"). 0 for the built-in model and for a file that is not there.
uint64_t estimated_memory(const std::string& path);

}  // namespace hearth
