// Transfers that meet cut connections, wrong bytes, silence, and their own past.
#include "store/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry_fixture.h"

namespace hearth {
namespace {

using std::chrono::milliseconds;
using test::FakeRegistry;
using test::noise;
using test::quick_options;
using test::serve_range;
using test::ServerRequest;
using test::ServerResponse;
using testing::HasSubstr;

class DownloadTest : public test::RegistryFixture {};

TEST_F(DownloadTest, SurvivesCutsAndFailures) {
  const std::string weights = noise(400'000, 3);
  std::atomic<int> count{0};
  const FakeRegistry from(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (!request.target.ends_with(digest_of(weights).text()) || request.header("range").empty())
      return std::nullopt;
    const int n = ++count;
    if (n % 5 == 1) return ServerResponse{500};
    if (n % 5 == 2) return ServerResponse{200, {}, weights};  // no range: but this server has ranges
    ServerResponse response = serve_range(request, weights);
    if (n % 5 == 3) response.cut_after = 7'000;
    if (n % 5 == 4) response.cut_after = 0;
    return response;
  });
  pull(from);
  expect_pulled(from);
}

TEST_F(DownloadTest, ServersWithoutRangesSendAllAtOnce) {
  const std::string weights = noise(300'000, 4);
  std::atomic<int> count{0};
  const FakeRegistry from(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.method == "HEAD" || !request.target.ends_with(digest_of(weights).text())) return std::nullopt;
    ServerResponse response{200, {}, weights};
    if (++count % 3 != 0) response.cut_after = 150'000 + 1000 * static_cast<size_t>(count);
    return response;
  });
  pull(from);
  expect_pulled(from);
}

TEST_F(DownloadTest, StallsAreAskedForAgain) {
  const std::string weights = noise(100'000, 5);
  std::atomic<int> count{0};
  const FakeRegistry from(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (!request.target.ends_with(digest_of(weights).text()) || request.header("range").empty())
      return std::nullopt;
    ServerResponse response = serve_range(request, weights);
    if (++count == 2) response.delay = std::chrono::seconds(20);
    if (count == 3) {
      response.burst = response.body.size() / 2;
      response.pause = std::chrono::seconds(20);
    }
    return response;
  });
  const auto begin = std::chrono::steady_clock::now();
  pull(from);
  expect_pulled(from);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_GE(count, 4);
}

TEST_F(DownloadTest, WrongBytesNeverGetAName) {
  std::string wrong = noise(100'000, 6);
  const std::string weights = wrong;
  wrong[50'000] = static_cast<char>(wrong[50'000] ^ 1);
  FakeRegistry from(weights);
  from.blobs[digest_of(weights).text()] = wrong;
  const Error error = error_of(from);
  EXPECT_EQ(error.code, Code::corrupt_file);
  EXPECT_THAT(error.message, HasSubstr("digest mismatch"));
  EXPECT_EQ(test::files_below(store.blobs_folder()), 0U);
  EXPECT_TRUE(store.list().empty());
  from.blobs[digest_of(weights).text()] = weights;
  pull(from);
  expect_pulled(from);
}

TEST_F(DownloadTest, WrongRangesAndSizesEndInAnError) {
  const std::string weights = noise(100'000, 7);
  RegistryOptions options = quick_options();
  options.download.tries = 2;
  const FakeRegistry shifted(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.header("range").empty()) return std::nullopt;
    return ServerResponse{206, {"Content-Range: bytes 1-2/3"}, "xx"};
  });
  EXPECT_THAT(error_of(shifted, options).message, HasSubstr("another range"));
  const FakeRegistry enormous(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.method != "HEAD") return std::nullopt;
    return ServerResponse{200, {"Content-Length: 4611686018427387904"}};
  });
  EXPECT_THAT(error_of(enormous, options).message, HasSubstr("not enough disk space"));
  EXPECT_TRUE(store.list().empty());
}

