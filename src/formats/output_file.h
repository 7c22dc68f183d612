#pragma once

#include <cstdint>
#include <filesystem>

namespace hearth {

// A large file being written: it has no name until it is complete, so that a crash or a kill leaves nothing
// behind and a reader never sees a part. Where the file system knows no nameless files, a temporary beside
// `path` that the destructor removes.
class OutputFile {
 public:
  // Throws Error: io, not_found (no such folder).
  explicit OutputFile(std::filesystem::path path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  int fd() const noexcept { return fd_; }
  // Throws Error(io) unless the disk has room for `bytes`.
  void require_space(uint64_t bytes) const;
  // On the disk and under its name, in place of what bore it. Throws Error(io).
  void commit();

 private:
  [[noreturn]] void fail(const char* doing) const;
  void open_nameless();
  void open_temporary();

  std::filesystem::path path_, folder_, temporary_;
  int fd_ = -1;
  bool named_ = false;  // the temporary exists under its name
};

}  // namespace hearth
