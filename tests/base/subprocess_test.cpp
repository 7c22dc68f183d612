#include "base/subprocess.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace hearth {
namespace {

// /bin/sh takes the role for a script's name; none of these exist, which ends it with 127 and a line on
// stderr.
TEST(Subprocess, TheEndIsSeenWithoutWaiting) {
  Subprocess child("no-such-script", "/bin/sh");
  while (child.running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_GT(child.pid(), 0) << "not buried by looking";
  EXPECT_EQ(child.try_describe().value_or("").rfind("ended with exit code ", 0), 0U);
  EXPECT_FALSE(child.running());
  EXPECT_EQ(child.try_describe(), "is gone") << "and no other child was waited for";
  EXPECT_NE(child.log_tail().find("no-such-script"), std::string::npos);
}

TEST(Subprocess, KillDoesNotWait) {
  Subprocess child("1000", "/bin/sleep");
  EXPECT_TRUE(child.running());
  EXPECT_EQ(child.try_describe(), std::nullopt);
  child.kill();
  EXPECT_EQ(child.wait_and_describe(), "was killed by signal 9 (Killed)");
  EXPECT_EQ(child.end_signal(), 9);
}

TEST(Subprocess, AReleasedSocketOutlivesTheChild) {
  int socket = -1;
  {
    Subprocess child("1000", "/bin/sleep");
    socket = child.release_socket();
    EXPECT_EQ(child.socket(), -1);
  }
  char byte = 0;
  EXPECT_EQ(::read(socket, &byte, 1), 0) << "the other end is closed";
  EXPECT_EQ(::close(socket), 0);
}

// The shell reads what it is to do from the script that is its "role".
TEST(Subprocess, TheEnvironmentIsTheParentsWithTheChanges) {
  const auto script = std::filesystem::temp_directory_path() / "hearth-environment-test.sh";
  std::ofstream(script) << "echo \"[$HEARTH_KEPT][$HEARTH_CHANGED][${HEARTH_GONE-none}]\" >&2\n";
  ::setenv("HEARTH_KEPT", "kept", 1);
  ::setenv("HEARTH_CHANGED", "before", 1);
  ::setenv("HEARTH_GONE", "here", 1);
  Subprocess child(script.string(), "/bin/sh", {{"HEARTH_CHANGED", "after"}, {"HEARTH_GONE", std::nullopt}});
  EXPECT_EQ(child.wait_and_describe(), "ended with exit code 0");
  EXPECT_EQ(child.log_tail(), "[kept][after][none]\n");
  EXPECT_EQ(child.log_bytes(), 20U);
  EXPECT_EQ(child.resident_bytes(), 0U) << "it is gone";
  std::filesystem::remove(script);
}

TEST(Subprocess, ItsMemoryIsSeenWhileItRuns) {
  Subprocess child("1000", "/bin/sleep");
  EXPECT_GT(child.resident_bytes(), 0U);
  EXPECT_LT(child.resident_bytes(), 64U << 20);
}

}  // namespace
}  // namespace hearth
