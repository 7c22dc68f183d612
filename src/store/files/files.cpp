#include "store/files/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace hearth {
namespace {

int open_retrying(const std::filesystem::path& path, int flags) {
  int fd = -1;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

void fail_on_file(const std::filesystem::path& path, std::string_view doing, int reason) {
  if (reason == ENOENT) {
    throw Error(Code::not_found, fmt::format("no such file: {}", path.string()),
                "check the path and its spelling");
  }
  std::string_view remedy = "check the file and its disk";
  if (reason == ENOSPC || reason == EDQUOT)
    remedy = "free disk space and try again; what was written is kept or removed";
  if (reason == EACCES || reason == EPERM) remedy = "check the permissions of the file and its folders";
  if (reason == EROFS)
    remedy = "the model store is read-only; set OLLAMA_MODELS to a folder that can be written";
  throw Error(Code::io, fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(reason)),
              std::string(remedy));
}

Descriptor Descriptor::open_for_reading(const std::filesystem::path& path) {
  // Without O_NONBLOCK a pipe that someone put into the store would hold us for ever.
  const int fd = open_retrying(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) fail_on_file(path, "open", errno);
  Descriptor file(fd, path);
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail_on_file(path, "examine", errno);
  if (!S_ISREG(info.st_mode)) {
    throw Error(Code::bad_request, fmt::format("{} is not a regular file", path.string()),
                "name the file itself");
  }
  return file;
}

Descriptor Descriptor::create_new(const std::filesystem::path& path) {
  const int fd = open_retrying(path, O_RDWR | O_CREAT | O_EXCL);
  if (fd < 0) fail_on_file(path, "create", errno);
  return {fd, path};
}

Descriptor Descriptor::open_or_create(const std::filesystem::path& path) {
  const int fd = open_retrying(path, O_RDWR | O_CREAT);
  if (fd < 0) fail_on_file(path, "open", errno);
  return {fd, path};
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

uint64_t Descriptor::size() const {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) fail_on_file(path_, "examine", errno);
  return static_cast<uint64_t>(info.st_size);
}

size_t Descriptor::read_some(char* into, size_t size) const {
  while (true) {
    const ssize_t got = ::read(fd_, into, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) fail_on_file(path_, "read", errno);
  }
}

size_t Descriptor::read_at(char* into, size_t size, uint64_t offset) const {
  size_t total = 0;
  while (total < size) {
    const ssize_t got = ::pread(fd_, into + total, size - total, static_cast<off_t>(offset + total));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_on_file(path_, "read", errno);
    if (got == 0) break;
    total += static_cast<size_t>(got);
  }
  return total;
}

void Descriptor::write_all(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_on_file(path_, "write", written == 0 ? ENOSPC : errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void Descriptor::write_all_at(std::string_view bytes, uint64_t offset) const {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_on_file(path_, "write", written == 0 ? ENOSPC : errno);
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

void Descriptor::resize(uint64_t size) const {
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) fail_on_file(path_, "resize", errno);
}

void Descriptor::flush() const {
  if (::fsync(fd_) != 0) fail_on_file(path_, "flush", errno);
}

void Descriptor::close() {
  const int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) fail_on_file(path_, "close", errno);
}

std::string read_small_file(const std::filesystem::path& path, uint64_t limit) {
  const Descriptor file = Descriptor::open_for_reading(path);
  const uint64_t size = file.size();
  if (size > limit) {
    throw Error(Code::corrupt_file,
                fmt::format("{} has {} bytes, more than the {} allowed", path.string(), size, limit),
                "pull or create the model again");
  }
  std::string content(size, '\0');
  content.resize(file.read_at(content.data(), content.size(), 0));
  return content;
}

void flush_folder(const std::filesystem::path& folder) noexcept {
  const int fd = open_retrying(folder, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

void make_folders(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error && !std::filesystem::is_directory(path)) fail_on_file(path, "create", error.value());
}

std::string random_bytes(size_t size) {
  std::string bytes(size, '\0');
  if (::getrandom(bytes.data(), size, 0) != static_cast<ssize_t>(size)) {
    throw Error(Code::io, "the system gives no random bytes", "check /dev/urandom");
  }
  return bytes;
}

std::string random_suffix() {
  std::string hex;
  for (const char byte : random_bytes(8)) hex += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return hex;
}

uint64_t free_disk_bytes(const std::filesystem::path& folder) noexcept {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return std::numeric_limits<uint64_t>::max();
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace hearth
