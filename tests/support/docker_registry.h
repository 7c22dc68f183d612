#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace hearth::test {

// Debian's docker-registry on a free port of the loopback address, with its files below a folder.
class DockerRegistry {
 public:
  static bool installed();

  explicit DockerRegistry(const std::filesystem::path& folder);
  DockerRegistry(const DockerRegistry&) = delete;
  DockerRegistry& operator=(const DockerRegistry&) = delete;
  ~DockerRegistry();

  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace hearth::test
