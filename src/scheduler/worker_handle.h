#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "protocol/messages.h"

// What the scheduler needs of a worker process; tests put a worker of their own in its place.
namespace hearth {

// Numbers that change as long as a worker does anything at all.
struct Progress {
  uint64_t computed = 0;  // processor time
  uint64_t touched = 0;   // pages of memory that it filled or read
  friend bool operator==(const Progress&, const Progress&) = default;
};

// What a worker reports. Called on the owner's executor, never from within a call to the worker or its
// factory, and not at all once the handle is destroyed.
struct WorkerEvents {
  std::function<void(FromChild)> message;
  // The process is gone and its memory with it; nothing comes after. `how` is what follows the worker's name
  // in a sentence: "was killed by signal 9 (Killed): last line; last line".
  std::function<void(const std::string& how)> ended;
};

class WorkerHandle {
 public:
  // Kills the process if it lives, and waits for it.
  virtual ~WorkerHandle() = default;

  // Never blocks: what the socket does not take now is sent later, what a dead worker does not take is
  // dropped. Throws Error(bad_request) where the message is too long to send.
  virtual void send(const ToChild& message) = 0;
  virtual void kill() = 0;
  // False: it is dead, and `ended` is on its way.
  virtual bool alive() const = 0;
  virtual Progress progress() const = 0;
};

class WorkerFactory {
 public:
  virtual ~WorkerFactory() = default;
  // Throws Error(io) where the system gives no process.
  virtual std::unique_ptr<WorkerHandle> start(WorkerEvents events) = 0;
};

}  // namespace hearth
