#include "base/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace hearth {
namespace {

[[noreturn]] void fail(const char* doing) {
  throw Error(Code::io, fmt::format("cannot {} for a child process: {}", doing, std::strerror(errno)),
              "check the limits on processes and open files");
}

// After fork: only calls that are safe there.
[[noreturn]] void become(const char* program, const char* role, char* const* environment, int socket, int log,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::signal(SIGINT, SIG_IGN);  // Ctrl-C is the parent's to handle
  ::dup2(log, 2);
  if (socket == child_socket) {
    ::fcntl(socket, F_SETFD, 0);
  } else {
    ::dup2(socket, child_socket);
  }
  const char* arguments[] = {"hearth", role, nullptr};
  ::execve(program, const_cast<char* const*>(arguments), environment);
  ::_exit(127);
}

// This process's environment with the changes: "NAME=value" each.
std::vector<std::string> changed(const EnvironmentChanges& changes) {
  const auto touched = [&](std::string_view entry) {
    return std::any_of(changes.begin(), changes.end(),
                       [&](const auto& change) { return entry.substr(0, entry.find('=')) == change.first; });
  };
  std::vector<std::string> all;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    if (!touched(*at)) all.emplace_back(*at);
  }
  for (const auto& [name, value] : changes) {
    if (value) all.push_back(name + "=" + *value);
  }
  return all;
}

}  // namespace

Subprocess::Subprocess(const std::string& role, const std::string& program,
                       const EnvironmentChanges& environment) {
  // Made before the fork: the child of a process with threads must not allocate.
  std::vector<std::string> variables = changed(environment);
  std::vector<char*> pointers;
  pointers.reserve(variables.size() + 1);
  for (std::string& v : variables) pointers.push_back(v.data());
  pointers.push_back(nullptr);
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("make a socket");
  log_ = ::memfd_create("hearth-log", MFD_CLOEXEC);
  const pid_t parent = ::getpid();
  if (log_ >= 0) pid_ = ::fork();
  if (pid_ == 0) become(program.c_str(), role.c_str(), pointers.data(), pair[1], log_, parent);
  const int reason = errno;
  ::close(pair[1]);
  if (pid_ > 0) {
    socket_ = pair[0];
    return;
  }
  ::close(pair[0]);
  if (log_ >= 0) ::close(log_);
  errno = reason;
  fail(log_ < 0 ? "make a log" : "fork");
}

Subprocess::~Subprocess() {
  if (socket_ >= 0) ::close(socket_);
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (log_ >= 0) ::close(log_);
}

int Subprocess::release_socket() noexcept { return std::exchange(socket_, -1); }

void Subprocess::kill() noexcept {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

bool Subprocess::running() const noexcept {
  if (pid_ <= 0) return false;
  siginfo_t info{};  // si_pid stays 0 while the child runs
  const int flags = WEXITED | WNOHANG | WNOWAIT;
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, flags) == 0 && info.si_pid == 0;
}

std::string Subprocess::wait_and_describe() {
  int status = 0;
  pid_t got = -1;
  if (pid_ > 0) {
    do {
      got = ::waitpid(pid_, &status, 0);
    } while (got < 0 && errno == EINTR);
  }
  return ended(got, status);
}

std::optional<std::string> Subprocess::try_describe() {
  int status = 0;
  const pid_t got = pid_ > 0 ? ::waitpid(pid_, &status, WNOHANG) : -1;
  if (got == 0) return std::nullopt;
  return ended(got, status);
}

std::string Subprocess::ended(pid_t got, int status) {
  pid_ = -1;
  if (got < 0) return "is gone";
  end_signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (WIFSIGNALED(status)) {
    return fmt::format("was killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  }
  return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

std::string Subprocess::log_tail(size_t bytes) const {
  const off_t size = ::lseek(log_, 0, SEEK_END);
  if (size <= 0) return {};
  const auto want = std::min(bytes, static_cast<size_t>(size));
  std::string tail(want, '\0');
  const ssize_t got = ::pread(log_, tail.data(), want, size - static_cast<off_t>(want));
  tail.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return tail;
}

uint64_t Subprocess::log_bytes() const noexcept {
  const off_t size = ::lseek(log_, 0, SEEK_END);
  return size > 0 ? static_cast<uint64_t>(size) : 0;
}

uint64_t Subprocess::resident_bytes() const {
  if (pid_ <= 0) return 0;
  std::ifstream statm(fmt::format("/proc/{}/statm", pid_));
  uint64_t all = 0, resident = 0;
  return statm >> all >> resident ? resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace hearth
