#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hearth {

// Variables of a child's environment that differ from the parent's; no value = removed.
using EnvironmentChanges = std::vector<std::pair<std::string, std::optional<std::string>>>;

// A child running this very program (or another one, in tests) in another role, joined by one end of a Unix
// socket pair (descriptor 3 in the child). Its standard error goes to a log that the parent can read when
// something went wrong. The child dies with its parent.
class Subprocess {
 public:
  // `role` becomes the child's only argument. Throws Error(io).
  explicit Subprocess(const std::string& role, const std::string& program = "/proc/self/exe",
                      const EnvironmentChanges& environment = {});
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;
  // Kills the child if it still runs.
  ~Subprocess();

  int socket() const noexcept { return socket_; }
  // The same, but closing it is the caller's task from now on.
  int release_socket() noexcept;
  pid_t pid() const noexcept { return pid_; }  // −1 once its end was waited for

  // Sends SIGKILL and does not wait.
  void kill() noexcept;
  // False from the moment it ended, whether that was waited for or not. Does not block.
  bool running() const noexcept;

  // Waits for the end and says how it was: "ended with exit code 3", "was killed by signal 11 (Segmentation
  // fault)".
  std::string wait_and_describe();
  // The same where it has ended already; nothing while it runs. Does not block.
  std::optional<std::string> try_describe();
  // How it ended, once that was waited for: the signal that killed it (0 = none), else its exit code.
  int end_signal() const noexcept { return end_signal_; }
  int exit_code() const noexcept { return exit_code_; }
  // Forgets a child that SIGKILL does not end (it hangs in a driver): nobody waits for it any more.
  void abandon() noexcept { pid_ = -1; }
  // The last lines the child wrote to standard error, at most `bytes`.
  std::string log_tail(size_t bytes = 2000) const;
  // How much it wrote there; it lies in memory.
  uint64_t log_bytes() const noexcept;
  // Memory of the child that lies in RAM now; 0 once it ended.
  uint64_t resident_bytes() const;

 private:
  std::string ended(pid_t got, int status);

  int socket_ = -1, log_ = -1;
  pid_t pid_ = -1;
  int end_signal_ = 0, exit_code_ = 0;
};

// The descriptor that a child talks to its parent through.
inline constexpr int child_socket = 3;

}  // namespace hearth
