// The beginning of files that lie elsewhere: only what is asked for is fetched.
#include <gtest/gtest.h>

#include "registry_fixture.h"
#include "store/remote_file.h"

namespace hearth::test {
namespace {

class RemoteFileTest : public RegistryFixture {
 protected:
  RemoteFileTest() : registry(store, quick_options(key_file())) {}
  Registry registry;
};

TEST_F(RemoteFileTest, TheBeginningOfARegistrysWeights) {
  const FakeRegistry from;
  RemoteFile file = registry.remote_weights(from.name(), true, {});
  EXPECT_EQ(file.size(), from.weights.size());
  std::string start;
  file.read_start(start, 1000);
  EXPECT_EQ(start, from.weights.substr(0, 1000));
  file.read_start(start, 5000);
  EXPECT_EQ(start, from.weights.substr(0, 5000));
  file.read_start(start, 1 << 30);
  EXPECT_EQ(start, from.weights);
  std::vector<std::string> ranges;
  for (const ServerRequest& r : from.server.requests()) {
    if (!r.header("range").empty()) ranges.push_back(r.header("range"));
  }
  EXPECT_EQ(ranges, (std::vector<std::string>{"bytes=0-999", "bytes=1000-4999", "bytes=5000-299999"}));
  EXPECT_EQ(store.list().size(), 0U);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "models")) << "nothing is kept";
}

TEST_F(RemoteFileTest, AServerWithoutRangesIsReadFromTheFront) {
  const std::string content = noise(3'000'000);
  const FaultServer server([&](const ServerRequest&) { return ServerResponse{200, {}, content}; });
  RemoteFile file = registry.remote_file(server.url() + "/a/m.gguf", true);
  std::string start;
  file.read_start(start, 700);
  EXPECT_EQ(start, content.substr(0, 700));
  file.read_start(start, 2000);
  EXPECT_EQ(start, content.substr(0, 2000));
}

TEST_F(RemoteFileTest, RedirectsAreFollowedAndPlainHttpIsRefused) {
  const std::string content = noise(5000);
  const FaultServer server([&](const ServerRequest& r) {
    if (r.target == "/m.gguf") return ServerResponse{302, {"Location: /elsewhere/m.gguf"}, {}};
    return serve_range(r, content);
  });
  RemoteFile file = registry.remote_file(server.url() + "/m.gguf", true);
  std::string start;
  file.read_start(start, 100);
  EXPECT_EQ(start, content.substr(0, 100));
  EXPECT_THROW(registry.remote_file(server.url() + "/m.gguf", false), Error);
}

TEST_F(RemoteFileTest, WhatIsNotThereIsSaid) {
  const FakeRegistry from;
  EXPECT_THROW(registry.remote_weights(from.name("v2"), true, {}), Error);
  const FaultServer server([](const ServerRequest&) { return ServerResponse{404, {}, "no"}; });
  RemoteFile file = registry.remote_file(server.url() + "/m.gguf", true);
  EXPECT_THROW(file.size(), Error);
}

TEST_F(RemoteFileTest, AnAnswerThatIsCutIsAnError) {
  const std::string content = noise(5000);
  const FaultServer server([&](const ServerRequest& r) {
    ServerResponse answer = serve_range(r, content);
    if (r.method == "GET" && !r.header("range").empty()) answer.cut_after = 50;
    return answer;
  });
  RemoteFile file = registry.remote_file(server.url() + "/m.gguf", true);
  std::string start;
  EXPECT_THROW(file.read_start(start, 1000), Error);
}

}  // namespace
}  // namespace hearth::test
