// The whole of it, with the program's own workers and the built-in model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>

#include "fake_world.h"
#include "scheduler/process/worker_process.h"
#include "support/data.h"

namespace hearth {
namespace {

using namespace std::chrono_literals;
using test::Listener;
using testing::HasSubstr;

// The processes that this one has started and not buried.
std::vector<pid_t> children() {
  std::vector<pid_t> list;
  std::ifstream file("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  for (pid_t pid = 0; file >> pid;) list.push_back(pid);
  return list;
}

class SchedulerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(test::build_dir() / "hearth")) GTEST_SKIP() << "the program is not built";
    make({});
  }

  void make(const SchedulerPolicy& policy) {
    scheduler_.reset();
    const auto program = (test::build_dir() / "hearth").string();
    scheduler_ = std::make_unique<Scheduler>(io_.get_executor(), policy,
                                             std::make_unique<ProcessFactory>(io_.get_executor(), program));
  }
  // The built-in model, as another one for every name, with pages for as many full contexts.
  static ModelSpec ember(const std::string& name, uint32_t contexts = 5) {
    ModelSpec spec{name, name, {}, true};
    spec.load.wish.parallel = contexts;
    return spec;
  }
  static Request prompt(uint32_t tokens) {
    Request r;
    r.raw = "the";
    r.max_tokens = tokens;
    // Always the same token, so that no answer ends before its time.
    r.sampling.options = json::object{{"temperature", 0}, {"logit_bias", json::object{{"100", 1000}}}};
    return r;
  }
  RequestId ask(const std::string& name, uint32_t tokens, Listener& l, KeepAlive keep = std::nullopt) {
    return scheduler_->submit(ember(name), prompt(tokens), keep, l.sink());
  }
  template <class F>
  void run_until(F&& condition, std::chrono::milliseconds most = 30s) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io_.restart();
      io_.run_for(2ms);
    }
    ASSERT_TRUE(condition());
  }

  // Loads the model and stops its process, so that a test knows what it is doing: nothing.
  pid_t load_and_halt(const std::string& name) {
    const std::vector<pid_t> before = children();
    Listener l;
    scheduler_->submit(ember(name), {}, std::nullopt, l.sink());
    run_until([&] { return l.finished(); });
    EXPECT_TRUE(l.done("load"));
    for (const pid_t pid : children()) {
      if (std::find(before.begin(), before.end(), pid) != before.end()) continue;
      ::kill(pid, SIGSTOP);
      return pid;
    }
    throw Error(Code::bug, "no process was started", "");
  }

  boost::asio::io_context io_;
  std::unique_ptr<Scheduler> scheduler_;
};

// Longer than the context.
constexpr uint32_t long_answer = 1500;

TEST_F(SchedulerTest, AnswersAndUnloads) {
  Listener a, b;
  ask("a", 20, a);
  ask("a", 20, b, 0ns);
  run_until([&] { return a.finished() && b.finished(); });
  EXPECT_FALSE(a.error) << a.error->message;
  EXPECT_FALSE(a.text.empty());
  EXPECT_GT(a.statistics.load, 0);
  EXPECT_GE(a.statistics.total, a.statistics.load);
  run_until([&] { return scheduler_->residents().empty(); }, 1s);
  EXPECT_TRUE(children().empty());
}

TEST_F(SchedulerTest, RequestsOfOneModelRunAtTheSameTime) {
  Listener lasting, quick;
  ask("a", long_answer, lasting);
  run_until([&] { return !lasting.text.empty(); });
  int lasting_ended = -1;
  scheduler_->submit(ember("a"), prompt(3), std::nullopt, [&, inner = quick.sink()](const Piece& piece) {
    inner(piece);
    if (quick.finished()) lasting_ended = lasting.finals;
  });
  run_until([&] { return quick.finished() && lasting.finished(); });
  EXPECT_EQ(lasting_ended, 0) << "one after the other";
  EXPECT_TRUE(lasting.done("length") && quick.done("length"));
  EXPECT_EQ(children().size(), 1U);
}

TEST_F(SchedulerTest, ACancelledRequestEndsAtOnce) {
  const pid_t pid = load_and_halt("a");
  Listener l, next;
  const RequestId id = ask("a", long_answer, l);
  scheduler_->cancel(id);
  run_until([&] { return l.finished(); }, 1s);
  EXPECT_TRUE(l.done("cancelled")) << "although the worker is busy with something";
  ::kill(pid, SIGCONT);
  ask("a", 5, next);
  run_until([&] { return next.finished(); });
  EXPECT_TRUE(next.done("length"));
  EXPECT_EQ(children(), std::vector{pid});
}

