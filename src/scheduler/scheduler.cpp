#include "scheduler/scheduler.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "base/memory.h"
#include "scheduler/pool/pool.h"
#include "scheduler/process/worker_process.h"

namespace hearth {

// Gives the pool a clock, a timer and an executor. What was posted finds out by `alive_` that the scheduler
// is gone.
class Scheduler::Impl {
 public:
  Impl(const boost::asio::any_io_executor& executor, const SchedulerPolicy& policy,
       std::unique_ptr<WorkerFactory> factory)
      : factory_(std::move(factory)), timer_(executor), pool_(policy, *factory_, world(executor)) {}

  WorkerPool& pool() noexcept { return pool_; }

 private:
  Surroundings world(const boost::asio::any_io_executor& executor) {
    Surroundings w;
    w.now = [] { return std::chrono::steady_clock::now(); };
    w.later = [executor, alive = std::weak_ptr<bool>(alive_)](std::function<void()> call) {
      boost::asio::post(executor, [alive, call = std::move(call)] {
        if (!alive.expired()) call();
      });
    };
    w.wake = [this](std::optional<Time> when) { wake(when); };
    w.available = [] { return available_memory(); };
    return w;
  }

  void wake(std::optional<Time> when) {
    if (when == armed_) return;
    armed_ = when;
    if (!when) {
      timer_.cancel();
      return;
    }
    timer_.expires_at(*when);
    timer_.async_wait([this, when, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& e) {
      if (e || alive.expired() || armed_ != when) return;
      armed_.reset();
      pool_.tick();
    });
  }

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<WorkerFactory> factory_;
  boost::asio::steady_timer timer_;
  std::optional<Time> armed_;
  WorkerPool pool_;
};

Scheduler::Scheduler(const boost::asio::any_io_executor& executor, const SchedulerPolicy& policy)
    : Scheduler(executor, policy, std::make_unique<ProcessFactory>(executor)) {}

Scheduler::Scheduler(const boost::asio::any_io_executor& executor, const SchedulerPolicy& policy,
                     std::unique_ptr<WorkerFactory> factory)
    : impl_(std::make_unique<Impl>(executor, policy, std::move(factory))) {}

Scheduler::~Scheduler() = default;

void Scheduler::use_devices(std::vector<DeviceBudget> devices) {
  impl_->pool().use_devices(std::move(devices));
}

RequestId Scheduler::submit(const ModelSpec& spec, Request request, KeepAlive keep_alive, PieceSink sink) {
  return impl_->pool().submit(spec, std::move(request), keep_alive, std::move(sink));
}

void Scheduler::cancel(RequestId id) { impl_->pool().cancel(id); }

void Scheduler::unload(const std::string& key) { impl_->pool().unload(key); }

void Scheduler::shut_down(std::chrono::nanoseconds patience, std::function<void()> done) {
  impl_->pool().shut_down(patience, std::move(done));
}

std::vector<Resident> Scheduler::residents() const { return impl_->pool().residents(); }

}  // namespace hearth
