// A process that writes, copies and removes models is killed at random moments; whatever it leaves must be a
// store in which every model is whole.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <random>
#include <thread>

#include "base/error.h"
#include "store_support.h"

namespace hearth {
namespace {

[[noreturn]] void work_until_killed(const std::filesystem::path& root, unsigned seed) {
  Store store({root, true, std::chrono::seconds(0), {}});
  std::mt19937 random(seed);
  const auto pick = [&](unsigned count) { return static_cast<unsigned>(random() % count); };
  while (true) {
    const auto name = fmt::format("m{}:t{}", pick(3), pick(2));
    const auto other = fmt::format("m{}:t{}", pick(3), pick(2));
    try {
      switch (pick(5)) {
        case 0:
        case 1:
          test::install(store, name, std::string(1 + pick(200000), static_cast<char>('a' + pick(4))));
          break;
        case 2: store.copy(ModelName::parse_or_throw(name), ModelName::parse_or_throw(other)); break;
        case 3: store.remove(ModelName::parse_or_throw(name)); break;
        default: store.prune(); break;
      }
    } catch (const Error& error) {
      if (error.code != Code::not_found) ::_exit(3);
    }
  }
}

TEST(CrashTest, AKilledWriterLeavesAWholeStore) {
  const test::TemporaryFolder folder;
  const auto root = folder.path() / "models";
  std::mt19937 random(11);
  size_t models_seen = 0;
  for (unsigned round = 0; round < 60; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) work_until_killed(root, round);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child gave up with " << WEXITSTATUS(status);
    std::vector<std::string> warnings;
    Store store(
        {root, true, std::chrono::seconds(0), [&](const std::string& line) { warnings.push_back(line); }});
    test::expect_invariants(store);
    models_seen += store.list().size();
    EXPECT_TRUE(warnings.empty()) << warnings.front();
    if (round % 10 == 9) {
      // With nothing in progress, cleaning up leaves exactly what the models use.
      EXPECT_FALSE(store.prune().skipped);
      std::set<Digest> used;
      for (const auto& model : store.list()) {
        model.manifest.for_each_blob([&](const Layer& layer) { used.insert(layer.digest); });
      }
      if (std::filesystem::exists(store.blobs_folder())) {
        EXPECT_EQ(test::files_below(store.blobs_folder()), used.size());
        EXPECT_EQ(test::files_below(store.manifests_folder()), store.list().size());
      }
    }
  }
  EXPECT_GT(models_seen, 10U);
}

}  // namespace
}  // namespace hearth
