#include "formats/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace hearth {

OutputFile::OutputFile(std::filesystem::path path)
    : path_(std::move(path)),
      folder_(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".")),
      temporary_(path_) {
  temporary_ += fmt::format(".{}.tmp", ::getpid());
  open_nameless();
  if (fd_ < 0) open_temporary();
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (named_) ::unlink(temporary_.c_str());
}

void OutputFile::fail(const char* doing) const {
  const int reason = errno;
  if (reason == ENOENT || reason == ENOTDIR) {
    throw Error(Code::not_found, fmt::format("no such folder: {}", folder_.string()), "create it first");
  }
  throw Error(Code::io, fmt::format("cannot {} {}: {}", doing, path_.string(), std::strerror(reason)),
              "check the disk's free space and the folder's permissions");
}

// Without /proc the file could not be given its name later.
void OutputFile::open_nameless() {
  if (::access("/proc/self/fd", X_OK) == 0)
    fd_ = ::open(folder_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
}

void OutputFile::open_temporary() {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("create");
  named_ = true;
}

void OutputFile::require_space(uint64_t bytes) const {
  struct statvfs disk {};
  if (::fstatvfs(fd_, &disk) != 0) return;
  const uint64_t room = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (room >= bytes) return;
  throw Error(Code::io,
              fmt::format("{} takes {} MiB, the disk has {} MiB", path_.string(), bytes >> 20, room >> 20),
              "free space or write to another disk");
}

void OutputFile::commit() {
  if (::fsync(fd_) != 0) fail("flush");
  if (!named_) {
    const std::string self = fmt::format("/proc/self/fd/{}", fd_);
    ::unlink(temporary_.c_str());  // of an earlier process with our number
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) fail("name");
    named_ = true;
  }
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("replace");
  named_ = false;
  // The name itself is safe once the folder is on the disk; some file systems cannot do that, and need not.
  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

}  // namespace hearth
