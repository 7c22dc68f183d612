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
#include <utility>

#include "base/error.h"

namespace hearth {
namespace {

[[noreturn]] void fail(const char* doing) {
  throw Error(Code::io, fmt::format("cannot {} for a child process: {}", doing, std::strerror(errno)),
              "check the limits on processes and open files");
}

// After fork: only calls that are safe there.
[[noreturn]] void become(const char* program, const char* role, int socket, int log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::signal(SIGINT, SIG_IGN);  // Ctrl-C is the parent's to handle
  ::dup2(log, 2);
  if (socket == child_socket) {
    ::fcntl(socket, F_SETFD, 0);
  } else {
    ::dup2(socket, child_socket);
  }
  ::execl(program, "hearth", role, static_cast<char*>(nullptr));
  ::_exit(127);
}

}  // namespace

Subprocess::Subprocess(const std::string& role, const std::string& program) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("make a socket");
  log_ = ::memfd_create("hearth-log", MFD_CLOEXEC);
  const pid_t parent = ::getpid();
  if (log_ >= 0) pid_ = ::fork();
  if (pid_ == 0) become(program.c_str(), role.c_str(), pair[1], log_, parent);
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

}  // namespace hearth
