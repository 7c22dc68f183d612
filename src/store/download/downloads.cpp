#include <fmt/format.h>

#include "base/error.h"
#include "store/download/transfer.h"

namespace hearth {

// A fetch in a thread of its own, and those who wait for it.
class Downloads::Transfer {
 public:
  Transfer(Store& store, const DownloadOptions& options, const Digest& key,
           const std::optional<Digest>& expected, std::shared_ptr<BlobSource> source)
      : fetch_(store, options, key, expected, std::move(source)),
        thread_([this](const std::stop_token& stop) {
          std::optional<Digest> digest;
          std::exception_ptr error;
          try {
            digest = fetch_.run(stop);
          } catch (...) {
            error = std::current_exception();
          }
          const std::lock_guard lock(mutex_);
          digest_ = std::move(digest);
          error_ = std::move(error);
          ended_ = true;
          ended_signal_.notify_all();
        }) {}

  // None while it still runs after `time`.
  std::optional<Digest> wait(std::chrono::milliseconds time, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    ended_signal_.wait_for(lock, stop, time, [this] { return ended_; });
    if (!ended_) return std::nullopt;
    if (error_) std::rethrow_exception(error_);
    return digest_;
  }

  const BlobFetch& fetch() const { return fetch_; }

  // Ends the fetch if it still runs, and waits for that.
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

  unsigned clients = 0;  // guarded by the mutex of Downloads, as is `leaving`
  bool leaving = false;  // nobody may join any more

 private:
  std::mutex mutex_;
  std::condition_variable_any ended_signal_;
  bool ended_ = false;
  std::optional<Digest> digest_;
  std::exception_ptr error_;
  BlobFetch fetch_;
  std::jthread thread_;  // last: it uses all of the above, and its end is waited for first
};

Downloads::Downloads(Store& store, DownloadOptions options) : store_(store), options_(std::move(options)) {}
Downloads::~Downloads() = default;

size_t Downloads::running() const {
  const std::lock_guard lock(mutex_);
  return transfers_.size();
}

std::shared_ptr<Downloads::Transfer> Downloads::join(const Digest& key, const std::optional<Digest>& expected,
                                                     std::shared_ptr<BlobSource> source,
                                                     const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto leaving = [&] {
    const auto found = transfers_.find(key);
    return found != transfers_.end() && found->second->leaving;
  };
  if (!changed_.wait(lock, stop, [&] { return !leaving(); })) {
    throw Error(Code::cancelled, "the transfer was cancelled", "start it again");
  }
  auto found = transfers_.find(key);
  if (found == transfers_.end()) {
    auto made = std::make_shared<Transfer>(store_, options_, key, expected, std::move(source));
    found = transfers_.emplace(key, std::move(made)).first;
  }
  ++found->second->clients;
  return found->second;
}

void Downloads::leave(const Digest& key, const std::shared_ptr<Transfer>& transfer) {
  {
    const std::lock_guard lock(mutex_);
    if (--transfer->clients > 0) return;
    transfer->leaving = true;
  }
  transfer->stop();
  const std::lock_guard lock(mutex_);
  transfers_.erase(key);
  changed_.notify_all();
}

Digest Downloads::fetch(const Digest& key, const std::optional<Digest>& expected,
                        std::shared_ptr<BlobSource> source, const Progress& progress,
                        const std::stop_token& stop) {
  const std::shared_ptr<Transfer> transfer = join(key, expected, std::move(source), stop);
  struct Leave {
    Downloads* downloads;
    const Digest& key;
    const std::shared_ptr<Transfer>& transfer;
    ~Leave() { downloads->leave(key, transfer); }
  } const leave_at_end{this, key, transfer};
  while (true) {
    const auto digest = transfer->wait(options_.progress_every, stop);
    if (const uint64_t total = transfer->fetch().total(); total > 0 && progress) {
      progress(digest ? total : transfer->fetch().completed(), total);
    }
    if (digest) return *digest;
    if (stop.stop_requested()) throw Error(Code::cancelled, "the pull was cancelled", "pull again to go on");
  }
}

}  // namespace hearth
