#include "base/processor_load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace hearth {
namespace {

class ProcessorLoads : public testing::Test {
 protected:
  ProcessorLoads()
      : root(std::filesystem::temp_directory_path() / ("hearth-load-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(root / "proc");
  }
  ~ProcessorLoads() override { std::filesystem::remove_all(root); }

  ProcessorTimes times(const std::string& text) const {
    std::ofstream(root / "proc/stat") << text;
    return processor_times(root.string());
  }

  std::filesystem::path root;
};

TEST_F(ProcessorLoads, AreWhatOthersTook) {
  const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  // user nice system idle iowait irq softirq steal guest guest_nice
  const ProcessorTimes before = times("cpu  100 10 20 1000 5 1 4 50 30 0\ncpu0 1 1\n");
  EXPECT_NEAR(before.total, 1190 * tick, 1e-9);
  EXPECT_NEAR(before.busy, 135 * tick, 1e-9) << "what guests took is counted in user";
  EXPECT_NEAR(before.stolen, 50 * tick, 1e-9);
  const ProcessorTimes after = times("cpu  300 10 20 1180 5 1 4 70 30 0\n");
  const ProcessorLoad load = load_between(before, after, 120 * tick);
  EXPECT_NEAR(load.others, 80.0 / 400, 1e-9);
  EXPECT_NEAR(load.stolen, 20.0 / 400, 1e-9);
  EXPECT_FALSE(load.busy());
  EXPECT_TRUE(load_between(before, after, 0).busy()) << "half of the processors' time went elsewhere";
  EXPECT_EQ(load_between(before, after, 1000 * tick).others, 0) << "never below nothing";
}

TEST_F(ProcessorLoads, OfTooShortATimeOrOfNoFileAreNotKnown) {
  const ProcessorTimes before = times("cpu  100 0 0 100 0 0 0 0\n");
  const ProcessorTimes after = times("cpu  101 0 0 100 0 0 0 0\n");
  EXPECT_FALSE(load_between(before, after, 0).busy());
  EXPECT_EQ(times("intr 5\n").total, 0);
  EXPECT_EQ(processor_times("/nowhere").total, 0);
}

TEST(ProcessorLoad, IsBusyWhereTheHostTakesAShare) {
  EXPECT_TRUE((ProcessorLoad{0, 0.1}).busy());
  EXPECT_TRUE((ProcessorLoad{0.5, 0}).busy());
  EXPECT_FALSE((ProcessorLoad{0.05, 0.01}).busy());
}

TEST(ProcessorLoad, KnowsThisProcess) {
  const double before = own_processor_seconds();
  volatile double sum = 0;
  while (own_processor_seconds() - before < 0.02) sum = sum + 1;
  EXPECT_GT(processor_times().total, 0);
  EXPECT_GE(own_processor_seconds() - before, 0.02);
}

}  // namespace
}  // namespace hearth
