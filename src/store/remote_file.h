#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "store/download.h"

namespace hearth {

// A file on a server, of which only the beginning is read.
class RemoteFile {
 public:
  RemoteFile(std::shared_ptr<BlobSource> source, const DownloadOptions& options);
  RemoteFile(RemoteFile&&) noexcept;
  ~RemoteFile();

  // Bytes of the whole file. Throws HttpFailure, and what the source throws.
  uint64_t size(const std::stop_token& stop = {});
  // Appends to `start`, which holds the file's first bytes, until it has `bytes` of them or all. Asks for
  // exactly those, and stops reading where a server sends more.
  void read_start(std::string& start, uint64_t bytes, const std::stop_token& stop = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hearth