TEST_F(SchedulerTest, MoreRequestsThanPagesAllEndWell) {
  std::vector<std::unique_ptr<Listener>> all;
  ModelSpec small = ember("a", 1);
  small.load.wish.context = 64;
  small.automatic_context = false;
  for (int i = 0; i < 20; ++i) {
    all.push_back(std::make_unique<Listener>());
    scheduler_->submit(small, prompt(8), std::nullopt, all.back()->sink());
  }
  run_until([&] { return std::all_of(all.begin(), all.end(), [](const auto& l) { return l->finished(); }); });
  for (const auto& l : all) EXPECT_FALSE(l->error) << l->error->message;
}

TEST_F(SchedulerTest, AKilledWorkerIsReportedAndReplacedAndTheOtherLives) {
  const pid_t first = load_and_halt("a"), second = load_and_halt("b");
  Listener l, other, next;
  ask("a", long_answer, l);
  ask("b", long_answer, other);
  ::kill(first, SIGABRT);  // not one that a sanitizer catches
  ::kill(first, SIGCONT);
  run_until([&] { return l.finished(); }, 2s);
  ASSERT_TRUE(l.error);
  EXPECT_EQ(l.error->code, Code::device_lost);
  EXPECT_THAT(l.error->message, HasSubstr("was killed by signal 6 (Aborted)"));
  ask("a", 5, next);
  run_until([&] { return next.finished(); });
  EXPECT_FALSE(next.error);
  EXPECT_FALSE(other.finished());
  ::kill(second, SIGCONT);
  run_until([&] { return other.finished(); });
  EXPECT_FALSE(other.error);
}

// A device whose driver ends steps of more than so many rows.
ModelSpec on_weak_device(const std::string& rows) {
  ModelSpec spec{"a", "a", {}, true};
  spec.load.devices = {"fake0"};
  spec.load.backends = (test::build_dir() / "fakes" / "modules").string();
  spec.load.environment = {{"HEARTH_FAKE", "rows=" + rows}};
  return spec;
}

TEST_F(SchedulerTest, ALostDeviceIsTriedOnceMoreWithHalfTheSlice) {
  Request longer = prompt(3);
  for (int i = 0; i < 400; ++i) *longer.raw += " the";
  Listener l, again;
  scheduler_->submit(on_weak_device("300"), longer, std::nullopt, l.sink());
  run_until([&] { return l.finished(); });
  EXPECT_FALSE(l.error) << l.error->message;
  EXPECT_GT(l.statistics.prompt_tokens, 400U);
  ASSERT_EQ(scheduler_->residents().size(), 1U);
  const Resident halved = scheduler_->residents().front();
  EXPECT_EQ(halved.spec.load.halvings, 1U);
  EXPECT_THAT(halved.ready.notes, testing::Contains(HasSubstr("steps have 256 rows")));
  const std::vector<pid_t> worker = children();
  scheduler_->submit(on_weak_device("300"), longer, std::nullopt, again.sink());
  run_until([&] { return again.finished(); });
  EXPECT_FALSE(again.error);
  EXPECT_EQ(children(), worker) << "it serves whoever asks for the same";
}

TEST_F(SchedulerTest, ADeviceThatIsLostAgainIsReported) {
  Listener l;
  scheduler_->submit(on_weak_device("0"), prompt(3), std::nullopt, l.sink());
  run_until([&] { return l.finished(); });
  ASSERT_TRUE(l.error);
  EXPECT_EQ(l.error->code, Code::device_lost);
  EXPECT_THAT(l.error->message, HasSubstr("the fake device is lost; so it did with steps of half the size"));
  run_until([&] { return children().empty(); }, 2s);
}

TEST_F(SchedulerTest, AWorkerThatHangsIsReplaced) {
  SchedulerPolicy policy;
  policy.hang_timeout = 400ms;
  make(policy);
  load_and_halt("a");
  Listener l, next;
  ask("a", long_answer, l);
  run_until([&] { return l.finished(); }, 5s);
  ASSERT_TRUE(l.error);
  EXPECT_THAT(l.error->message, HasSubstr("hung"));
  ask("a", 5, next);
  run_until([&] { return next.finished(); });
  EXPECT_FALSE(next.error);
}

