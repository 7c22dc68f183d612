#include "device/vulkan/pipeline_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>

namespace hearth::vulkan {
namespace {

struct Head {
  std::array<char, 8> magic{};
  uint64_t bytes = 0, checksum = 0;
};
constexpr std::array<char, 8> magic{'h', 'e', 'a', 'r', 't', 'h', 'V', '1'};
constexpr uint64_t most_bytes = 256ULL << 20;

// FNV-1a.
uint64_t checksum_of(const std::vector<std::byte>& data) {
  uint64_t h = 14695981039346656037ULL;
  for (const std::byte b : data) h = (h ^ static_cast<uint64_t>(b)) * 1099511628211ULL;
  return h;
}

std::filesystem::path folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return std::filesystem::path(cache) / "hearth";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return std::filesystem::path(home) / ".cache" / "hearth";
  return {};
}

bool write_all(int fd, const void* data, size_t bytes, off_t at) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::pwrite(fd, from, bytes, at);
    if (n <= 0) return false;
    from += n;
    at += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

PipelineFile::PipelineFile(const std::string& name) {
  const auto where = folder();
  if (where.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(where, ignored);
  fd_ = ::open((where / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

PipelineFile::~PipelineFile() {
  if (fd_ >= 0) ::close(fd_);
}

std::vector<std::byte> PipelineFile::read() const {
  Head head;
  if (fd_ < 0 || ::flock(fd_, LOCK_SH | LOCK_NB) != 0) return {};
  std::vector<std::byte> data;
  if (::pread(fd_, &head, sizeof head, 0) == sizeof head && head.magic == magic && head.bytes <= most_bytes) {
    data.resize(head.bytes);
    if (::pread(fd_, data.data(), data.size(), sizeof head) != static_cast<ssize_t>(data.size()) ||
        checksum_of(data) != head.checksum) {
      data.clear();
    }
  }
  ::flock(fd_, LOCK_UN);
  return data;
}

void PipelineFile::write(const std::vector<std::byte>& data) {
  if (fd_ < 0 || data.size() > most_bytes || ::flock(fd_, LOCK_EX | LOCK_NB) != 0) return;
  const Head none;
  const Head head{magic, data.size(), checksum_of(data)};
  if (write_all(fd_, &none, sizeof none, 0) && write_all(fd_, data.data(), data.size(), sizeof head))
    write_all(fd_, &head, sizeof head, 0);
  ::flock(fd_, LOCK_UN);
}

}  // namespace hearth::vulkan
