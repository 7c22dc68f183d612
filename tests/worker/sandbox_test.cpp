#include "worker/sandbox.h"
#include "support/sanitized.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

namespace hearth {
namespace {

// Runs `f` in a child inside the sandbox; its result is the exit code.
template <class F>
int in_sandbox(F f, SandboxFor use = SandboxFor::cpu) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!enter_sandbox(use).empty()) ::_exit(99);
    ::_exit(f());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

int refused(long result) { return result < 0 && errno == EPERM ? 0 : 1; }

TEST(Sandbox, WhatAParserNeverNeedsIsRefused) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("hearth-sandbox-" + std::to_string(::getpid()))).string();
  EXPECT_EQ(in_sandbox([] { return refused(::socket(AF_INET, SOCK_STREAM, 0)); }), 0);
  EXPECT_EQ(in_sandbox([&] { return refused(::open(path.c_str(), O_CREAT | O_WRONLY, 0600)); }), 0);
  EXPECT_EQ(in_sandbox([] { return refused(::open("/dev/null", O_RDWR)); }), 0);
  EXPECT_EQ(in_sandbox([&] { return refused(::unlink(path.c_str())); }), 0);
  EXPECT_EQ(in_sandbox([&] { return refused(::mkdir(path.c_str(), 0700)); }), 0);
  EXPECT_EQ(in_sandbox([] {
              char* const arguments[] = {nullptr};
              return refused(::execve("/bin/true", arguments, arguments));
            }),
            0);
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

int denied(long result) { return result < 0 && (errno == EPERM || errno == EACCES) ? 0 : 1; }

// A GPU's driver may open devices; it may write files no more than any other child.
TEST(Sandbox, DevicesOfAGpuStayOpenable) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("hearth-sandbox-" + std::to_string(::getpid()))).string();
  ASSERT_GE(::close(::open(path.c_str(), O_CREAT | O_WRONLY, 0600)), 0);
  EXPECT_EQ(in_sandbox([&] { return denied(::open(path.c_str(), O_RDWR)); }, SandboxFor::gpu), 0);
  EXPECT_EQ(in_sandbox([&] { return denied(::open(path.c_str(), O_WRONLY | O_TRUNC)); }, SandboxFor::gpu), 0);
  EXPECT_EQ(in_sandbox([&] { return denied(::open((path + "x").c_str(), O_CREAT | O_RDWR, 0600)); },
                       SandboxFor::gpu),
            0);
  EXPECT_EQ(in_sandbox([&] { return ::open(path.c_str(), O_RDONLY) >= 0 ? 0 : 1; }, SandboxFor::gpu), 0);
  ::unlink(path.c_str());
  const int landlock = static_cast<int>(::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1));
  if (landlock < 1) GTEST_SKIP() << "this kernel has no Landlock: devices are as closed as files";
  EXPECT_EQ(in_sandbox([] { return ::open("/dev/null", O_RDWR) >= 0 ? 0 : 1; }, SandboxFor::gpu), 0);
}

// lavapipe of Mesa 26 keeps a device's memory in a nameless file that it grows, and does not look whether it
// could.
TEST(Sandbox, DriversGrowNamelessFiles) {
  const auto grow = [] {
    const auto file = static_cast<int>(::syscall(SYS_memfd_create, "memory", 0));
    return file < 0 ? -1 : ::ftruncate(file, 4096);
  };
  EXPECT_EQ(in_sandbox([&] { return grow() == 0 ? 0 : 1; }, SandboxFor::gpu), 0);
  EXPECT_EQ(in_sandbox([&] { return refused(grow()); }), 0);
  EXPECT_EQ(in_sandbox([] { return refused(::truncate("/dev/null", 0)); }, SandboxFor::gpu), 0);
}

TEST(Sandbox, ReadingAndThreadsStayAllowed) {
  EXPECT_EQ(in_sandbox([] { return ::open("/proc/self/maps", O_RDONLY) >= 0 ? 0 : 1; }), 0);
#ifdef HEARTH_SANITIZED
  GTEST_SKIP() << "threads of a forked child upset the sanitizers";
#endif
  EXPECT_EQ(in_sandbox([] {
              int seen = 1;
              std::thread([&] { seen = 0; }).join();
              return seen;
            }),
            0);
}

}  // namespace
}  // namespace hearth
