#include "store/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry_fixture.h"
#include "store/registry/session.h"
#include "store/registry/signing_key.h"

namespace hearth {
namespace {

using std::chrono::milliseconds;
using test::FakeRegistry;
using test::FaultServer;
using test::noise;
using test::quick_options;
using test::serve_range;
using test::ServerRequest;
using test::ServerResponse;
using testing::ElementsAre;
using testing::HasSubstr;

class RegistryTest : public test::RegistryFixture {};

TEST_F(RegistryTest, PullsFromAPlainRegistry) {
  const FakeRegistry from;
  pull(from);
  expect_pulled(from);
  EXPECT_THAT(statuses(), ElementsAre("pulling manifest", "pulling " + digest_of(from.weights).brief(),
                                      "pulling " + digest_of(from.config).brief(), "verifying sha256 digest",
                                      "writing manifest", "success"));
  uint64_t before = 0;
  for (const auto& line : lines) {
    if (line.digest != digest_of(from.weights)) continue;
    EXPECT_GE(line.completed, before);
    EXPECT_EQ(line.total, from.weights.size());
    before = line.completed;
  }
  EXPECT_EQ(before, from.weights.size());
  const auto requests = from.server.requests();
  EXPECT_EQ(requests.front().header("accept"), media::manifest);
  EXPECT_THAT(requests.front().header("user-agent"),
              testing::MatchesRegex("ollama/[0-9.]+ \\([a-z0-9_]+ linux\\).*"));

  pull(from);  // all is there: one line each, complete at once
  EXPECT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines[1].completed, from.weights.size());
  EXPECT_EQ(from.server.count("HEAD " + from.blob_target()), 1U);
  EXPECT_EQ(statuses().at(5), "removing unused layers");
}

TEST_F(RegistryTest, ReplacesAModelAndItsLayers) {
  FakeRegistry old_one;
  pull(old_one);
  const std::string newer = noise(1000, 9);
  old_one.blobs[digest_of(newer).text()] = newer;
  old_one.manifest = fmt::format(R"({{"layers":[{{"mediaType":"{}","digest":"{}","size":1000}}]}})",
                                 media::model, digest_of(newer).text());
  pull(old_one);
  EXPECT_FALSE(store.blob_size(digest_of(old_one.weights)));
  EXPECT_EQ(store.blob_size(digest_of(newer)), 1000U);
}

TEST_F(RegistryTest, FollowsARedirectWithoutTheToken) {
  const std::string weights = noise(200'000);
  FaultServer elsewhere([&](const ServerRequest& request) { return serve_range(request, weights); });
  const FakeRegistry from(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.target.starts_with("/token")) return ServerResponse{200, {}, R"({"token":"t0ken"})"};
    if (request.header("authorization") != "Bearer t0ken") {
      return ServerResponse{401,
                            {"WWW-Authenticate: Bearer realm=\"http://" + request.header("host") +
                             "/token\",service=\"s\",scope=\"repository:ns/m:pull\""}};
    }
    if (request.method == "GET" && request.target.ends_with(digest_of(weights).text())) {
      return ServerResponse{307, {"Location: " + elsewhere.url() + "/signed?x=1"}};
    }
    return std::nullopt;
  });
  pull(from);
  expect_pulled(from);
  EXPECT_GE(elsewhere.count("GET /signed?x=1"), 4U);
  for (const auto& request : elsewhere.requests()) {
    EXPECT_EQ(request.header("authorization"), "");
    EXPECT_THAT(request.header("range"), testing::StartsWith("bytes="));
  }
  // The token was asked for once, with a signature of the address.
  ASSERT_EQ(from.server.count("GET /token"), 1U);
  for (const auto& request : from.server.requests()) {
    if (!request.target.starts_with("/token")) continue;
    EXPECT_THAT(request.target, HasSubstr("scope=repository%3Ans%2Fm%3Apull"));
    EXPECT_THAT(request.target, HasSubstr("service=s&ts="));
    const SigningKey key = SigningKey::load_or_create(key_file());
    const std::string text =
        fmt::format("GET,{}{},{}", from.server.url(), request.target, base64(digest_of("").hex()));
    EXPECT_EQ(request.header("authorization"), key.public_key() + ":" + key.sign(text));
  }
}

