#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "store/digest.h"
#include "store/store.h"

namespace hearth {

struct DownloadOptions {
  std::string user_agent;
  uint64_t smallest_part = 100'000'000, largest_part = 1'000'000'000;  // bytes
  unsigned connections = 16;                   // per download; also the wanted number of parts
  unsigned tries = 6;                          // in a row without a new byte, per part
  std::chrono::milliseconds first_wait{1000};  // before the second try; doubles each time
  std::chrono::milliseconds stall{30000};      // without a byte: the part is asked for again
  std::chrono::milliseconds progress_every{60};
};

class HttpClient;

// Where the content of a blob is to be had. Called from several threads, each with a client of its own.
class BlobSource {
 public:
  struct Place {
    std::string url;
    std::string authorization;  // value of that header; empty for none
  };
  struct Facts {
    uint64_t size = 0;               // bytes
    std::string tag;                 // version of the content; empty where a digest names it
    std::optional<Digest> digest{};  // if the source knows it
  };
  virtual ~BlobSource() = default;
  virtual Facts facts(HttpClient& client, const std::stop_token& stop) = 0;
  // Asked again when a place has expired.
  virtual Place locate(HttpClient& client, const std::stop_token& stop) = 0;
};

// Fetches blobs into a store in parallel, resumable parts. Whoever asks for a blob that is already being
// fetched joins that transfer; it stops when the last of them has left.
class Downloads {
 public:
  using Progress = std::function<void(uint64_t completed, uint64_t total)>;

  Downloads(Store& store, DownloadOptions options);
  ~Downloads();
  Downloads(const Downloads&) = delete;
  Downloads& operator=(const Downloads&) = delete;

  // Blocks until the blob is in the store, its digest verified, and returns that digest. `key` names the
  // partial file: the digest itself, or that of the address when the content's is not known (`expected` none
  // then). `progress` is called from this thread, first with what an earlier download left. Throws Error:
  // cancelled, io (network after all tries, full disk: seen before the first byte where possible),
  // corrupt_file ("digest mismatch": everything is removed), and what the source throws.
  Digest fetch(const Digest& key, const std::optional<Digest>& expected, std::shared_ptr<BlobSource> source,
               const Progress& progress, const std::stop_token& stop);

  // Transfers that run now.
  size_t running() const;
  const DownloadOptions& options() const noexcept { return options_; }

 private:
  class Transfer;
  std::shared_ptr<Transfer> join(const Digest& key, const std::optional<Digest>& expected,
                                 std::shared_ptr<BlobSource> source, const std::stop_token& stop);
  void leave(const Digest& key, const std::shared_ptr<Transfer>& transfer);

  Store& store_;
  DownloadOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;  // a transfer is gone
  std::map<Digest, std::shared_ptr<Transfer>> transfers_;
};

}  // namespace hearth
