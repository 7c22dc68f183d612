// Pull and push against a real registry: Debian's docker-registry, started here on a port of its own,
// directly and through a proxy that cuts connections, fails, sends wrong bytes, and is slow.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <mutex>

#include "base/error.h"
#include "fake_registry.h"
#include "http/client.h"
#include "support/docker_registry.h"

namespace hearth {
namespace {

using test::DockerRegistry;
using test::FaultServer;
using test::noise;
using test::quick_options;
using test::ServerRequest;
using test::ServerResponse;
using testing::HasSubstr;

// Passes requests on to the registry. `fault` may change an answer.
class Proxy {
 public:
  using Fault = std::function<void(const ServerRequest&, ServerResponse&)>;
  Proxy(std::string registry, Fault fault)
      : registry_(std::move(registry)),
        fault_(std::move(fault)),
        server([this](const ServerRequest& r) { return pass(r); }) {}

 private:
  ServerResponse pass(const ServerRequest& from) {
    HttpClient client(HttpOptions{"proxy"});
    HttpRequest to;
    to.method = from.method;
    to.url = *Url::parse(fmt::format("http://{}{}", registry_, from.target));
    to.body = from.body;
    to.body_limit = size_t{64} << 20;
    for (const char* name : {"host", "accept", "range", "content-type", "content-range"}) {
      if (!from.header(name).empty()) to.headers.push_back(fmt::format("{}: {}", name, from.header(name)));
    }
    const HttpResponse got = client.send(to, {});
    ServerResponse response{got.status, {}, got.body};
    for (const auto& [name, value] : got.headers) {
      if (name == "content-length" ? from.method == "HEAD"
                                   : name != "transfer-encoding" && name != "connection")
        response.headers.push_back((name == "content-length" ? "Content-Length" : name) + ": " + value);
    }
    if (fault_) fault_(from, response);
    return response;
  }

  std::string registry_;
  Fault fault_;

 public:
  FaultServer server;  // last: its threads use the above
};

bool is_blob(const ServerRequest& r) {
  return r.method == "GET" && r.target.find("/blobs/sha256:") != std::string::npos;
}

class DockerRegistryTest : public testing::Test {
 protected:
  // One for all tests: it takes a while to start.
  static void SetUpTestSuite() {
    if (!DockerRegistry::installed()) return;
    registry_folder_ = std::make_unique<test::TemporaryFolder>();
    registry_ = std::make_unique<DockerRegistry>(registry_folder_->path());
  }
  static void TearDownTestSuite() {
    registry_.reset();
    registry_folder_.reset();
  }
  void SetUp() override {
    if (registry_ == nullptr)
      GTEST_SKIP() << "docker-registry is not installed: scripts/packages test does it";
  }

  // A model in a store of its own, pushed; its manifest.
  Manifest publish(const std::string& host, const std::string& weights) {
    Store store({folder.path() / "source", true, std::chrono::hours(1), {}});
    const std::string name = host + "/ns/m";
    const Manifest manifest = test::install(store, name, weights);
    Registry(store, quick_options()).push(ModelName::parse_or_throw(name), true, quiet, {});
    return manifest;
  }
  static void quiet(const TransferProgress&) {}

  std::optional<Error> pull(Store& store, const std::string& host, const std::string& model = "ns/m") {
    try {
      Registry(store, quick_options()).pull(ModelName::parse_or_throw(host + "/" + model), true, quiet, {});
      return std::nullopt;
    } catch (const Error& e) {
      return e;
    }
  }
  void expect_pulled(const Store& store, const std::string& host, const Manifest& manifest,
                     const std::string& weights) {
    const auto model = store.get(ModelName::parse_or_throw(host + "/ns/m"));
    EXPECT_EQ(model.manifest.bytes, manifest.bytes);
    EXPECT_EQ(read_file(read_parts(store, model).model), weights);
    EXPECT_EQ(test::files_below(store.blobs_folder()), 3U);  // nothing temporary is left
  }
  Store new_store(const char* name) { return Store({folder.path() / name, true, std::chrono::hours(1), {}}); }