TEST_F(RegistryTest, AsksAgainWhenAnAddressExpires) {
  const std::string weights = noise(200'000);
  std::atomic<int> places{0}, refused{0};
  FaultServer elsewhere([&](const ServerRequest& request) -> ServerResponse {
    if (request.target != "/place/2") {
      ++refused;
      return {403};
    }
    return serve_range(request, weights);
  });
  const FakeRegistry from(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (request.method != "GET" || !request.target.ends_with(digest_of(weights).text())) return std::nullopt;
    return ServerResponse{307, {fmt::format("Location: {}/place/{}", elsewhere.url(), ++places)}};
  });
  pull(from);
  expect_pulled(from);
  EXPECT_EQ(places, 2);
  EXPECT_GE(refused, 1);
}

TEST_F(RegistryTest, TheContentMayMoveAgain) {
  const std::string weights = noise(200'000);
  FaultServer last([&](const ServerRequest& request) { return serve_range(request, weights); });
  FaultServer middle([&](const ServerRequest&) {
    return ServerResponse{302, {"Location: " + last.url() + "/c"}};
  });
  const FakeRegistry from(weights, [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    if (!request.target.ends_with(digest_of(weights).text())) return std::nullopt;
    return ServerResponse{307, {"Location: " + middle.url() + "/b"}};
  });
  pull(from);
  expect_pulled(from);
  EXPECT_LE(middle.count("GET"), 4U);
}

TEST_F(RegistryTest, RefusesWhatIsDenied) {
  const auto denying = [](const std::string& realm) {
    return [realm](const ServerRequest& request) -> std::optional<ServerResponse> {
      if (request.target.starts_with("/token")) return ServerResponse{200, {}, R"({"token":"wrong"})"};
      const std::string at = realm.empty() ? "http://" + request.header("host") + "/token" : realm;
      return ServerResponse{401, {"WWW-Authenticate: Bearer realm=\"" + at + "\",service=\"s\",scope=\"x\""}};
    };
  };
  const FakeRegistry twice(noise(10), denying(""));
  EXPECT_EQ(error_of(twice).message, "unauthorized: access denied");
  EXPECT_EQ(twice.server.count("GET /v2"), 2U);
  // Another host would be given our signature and the token that it brings.
  FaultServer thief([](const ServerRequest&) { return ServerResponse{200, {}, R"({"token":"x"})"}; });
  const FakeRegistry foreign(noise(10), denying(thief.url() + "/token"));
  EXPECT_THAT(error_of(foreign).message, HasSubstr("another host"));
  EXPECT_TRUE(thief.requests().empty());
  const FakeRegistry basic(noise(10), [](const ServerRequest&) {
    return ServerResponse{401, {"WWW-Authenticate: Basic realm=\"x\""}};
  });
  EXPECT_EQ(error_of(basic).message, "unauthorized: access denied");
}

TEST_F(RegistryTest, ReportsWhatTheRegistrySays) {
  FakeRegistry from;
  Registry registry(store, quick_options());
  try {
    registry.pull(from.name("other"), true, [](const TransferProgress&) {}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, Code::not_found);
    EXPECT_EQ(error.message, "pull model manifest: file does not exist");
  }
  const FakeRegistry old(noise(10), [](const ServerRequest&) {
    return ServerResponse{412, {}, "{\"errors\":[{\"message\":\"requires\\na newer version\"}]}"};
  });
  EXPECT_EQ(error_of(old).message, "pull model manifest: 412: requires a newer version");
  const FakeRegistry broken(noise(10), [](const ServerRequest&) {
    return ServerResponse{500, {}, "oops\n"};
  });
  EXPECT_EQ(error_of(broken).message, "pull model manifest: 500: oops");
  const FakeRegistry garbage(noise(10), [](const ServerRequest&) {
    return ServerResponse{200, {}, "<html>"};
  });
  EXPECT_EQ(error_of(garbage).code, Code::corrupt_file);
  const FakeRegistry huge(noise(10), [](const ServerRequest&) {
    return ServerResponse{200, {}, std::string(5 << 20, ' ')};
  });
  EXPECT_EQ(error_of(huge).code, Code::corrupt_file);
  const FakeRegistry loops(noise(10), [](const ServerRequest& request) {
    return ServerResponse{302, {"Location: " + request.target + "x"}};
  });
  EXPECT_THAT(error_of(loops).message, HasSubstr("redirects more than 10 times"));
  auto plain = from.name();
  plain.scheme = "http";
  EXPECT_THROW(registry.pull(plain, false, [](const TransferProgress&) {}, {}), Error);
  EXPECT_TRUE(store.list().empty());
}

TEST_F(RegistryTest, PullsAFileFromAnAddress) {
  const std::string content = "GGUF" + noise(150'000, 13);
  FaultServer content_host([&](const ServerRequest& request) { return serve_range(request, content); });
  FaultServer server([&](const ServerRequest& request) -> ServerResponse {
    if (request.target.starts_with("/page.gguf")) return serve_range(request, "<!DOCTYPE html>");
    if (request.target.starts_with("/wrong.gguf")) {
      auto response = serve_range(request, content);
      response.headers.push_back("ETag: \"" + digest_of("else").hex() + "\"");
      return response;
    }
    if (request.target != "/a%20b/My%20Model-Q4_K_M.gguf?download=true") return {404};
    return {
        302,
        {"Location: " + content_host.url() + "/c", "X-Linked-Etag: \"" + digest_of(content).hex() + "\""}};
  });
  const std::string address = server.url() + "/a%20b/My%20Model-Q4_K_M.gguf?download=true";
  EXPECT_TRUE(Registry::is_file_address(address));
  EXPECT_FALSE(Registry::is_file_address("hf.co/a/b.gguf"));
  EXPECT_FALSE(Registry::is_file_address("https://hf.co/a/b"));
  const ModelName name = Registry::name_of_file(address);
  EXPECT_EQ(name.short_display(), "My-20Model-Q4_K_M:latest");
  Registry registry(store, quick_options());
  const auto note = [this](const TransferProgress& line) { lines.push_back(line); };
  EXPECT_THROW(registry.pull_file(address, name, false, {}, note, {}), Error);
  registry.pull_file(address, name, true,
                     [&](const std::filesystem::path& path) {
                       EXPECT_EQ(read_file(path), content);
                       ModelConfig config;
                       config.model_family = "llama";
                       return config;
                     },
                     note, {});
  const auto model = store.get(name);
  EXPECT_EQ(model.config.model_family, "llama");
  EXPECT_EQ(model.config.model_format, "gguf");
  EXPECT_EQ(read_file(read_parts(store, model).model), content);
  EXPECT_EQ(lines.back().status, "success");
  EXPECT_THROW(registry.pull_file(server.url() + "/page.gguf", name, true, {}, note, {}), Error);
  EXPECT_FALSE(store.blob_size(digest_of("<!DOCTYPE html>")));
  EXPECT_THROW(registry.pull_file(server.url() + "/wrong.gguf", name, true, {}, note, {}), Error);
  EXPECT_THROW(registry.pull_file(server.url() + "/none.gguf", name, true, {}, note, {}), Error);
  EXPECT_EQ(store.list().size(), 1U);
}

// Keeps what is pushed to it, as a plain registry with its own addresses for uploads.
TEST_F(RegistryTest, PushesWhatTheOtherSideLacks) {
  std::mutex mutex;
  std::map<std::string, std::string> uploads;
  std::string manifest, mounted;
  std::atomic<int> failures{2};
  FakeRegistry to(noise(1), [&](const ServerRequest& request) -> std::optional<ServerResponse> {
    const std::lock_guard lock(mutex);
    if (request.method == "POST") {
      mounted += request.target.substr(request.target.find("uploads/") + 8) + " ";
      return ServerResponse{202, {"Location: /upload/start?state=1"}};
    }
    if (request.method == "PATCH") {
      if (failures-- > 0) return ServerResponse{503};
      const auto begin = static_cast<size_t>(std::atoll(request.header("content-range").c_str()));
      std::string& upload = uploads["now"];
      if (begin == 0) upload.clear();
      if (upload.size() != begin) return ServerResponse{416};
      upload += request.body;
      return ServerResponse{202, {"Location: /upload/next?state=2"}};
    }
    if (request.method == "PUT" && request.target.starts_with("/upload/")) {
      EXPECT_THAT(request.target,
                  testing::MatchesRegex(".*\\?state=2&digest=sha256%3A[0-9a-f]+&etag=[0-9a-f]+-[0-9]+"));
      const std::string digest = request.target.substr(request.target.find("sha256%3A") + 9, 64);
      EXPECT_EQ(digest_of(uploads["now"]).hex(), digest);
      uploads[digest] = uploads["now"];
      return ServerResponse{201};
    }
    if (request.method == "PUT") {
      manifest = request.body;
      EXPECT_EQ(request.header("content-type"), media::manifest);
      return ServerResponse{201};
    }
    return std::nullopt;
  });
  const std::string weights = noise(130'000, 14);
  const Manifest pushed = test::install(store, to.name().full_display(), weights, "Be brief.");
  to.blobs[digest_of("Be brief.").text()] = "Be brief.";  // is there already
  Registry registry(store, quick_options());
  registry.push(to.name(), true, [this](const TransferProgress& line) { lines.push_back(line); }, {});
  EXPECT_EQ(manifest, pushed.bytes);
  EXPECT_EQ(uploads[digest_of(weights).hex()], weights);
  EXPECT_EQ(uploads.count(digest_of("Be brief.").hex()), 0U);
  EXPECT_EQ(statuses().front(), "retrieving manifest");
  EXPECT_EQ(statuses().back(), "success");
  EXPECT_THROW(registry.push(to.name("none"), true, [](const TransferProgress&) {}, {}), Error);
}

TEST(ChallengeTest, TakesTheHeaderApart) {
  const auto challenge = Challenge::parse(R"(Bearer realm="https://h/token",service="s",scope="a b")");
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->realm, "https://h/token");
  EXPECT_EQ(challenge->service, "s");
  EXPECT_EQ(challenge->scope, "a b");
  for (const char* bad :
       {"", "Bearer", "Basic realm=\"x\"", "Bearer realm=", "Bearer realm=\"x", "Bearer xrealm=\"x\""}) {
    EXPECT_FALSE(Challenge::parse(bad)) << bad;
  }
}

TEST(SigningKeyTest, IsMadeOnceAndReadAgain) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "home" / "id_ed25519";
  const std::string known = SigningKey::load_or_create(file).public_key();
  const SigningKey again = SigningKey::load_or_create(file);
  EXPECT_EQ(again.public_key(), known);
  EXPECT_EQ(read_file(file.string() + ".pub"), "ssh-ed25519 " + known + "\n");
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(again.sign("x"), SigningKey::load_or_create(file).sign("x"));
  EXPECT_NE(again.sign("x"), again.sign("y"));
  for (const std::string& bad : {std::string("no key"), read_file(file).substr(0, 200), std::string()}) {
    test::write_file(file, bad);
    EXPECT_THROW(SigningKey::load_or_create(file), Error);
  }
}

}  // namespace
}  // namespace hearth
