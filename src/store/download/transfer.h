#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "http/client.h"
#include "store/download.h"
#include "store/download/parts.h"

namespace hearth {

// The options of a client that fetches for these downloads.
HttpOptions http_options(const DownloadOptions& options);

// Waits. Throws Error(cancelled) at once when `stop` is requested.
void pause_for(std::chrono::milliseconds time, const std::stop_token& stop);

// Fetches one blob: finds its size, cuts it, runs a thread per part, verifies and renames.
class BlobFetch {
 public:
  BlobFetch(Store& store, const DownloadOptions& options, Digest key, std::optional<Digest> expected,
            std::shared_ptr<BlobSource> source)
      : store_(store),
        options_(options),
        key_(std::move(key)),
        expected_(std::move(expected)),
        source_(std::move(source)) {}

  // Returns the digest of what is in the store now.
  Digest run(const std::stop_token& stop);

  uint64_t total() const { return total_; }
  uint64_t completed() const { return completed_; }

 private:
  enum class Outcome { complete, no_ranges };

  void open(HttpClient& client, const std::stop_token& stop);
  Outcome fetch_all(const std::stop_token& stop);
  void work(const std::stop_token& stop);
  void fetch_part(HttpClient& client, size_t index, const std::stop_token& stop);
  void attempt(HttpClient& client, size_t index, const std::stop_token& stop);
  bool accept(const HttpResponse& response, size_t index, uint64_t begin, uint64_t& skip,
              unsigned generation);
  BlobSource::Place place(HttpClient& client, unsigned& generation, const std::stop_token& stop);
  void forget_place(unsigned generation);
  void move_place(const Url& from, const HttpResponse& response, unsigned generation);
  void fail(std::exception_ptr error);
  Digest verify(const std::stop_token& stop);

  Store& store_;
  const DownloadOptions& options_;
  Digest key_;
  std::optional<Digest> expected_;
  std::shared_ptr<BlobSource> source_;
  std::unique_ptr<PartialFile> partial_;
  std::atomic<uint64_t> total_{0}, completed_{0};  // bytes, for whoever watches
  std::atomic<size_t> next_part_{0};
  std::atomic<bool> no_ranges_{false};
  std::atomic<unsigned> moves_{0};
  std::mutex place_mutex_;  // guards the next two; held while a place is asked for
  std::optional<BlobSource::Place> place_;
  unsigned generation_ = 0;  // counts the changes of place_
  std::mutex error_mutex_;
  std::exception_ptr error_;  // guarded by error_mutex_
  std::stop_source stop_parts_;
};

}  // namespace hearth
