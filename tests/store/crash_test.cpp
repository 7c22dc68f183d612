// A process that writes, copies and removes models is killed at random moments; whatever it leaves must be a
// store in which every model is whole.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <random>
#include <thread>

#include "base/error.h"
#include "fake_registry.h"
#include "store/download/parts.h"
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

// The child waits for the port: a process is best forked before it has threads.
[[noreturn]] void pull_until_killed(const std::filesystem::path& root, int port_pipe) {
  char host[64] = {};
  if (::read(port_pipe, host, sizeof host - 1) <= 0) ::_exit(4);
  Store store({root, true, std::chrono::hours(1), {}});
  Registry registry(store, test::quick_options());
  try {
    registry.pull(ModelName::parse_or_throw(std::string(host) + "/ns/m"), true,
                  [](const TransferProgress&) {}, {});
  } catch (const Error&) {
    ::_exit(3);
  }
  ::pause();
  ::_exit(5);
}

TEST(CrashTest, AKilledPullGoesOnWhereItWas) {
  const test::TemporaryFolder folder;
  const auto root = folder.path() / "models";
  const std::string weights = test::noise(2'000'000);
  std::mt19937 random(5);
  const auto slowly = [&](const test::ServerRequest& request) -> std::optional<test::ServerResponse> {
    if (request.header("range").empty()) return std::nullopt;
    auto response = test::serve_range(request, weights);
    response.burst = 10'000;
    response.pause = std::chrono::milliseconds(20);
    return response;
  };
  Store store({root, true, std::chrono::hours(1), {}});
  uint64_t reached = 0;
  for (int round = 0; round < 8; ++round) {
    int ends[2] = {};
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) pull_until_killed(root, ends[0]);
    {
      const test::FakeRegistry from(weights, slowly);
      const std::string host = from.server.host();
      ASSERT_EQ(::write(ends[1], host.data(), host.size()), static_cast<ssize_t>(host.size()));
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 60));
      ::kill(child, SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    ::close(ends[0]);
    ::close(ends[1]);
    test::expect_invariants(store);
    const uint64_t now = partial_bytes(store.blob_path(digest_of(weights)));
    EXPECT_GE(now, reached);
    reached = now;
  }
  EXPECT_GT(reached, 0U);
  const test::FakeRegistry from(weights);
  Registry registry(store, test::quick_options());
  registry.pull(from.name(), true, [](const TransferProgress&) {}, {});
  EXPECT_EQ(read_file(read_parts(store, store.get(from.name())).model), weights);
  EXPECT_EQ(test::files_below(store.blobs_folder()), 2U);
}

}  // namespace
}  // namespace hearth