TEST_F(SchedulerTest, ARealWorkerAnswersAPing) {
  std::vector<FromChild> heard;
  WorkerEvents events;
  events.message = [&](FromChild m) { heard.push_back(std::move(m)); };
  const auto program = (test::build_dir() / "hearth").string();
  const auto worker = ProcessFactory(io_.get_executor(), program).start(std::move(events));
  worker->send(to_child::Load{});
  worker->send(to_child::Ping{});
  run_until([&] { return heard.size() == 2; });
  EXPECT_TRUE(std::holds_alternative<from_child::Ready>(heard[0]));
  EXPECT_TRUE(std::holds_alternative<from_child::Pong>(heard[1]));
}

TEST_F(SchedulerTest, AFileThatIsNoModelIsRefusedInTheWorkersWords) {
  ModelSpec spec = ember("a");
  spec.load.path = test::case_file("logits/llama.json").string();
  Listener l;
  scheduler_->submit(spec, prompt(1), std::nullopt, l.sink());
  run_until([&] { return l.finished(); });
  ASSERT_TRUE(l.error);
  EXPECT_THAT(l.error->message, HasSubstr("llama.json"));
  EXPECT_NE(l.error->code, Code::device_lost);
  run_until([&] { return children().empty(); }, 1s);
}

TEST_F(SchedulerTest, ShutDownLeavesNoProcess) {
  load_and_halt("a");
  load_and_halt("b");
  Listener a;
  ask("a", long_answer, a);
  bool closed = false;
  const auto begin = std::chrono::steady_clock::now();
  scheduler_->shut_down(100ms, [&] { closed = true; });
  run_until([&] { return closed; }, 2s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1100ms);
  EXPECT_TRUE(a.done("cancelled"));
  EXPECT_TRUE(children().empty());
}

TEST_F(SchedulerTest, TheDestructorLeavesNoProcessAndCallsNobody) {
  Listener a;
  ask("a", long_answer, a);
  run_until([&] { return !a.text.empty(); });
  scheduler_.reset();
  EXPECT_TRUE(children().empty());
  const size_t heard = a.text.size();
  io_.restart();
  io_.run_for(50ms);
  EXPECT_EQ(a.text.size(), heard);
}

TEST_F(SchedulerTest, WorkersKilledAtRandomMomentsTakeNothingElseWithThem) {
  SchedulerPolicy policy;
  policy.most_loaded = 2;
  policy.parallel = 4;
  policy.hang_timeout = 500ms;
  policy.load_timeout = 5s;  // of those that are stopped while they load
  make(policy);
  std::mt19937 random(3);
  std::vector<std::unique_ptr<Listener>> all;
  size_t most = 0;
  const auto end = std::chrono::steady_clock::now() + 5s;
  while (std::chrono::steady_clock::now() < end) {
    if (all.size() < 400) {
      all.push_back(std::make_unique<Listener>());
      const RequestId id = ask(std::string(1, static_cast<char>('a' + random() % 3)),
                               static_cast<uint32_t>(1 + random() % 60), *all.back());
      if (random() % 8 == 0) scheduler_->cancel({1 + random() % id.value});
    }
    const std::vector<pid_t> living = children();
    most = std::max(most, living.size());
    constexpr int signals[] = {SIGKILL, SIGSEGV, SIGTERM, SIGABRT, SIGSTOP};
    if (!living.empty() && random() % 10 == 0)
      ::kill(living[random() % living.size()], signals[random() % 5]);
    io_.restart();
    io_.run_for(std::chrono::milliseconds(random() % 40));
  }
  run_until([&] { return std::all_of(all.begin(), all.end(), [](const auto& l) { return l->finals > 0; }); });
  EXPECT_LE(most, 2U);
  size_t answered = 0;
  for (const auto& l : all) {
    EXPECT_EQ(l->finals, 1);
    EXPECT_EQ(l->late, 0);
    if (!l->error) ++answered;
    EXPECT_TRUE(!l->error || l->error->code == Code::device_lost) << l->error->message;
  }
  EXPECT_GT(answered, 0U);
  Listener last;
  ask("a", 5, last);
  run_until([&] { return last.finished(); });
  EXPECT_FALSE(last.error);
}

}  // namespace
}  // namespace hearth
