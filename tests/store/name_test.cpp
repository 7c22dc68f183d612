#include "store/name.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/error.h"

namespace hearth {
namespace {

struct Example {
  const char *text, *scheme, *host, *space, *model, *tag, *shown;
};

const Example examples[] = {
    {"m", "https", "registry.ollama.ai", "library", "m", "latest", "m:latest"},
    {"m:1b", "https", "registry.ollama.ai", "library", "m", "1b", "m:1b"},
    {"me/m:v1.0-q4_K_M", "https", "registry.ollama.ai", "me", "m", "v1.0-q4_K_M", "me/m:v1.0-q4_K_M"},
    {"localhost:5000/ns/m", "https", "localhost:5000", "ns", "m", "latest", "localhost:5000/ns/m:latest"},
    {"hf.co/user/Repo-GGUF:Q4_K_M", "https", "hf.co", "user", "Repo-GGUF", "Q4_K_M",
     "hf.co/user/Repo-GGUF:Q4_K_M"},
    {"http://example.com/ns/m:t", "http", "example.com", "ns", "m", "t", "example.com/ns/m:t"},
    {"https://registry.ollama.ai/library/m", "https", "registry.ollama.ai", "library", "m", "latest",
     "m:latest"},
    {"_a/_b/_c:_d", "https", "_a", "_b", "_c", "_d", "_a/_b/_c:_d"},
    {"host/library/m", "https", "host", "library", "m", "latest", "host/library/m:latest"},
    {"HTTP://h/n/m", "http", "h", "n", "m", "latest", "h/n/m:latest"},
};

TEST(ModelName, TakesTextApartFromTheRight) {
  for (const Example& example : examples) {
    const auto name = ModelName::parse(example.text);
    ASSERT_TRUE(name) << example.text;
    EXPECT_EQ(name->scheme, example.scheme) << example.text;
    EXPECT_EQ(name->host, example.host) << example.text;
    EXPECT_EQ(name->space, example.space) << example.text;
    EXPECT_EQ(name->model, example.model) << example.text;
    EXPECT_EQ(name->tag, example.tag) << example.text;
    EXPECT_EQ(name->short_display(), example.shown);
    const auto again = ModelName::parse(name->full_display());
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->matches(*name));
  }
}

TEST(ModelName, RefusesWhatIsNoName) {
  const std::string long_part(81, 'a');
  const std::string bad[] = {"",
                             ":",
                             "m:",
                             "/m",
                             "a//m",
                             "m/",
                             "a/b/c/d",
                             "http://",
                             "ftp://h/n/m",
                             "h/n:x/m:t",
                             "-x",
                             ".m",
                             "..",
                             "../m",
                             "a/../m",
                             "m:..",
                             "a b",
                             " m",
                             "m ",
                             "m\n",
                             "m@sha256:0123",
                             "ns.dot/m",
                             "h/ns.dot/m",
                             "mod\xc3\xa9l",
                             "a\\b",
                             "m:a:b",
                             "a/b/c/d:e",
                             std::string("m\0", 2),
                             long_part,
                             "m:" + long_part,
                             long_part + "/m",
                             std::string(351, 'h') + "/n/m",
                             "/etc/passwd",
                             "~/m",
                             "%2e%2e/m"};
  for (const std::string& text : bad) {
    EXPECT_FALSE(ModelName::parse(text)) << text;
    EXPECT_THROW(ModelName::parse_or_throw(text), Error);
  }
  EXPECT_TRUE(ModelName::parse(std::string(80, 'a')));
  EXPECT_TRUE(ModelName::parse(std::string(350, 'h') + "/n/m"));
}

TEST(ModelName, MatchesWithoutRegardToCase) {
  const auto name = ModelName::parse_or_throw("Me/Model:Q4_K_M");
  EXPECT_TRUE(name.matches(ModelName::parse_or_throw("me/model:q4_k_m")));
  EXPECT_FALSE(name.matches(ModelName::parse_or_throw("me/model:q4_k_s")));
  EXPECT_FALSE(name.matches(ModelName::parse_or_throw("model:q4_k_m")));
}

TEST(ModelName, ComesBackFromItsPath) {
  const auto name = ModelName::parse_or_throw("h:1/n/m:t");
  EXPECT_EQ(name.path(), std::filesystem::path("h:1/n/m/t"));
  ASSERT_TRUE(ModelName::from_path(name.path()));
  EXPECT_TRUE(ModelName::from_path(name.path())->matches(name));
  for (const char* bad :
       {"h/n/m", "h/n/m/t/x", ".hidden/n/m/t", "h/n/m/.DS_Store", "h/n/../t", "/h/n/m", ""}) {
    EXPECT_FALSE(ModelName::from_path(bad)) << bad;
  }
}

// No text, however odd, becomes a path that leaves the folder it is put in.
TEST(ModelName, NoPathLeavesTheStore) {
  std::mt19937 random(7);
  const std::string_view alphabet = "./:\\~-_aZ0\n @%";
  std::uniform_int_distribution<size_t> letter(0, alphabet.size() - 1), length(0, 12);
  int valid = 0;
  for (int round = 0; round < 200000; ++round) {
    std::string text(length(random), ' ');
    for (char& c : text) c = alphabet[letter(random)];
    const auto name = ModelName::parse(text);
    if (!name) continue;
    ++valid;
    size_t parts = 0;
    for (const auto& part : name->path()) {
      ++parts;
      EXPECT_TRUE(!part.empty() && part.string().front() != '.' && part != "/") << text;
    }
    EXPECT_EQ(parts, 4U) << text;
    EXPECT_EQ(name->path().lexically_normal(), name->path());
  }
  EXPECT_GT(valid, 1000);
}

}  // namespace
}  // namespace hearth
