#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace hearth {

// An open file, closed with the object. Every failure throws an Error that names the file: not_found, io; a
// full disk says so.
class Descriptor {
 public:
  static Descriptor open_for_reading(const std::filesystem::path& path);  // regular files only
  static Descriptor create_new(const std::filesystem::path& path);        // fails if it is there, 0644
  static Descriptor open_or_create(const std::filesystem::path& path);    // read and write, 0644
  Descriptor(Descriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(path_, other.path_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  int get() const noexcept { return fd_; }
  const std::filesystem::path& path() const noexcept { return path_; }

  uint64_t size() const;
  size_t read_some(char* into, size_t size) const;                   // 0 at the end
  size_t read_at(char* into, size_t size, uint64_t offset) const;    // less than `size` only at the end
  void write_all(std::string_view bytes) const;                      // at the current position
  void write_all_at(std::string_view bytes, uint64_t offset) const;  // leaves the position alone
  void resize(uint64_t size) const;                                  // sparse when it grows
  void flush() const;                                                // fsync
  void close();                                                      // reports what a late write did

 private:
  Descriptor(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {}
  int fd_ = -1;
  std::filesystem::path path_;
};

// "cannot write PATH: no space left on device" and the like from errno; `doing` is "write", "open", …
[[noreturn]] void fail_on_file(const std::filesystem::path& path, std::string_view doing, int reason);

// The whole file, refused above `limit` bytes (corrupt_file). Throws Error: not_found, io.
std::string read_small_file(const std::filesystem::path& path, uint64_t limit);

// Makes the entries of a folder durable; folders that cannot be flushed (some network systems) are left be.
void flush_folder(const std::filesystem::path& folder) noexcept;

// Makes `path` and what it lies in, 0755. Throws Error(io).
void make_folders(const std::filesystem::path& path);

// Throws Error(io) if the system has none.
std::string random_bytes(size_t size);

// 16 hex digits that no other writer will choose.
std::string random_suffix();

// Bytes that an ordinary user may still write on the disk of `folder`; the largest number if it will not
// tell.
uint64_t free_disk_bytes(const std::filesystem::path& folder) noexcept;

}  // namespace hearth