TEST_F(DownloadTest, ResumesWhereItStopped) {
  const std::string weights = noise(400'000, 8);
  std::stop_source stop;
  std::atomic<bool> slow{true};
  std::atomic<size_t> served{0};
  const FakeRegistry from(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (!request.target.ends_with(digest_of(weights).text()) || request.header("range").empty())
      return std::nullopt;
    ServerResponse response = serve_range(request, weights);
    if (slow) {
      response.burst = 2'000;
      response.pause = milliseconds(10);
    } else {
      served += response.body.size();
    }
    return response;
  });
  uint64_t reached = 0;
  Registry registry(store, quick_options());
  const auto watch = [&](const TransferProgress& line) {
    if (!line.digest) return;
    reached = line.completed;
    if (reached > 150'000) stop.request_stop();
  };
  try {
    registry.pull(from.name(), true, watch, stop.get_token());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, Code::cancelled);
  }
  EXPECT_EQ(registry.downloads().running(), 0U);
  EXPECT_TRUE(store.list().empty());
  const auto partial = store.blob_path(digest_of(weights)).string() + "-partial";
  EXPECT_EQ(std::filesystem::file_size(partial), weights.size());
  const Json state = json::parse(read_file(partial + "-0"));
  EXPECT_EQ(state.at("N").as_int64(), 0);
  EXPECT_EQ(state.at("Offset").as_int64(), 0);
  EXPECT_EQ(state.at("Size").as_int64(), 50'000);
  EXPECT_GT(state.at("Completed").as_int64(), 0);
  slow = false;
  pull(from);
  expect_pulled(from);
  EXPECT_GE(lines[1].completed, 150'000U);
  EXPECT_LE(served, weights.size() - 150'000);
}

TEST_F(DownloadTest, DamagedPartStatesAreNotBelieved) {
  const FakeRegistry from;
  const auto partial = store.blob_path(digest_of(from.weights)).string() + "-partial";
  for (const char* state :
       {"", "{", "[]", R"({"N":0,"Offset":0,"Size":300000,"Completed":300001})",
        R"({"N":0,"Offset":5,"Size":299995,"Completed":7})",
        R"({"N":0,"Offset":0,"Size":9223372036854775807,"Completed":1})",
        R"({"N":0,"Offset":0,"Size":0,"Completed":0})", R"({"N":-1,"Offset":0,"Size":1,"Completed":0})"}) {
    test::write_file(partial, std::string(from.weights.size(), 'x'));
    test::write_file(partial + "-0", state);
    test::write_file(partial + "-7", "{}");
    pull(from);
    expect_pulled(from);
    store.remove(from.name());
  }
}

TEST_F(DownloadTest, PullsOfOneBlobShareATransfer) {
  const std::string weights = noise(300'000, 12);
  std::atomic<size_t> served{0};
  const FakeRegistry from(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (!request.target.ends_with(digest_of(weights).text()) || request.header("range").empty())
      return std::nullopt;
    ServerResponse response = serve_range(request, weights);
    response.burst = 4'000;
    response.pause = milliseconds(10);
    served += response.body.size();
    return response;
  });
  Registry registry(store, quick_options());
  std::stop_source first_leaves;
  std::atomic<int> cancelled{0}, succeeded{0}, seen{0};
  const auto client = [&](const std::stop_token& stop) {
    bool counted = false;
    try {
      registry.pull(
          from.name(), true,
          [&](const TransferProgress& line) {
            if (line.completed > 20'000 && !std::exchange(counted, true)) ++seen;
            if (seen == 3) first_leaves.request_stop();
          },
          stop);
      ++succeeded;
    } catch (const Error& error) {
      EXPECT_EQ(error.code, Code::cancelled) << error.what();
      ++cancelled;
    }
  };
  std::vector<std::thread> clients;
  clients.emplace_back(client, first_leaves.get_token());
  clients.emplace_back(client, std::stop_token());
  clients.emplace_back(client, std::stop_token());
  for (std::thread& thread : clients) thread.join();
  EXPECT_EQ(cancelled, 1);
  EXPECT_EQ(succeeded, 2);
  EXPECT_EQ(served, weights.size());
  expect_pulled(from);
}

TEST_F(DownloadTest, CancellingIsImmediate) {
  const FakeRegistry from(noise(10), [](const ServerRequest&) {
    ServerResponse response{200};
    response.delay = std::chrono::seconds(30);
    return response;
  });
  RegistryOptions options = quick_options();
  options.download.stall = std::chrono::seconds(30);
  std::stop_source stop;
  std::thread canceller([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stop.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(pull(from, options, stop.get_token()), Error);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  canceller.join();
}

}  // namespace
}  // namespace hearth