  test::TemporaryFolder folder;
  static inline std::unique_ptr<test::TemporaryFolder> registry_folder_;
  static inline std::unique_ptr<DockerRegistry> registry_;
};

TEST_F(DockerRegistryTest, WhatIsPushedComesBackTheSame) {
  const std::string weights = noise(3'000'000), host = registry_->host();
  const Manifest manifest = publish(host, weights);
  publish(host, weights);  // all is there already
  Store store = new_store("models");
  ASSERT_EQ(pull(store, host), std::nullopt);
  expect_pulled(store, host, manifest, weights);
  const auto missing = pull(store, host, "ns/nosuch");
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(missing->code, Code::not_found);
  EXPECT_EQ(missing->message, "pull model manifest: file does not exist");
}

TEST_F(DockerRegistryTest, PullsSurviveCutsFailuresAndASlowLink) {
  const std::string weights = noise(1'000'000, 2), host = registry_->host();
  // Each part of a blob meets each fault: counted together, one part could get all the failures, and give up.
  std::mutex lock;
  std::map<std::string, int> counts;
  const Proxy proxy(host, [&](const ServerRequest& r, ServerResponse& response) {
    if (!is_blob(r)) return;
    const std::string range(r.header("range"));  // a part goes on at another byte and has the same end
    const std::lock_guard guard(lock);
    const int n = ++counts[r.target + range.substr(std::min(range.find('-'), range.size()))];
    if (n % 4 == 1) response.cut_after = response.body.size() / 2;
    if (n % 4 == 2) response = {500};
    if (n % 4 == 3) {
      response.burst = 8'000;
      response.pause = std::chrono::milliseconds(2);
    }
  });
  const Manifest manifest = publish(host, weights);
  Store store = new_store("models");
  ASSERT_EQ(pull(store, proxy.server.host()), std::nullopt);
  expect_pulled(store, proxy.server.host(), manifest, weights);
}

TEST_F(DockerRegistryTest, WrongBytesGetNoNameAndTheNextPullIsRight) {
  const std::string weights = noise(300'000, 3), host = registry_->host();
  std::atomic<bool> wrong{true};
  const Proxy proxy(host, [&](const ServerRequest& r, ServerResponse& response) {
    if (is_blob(r) && wrong && response.body.size() > 100) response.body[50] ^= 1;
  });
  const Manifest manifest = publish(host, weights);
  Store store = new_store("models");
  const auto error = pull(store, proxy.server.host());
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, Code::corrupt_file) << error->what();
  EXPECT_TRUE(store.list().empty());
  test::expect_invariants(store);
  wrong = false;
  ASSERT_EQ(pull(store, proxy.server.host()), std::nullopt);
  expect_pulled(store, proxy.server.host(), manifest, weights);
}

TEST_F(DockerRegistryTest, PushesSurviveFailures) {
  const std::string weights = noise(400'000, 4), host = registry_->host();
  std::atomic<int> count{0};
  const Proxy proxy(host, [&](const ServerRequest& r, ServerResponse& response) {
    const bool changes =
        r.method == "HEAD" || r.method == "POST" || r.target.find("/manifests/") != std::string::npos;
    if (changes && ++count % 3 == 1) response = {503};
  });
  const Manifest manifest = publish(proxy.server.host(), weights);
  Store store = new_store("models");
  ASSERT_EQ(pull(store, host), std::nullopt);
  expect_pulled(store, host, manifest, weights);
}

// The child waits for the address: a process is best forked before it has threads.
[[noreturn]] void pull_until_killed(const std::filesystem::path& root, int address) {
  char host[64] = {};
  if (::read(address, host, sizeof host - 1) <= 0) ::_exit(4);
  Store store({root, true, std::chrono::hours(1), {}});
  try {
    Registry(store, quick_options())
        .pull(ModelName::parse_or_throw(std::string(host) + "/ns/m"), true, [](const TransferProgress&) {},
              {});
  } catch (const Error&) {
    ::_exit(3);
  }
  ::pause();
  ::_exit(5);
}

TEST_F(DockerRegistryTest, APullThatIsKilledGoesOnWhereItWas) {
  const auto root = folder.path() / "models";
  const std::string weights = noise(2'000'000, 5), host = registry_->host();
  const Manifest manifest = publish(host, weights);
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) pull_until_killed(root, ends[0]);
  std::atomic<bool> slow{true};
  std::atomic<size_t> sent{0};
  const Proxy proxy(host, [&](const ServerRequest& r, ServerResponse& response) {
    // Without a range it is only asked where the blob is.
    if (!is_blob(r) || r.header("range").empty()) return;
    sent += response.body.size();
    if (!slow) return;
    response.burst = 5'000;
    response.pause = std::chrono::milliseconds(20);
  });
  const std::string address = proxy.server.host();
  ASSERT_EQ(::write(ends[1], address.data(), address.size()), static_cast<ssize_t>(address.size()));
  for (int tries = 0; tries < 500 && sent < 400'000; ++tries) ::usleep(10'000);
  ::usleep(60'000);
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  ::close(ends[0]);
  ::close(ends[1]);
  slow = false;
  sent = 0;
  Store store({root, true, std::chrono::hours(1), {}});
  EXPECT_TRUE(store.list().empty());
  ASSERT_EQ(pull(store, address), std::nullopt);
  expect_pulled(store, address, manifest, weights);
  EXPECT_LT(sent, weights.size());  // not all of it again
}

// A disk that is full in the middle: files may not grow beyond a limit. The room that there is looked enough.
TEST(DiskFull, EndsAPullWithAnErrorAndLeavesNoModel) {
  const test::TemporaryFolder folder;
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    char host[64] = {};
    if (::read(ends[0], host, sizeof host - 1) <= 0) ::_exit(4);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    Store store({folder.path() / "models", true, std::chrono::hours(1), {}});
    try {
      Registry(store, quick_options())
          .pull(ModelName::parse_or_throw(std::string(host) + "/ns/m"), true, [](const TransferProgress&) {},
                {});
    } catch (const Error& e) {
      ::_exit(e.code == Code::io && store.list().empty() ? 7 : 8);
    }
    ::_exit(9);
  }
  const test::FakeRegistry from(noise(300'000));
  const std::string host = from.server.host();
  ASSERT_EQ(::write(ends[1], host.data(), host.size()), static_cast<ssize_t>(host.size()));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
  Store store({folder.path() / "models", true, std::chrono::hours(1), {}});
  test::expect_invariants(store);
  Registry(store, quick_options()).pull(from.name(), true, [](const TransferProgress&) {}, {});
  EXPECT_EQ(read_file(read_parts(store, store.get(from.name())).model), from.weights);
}

}  // namespace
}  // namespace hearth
