// Real child processes: small scripts that misbehave as a worker could.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "fake_world.h"
#include "scheduler/process/worker_process.h"

namespace hearth {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class ProcessTest : public testing::Test {
 protected:
  ProcessTest()
      : folder_(std::filesystem::temp_directory_path() / ("hearth-process-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ProcessTest() override {
    worker_.reset();
    std::filesystem::remove_all(folder_);
  }

  // A worker that runs these shell commands; descriptor 3 leads to us.
  void start(const std::string& script) {
    const auto path = folder_ / "worker";
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    ProcessFactory factory(io_.get_executor(), path.string());
    WorkerEvents events;
    events.message = [this](FromChild m) { messages_.push_back(std::move(m)); };
    events.ended = [this](const std::string& how) {
      ++ends_;
      how_ = how;
      worker_.reset();
    };
    worker_ = factory.start(std::move(events));
  }
  template <class F>
  void run_until(F&& condition, std::chrono::milliseconds most = 10s) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io_.restart();
      io_.run_for(5ms);
    }
    ASSERT_TRUE(condition());
  }
  void run_to_end() {
    run_until([&] { return ends_ > 0; });
    io_.restart();
    io_.run_for(30ms);
    EXPECT_EQ(ends_, 1);
  }

  std::filesystem::path folder_;
  boost::asio::io_context io_;
  std::vector<FromChild> messages_;
  std::string how_;
  int ends_ = 0;
  std::unique_ptr<WorkerHandle> worker_;
};

TEST_F(ProcessTest, TheEndIsDescribedWithTheLastLines) {
  start("echo one >&2; echo two >&2; exit 3");
  run_to_end();
  EXPECT_EQ(how_, "ended with exit code 3: one; two");
}

TEST_F(ProcessTest, ASignalIsNamed) {
  start("kill -SEGV $$");
  run_to_end();
  EXPECT_THAT(how_, StartsWith("was killed by signal 11 (Segmentation fault)"));
}

TEST_F(ProcessTest, AProgramThatIsNotThereEndsAtOnce) {
  ProcessFactory factory(io_.get_executor(), (folder_ / "none").string());
  WorkerEvents events;
  events.ended = [this](const std::string& how) {
    ++ends_;
    how_ = how;
  };
  worker_ = factory.start(std::move(events));
  worker_->send(to_child::Load{});
  run_to_end();
  EXPECT_EQ(how_, "ended with exit code 127");
}

TEST_F(ProcessTest, AClosedConnectionEndsTheProcess) {
  start("exec 3>&-; exec sleep 1000");
  run_to_end();
  EXPECT_THAT(how_, HasSubstr("signal 9"));
}

TEST_F(ProcessTest, WhatIsNoMessageEndsTheProcess) {
  start("printf '\\377\\377\\377\\377' >&3; exec sleep 1000");
  run_to_end();
  EXPECT_EQ(how_, "was stopped: a message between processes is too long");
  ends_ = 0;
  start("printf '\\002\\000\\000\\000{}' >&3; exec sleep 1000");
  run_to_end();
  EXPECT_THAT(how_, StartsWith("was stopped: a message between processes does not decode"));
}

TEST_F(ProcessTest, WhatWasSaidBeforeTheEndIsHeard) {
  start(
      "printf '\\015\\000\\000\\000{\"is\":\"pong\"}\\015\\000\\000\\000{\"is\":' >&3; printf '\"pong\"}' "
      ">&3");
  run_to_end();
  EXPECT_EQ(messages_.size(), 2U);
  EXPECT_EQ(how_, "ended with exit code 0");
}

TEST_F(ProcessTest, KillIsQuickAndADeadOneTakesNothingMore) {
  start("exec sleep 1000");
  EXPECT_TRUE(worker_->alive());
  const auto begin = std::chrono::steady_clock::now();
  worker_->kill();
  worker_->send(to_child::Ping{});
  run_to_end();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_EQ(how_, "was killed by signal 9 (Killed)");
}

TEST_F(ProcessTest, AProcessLeftBehindDoesNotHideTheEnd) {
  start("sleep 3 >/dev/null & printf '\\015\\000\\000\\000{\"is\":\"pong\"}' >&3; exit 5");
  run_until([&] { return !worker_->alive(); });
  const auto begin = std::chrono::steady_clock::now();
  worker_->kill();
  run_to_end();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_EQ(how_, "ended with exit code 5");
  EXPECT_EQ(messages_.size(), 1U);
}

TEST_F(ProcessTest, ManyMessagesGoThroughASlowReader) {
  start("dd bs=1000 count=1 <&3 >/dev/null 2>&1; sleep 0.2; exec cat <&3 >/dev/null");
  Request request;
  request.raw = std::string(300000, 'x');
  for (uint64_t i = 1; i <= 20; ++i) worker_->send(to_child::Start{{i}, request});
  io_.run_for(1s);
  EXPECT_EQ(ends_, 0);
  EXPECT_TRUE(worker_->alive());
}

TEST_F(ProcessTest, ProgressShowsWorkAndRest) {
  start("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exec sleep 1000");
  const Progress first = worker_->progress();
  run_until([&] { return worker_->progress().computed > first.computed; });
  Progress last;
  run_until([&] {
    const Progress now = worker_->progress();
    const bool rests = now == last;
    last = now;
    if (!rests) io_.run_for(300ms);
    return rests;
  });
}

TEST_F(ProcessTest, AForgottenHandleIsMute) {
  start("while :; do printf '\\015\\000\\000\\000{\"is\":\"pong\"}' >&3; done");
  run_until([&] { return messages_.size() > 100; });
  worker_.reset();
  const size_t heard = messages_.size();
  io_.restart();
  io_.run_for(100ms);
  EXPECT_EQ(messages_.size(), heard);
  EXPECT_EQ(ends_, 0);
}

}  // namespace
}  // namespace hearth
