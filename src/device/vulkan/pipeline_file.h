#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace hearth::vulkan {

// Compiled pipelines of one driver on disk. The file is opened once, before a worker enters its sandbox, and
// written in place: a head with length and checksum comes last, so that a torn file is known as one and
// counts as empty.
class PipelineFile {
 public:
  // `name` is part of the file's name. Folder: $XDG_CACHE_HOME/hearth, or ~/.cache/hearth. Where it cannot be
  // opened, nothing is kept and nothing fails.
  explicit PipelineFile(const std::string& name);
  ~PipelineFile();
  PipelineFile(const PipelineFile&) = delete;
  PipelineFile& operator=(const PipelineFile&) = delete;

  bool open() const noexcept { return fd_ >= 0; }
  // Empty: nothing was kept, or it is damaged.
  std::vector<std::byte> read() const;
  void write(const std::vector<std::byte>& data);

 private:
  int fd_ = -1;
};

}  // namespace hearth::vulkan
