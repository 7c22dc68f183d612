#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "hardware/probes.h"
#include "support/data.h"

namespace hearth::test {

// A folder that goes with the test.
class Scratch {
 public:
  explicit Scratch(const std::string& name)
      : path(std::filesystem::temp_directory_path() / fmt::format("hearth-{}-{}", name, ::getpid())) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::filesystem::remove_all(path); }

  const std::filesystem::path path;
};

// A variable of this process while the object lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

inline std::string fakes(const std::string& name) { return (build_dir() / "fakes" / name).string(); }

// Children of the real program, on short terms.
inline ProbeRunner quick_runner() {
  ProbeRunner r;
  r.program = (build_dir() / "hearth").string();
  r.limits.phase = std::chrono::seconds(30);
  r.limits.all = std::chrono::seconds(60);
  r.limits.memory_bytes = 512ULL << 20;
  r.limits.log_bytes = 1 << 20;
  r.limits.variant_seconds = 0;
  r.limits.sweep_bytes = 64 << 20;
  return r;
}

// A folder of modules where the fake one stands for `backends`.
inline void link_modules(const std::filesystem::path& folder, const std::vector<std::string>& backends) {
  for (const std::string& backend : backends)
    std::filesystem::create_symlink(fakes("modules/libhearth-fake.so"),
                                    folder / fmt::format("libhearth-{}.so", backend));
}

}  // namespace hearth::test
