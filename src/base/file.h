#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace hearth {

// A whole file mapped read-only; unmapped with the object. An empty file has an empty span.
class MappedFile {
 public:
  // Throws Error: not_found, io (a directory, no permission, mapping failed).
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  // Lets go of the memory behind a part of it; a later look reads the file again. Parts outside are left
  // alone.
  void forget(std::span<const std::byte> part) const noexcept;

 private:
  std::span<const std::byte> bytes_;
};

// The whole file as text. Throws Error: not_found, io.
std::string read_file(const std::filesystem::path& path);

// Temporary file beside `path`, fsync, rename: a reader sees the old content or the new, never a part.
// `mode` are the permissions, less the umask.
void write_file_atomic(const std::filesystem::path& path, std::string_view content, unsigned mode = 0644);

}  // namespace hearth
