#include "server/http/access.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

AccessRules rules(const std::string& extra = "", const std::string& token = "") {
  std::vector<std::string> warnings;
  return {extra, true, token, warnings};
}

TEST(Access, PagesOfThisMachineAndKnownAppsMayAsk) {
  const AccessRules r = rules();
  for (const char* origin : {"http://localhost", "https://localhost:3000", "http://127.0.0.1:8080",
                             "http://0.0.0.0:1", "app://x", "tauri://localhost", "vscode-webview://abc"}) {
    EXPECT_TRUE(r.allows_origin(origin)) << origin;
  }
  for (const char* origin : {"http://example.com", "http://localhost.example.com",
                             "https://127.0.0.1.evil.net", "chrome-extension://x", "null"}) {
    EXPECT_FALSE(r.allows_origin(origin)) << origin;
  }
  EXPECT_TRUE(rules("chrome-extension://*, http://10.0.0.1").allows_origin("chrome-extension://x"));
}

TEST(Access, WrongOriginsAreSkippedAndSaid) {
  std::vector<std::string> warnings;
  const AccessRules r("example.com,http://*.a.*,http://b", true, "", warnings);
  EXPECT_EQ(warnings.size(), 2U);
  EXPECT_TRUE(r.allows_origin("http://b"));
}

TEST(Access, NamesThatAreNotOursAreRefusedOnLoopback) {
  const AccessRules r = rules();
  for (const char* host : {"localhost:11434", "127.0.0.1", "192.168.1.5:80", "[::1]:11434", "", "box.local",
                           "x.internal", "0.0.0.0"}) {
    EXPECT_TRUE(r.allows_host(host)) << host;
  }
  for (const char* host : {"evil.com", "8.8.8.8", "localhost.evil.com:11434"})
    EXPECT_FALSE(r.allows_host(host)) << host;
}

TEST(Access, PreflightIsAnsweredAndAForeignOriginIsNot) {
  const AccessRules r = rules();
  const auto ok = r.judge("OPTIONS", "127.0.0.1:11434", "http://localhost:3000", "", "");
  EXPECT_EQ(ok.status, 204);
  EXPECT_EQ(ok.headers.front().second, "http://localhost:3000");
  EXPECT_EQ(r.judge("GET", "127.0.0.1:11434", "http://evil.com", "", "").status, 403);
  EXPECT_EQ(r.judge("GET", "evil.com", "", "", "").status, 403);
  EXPECT_EQ(r.judge("GET", "127.0.0.1:11434", "", "", "").status, 0);
  const auto same = r.judge("POST", "box.local:11434", "http://box.local:11434", "", "");
  EXPECT_EQ(same.status, 0);
  EXPECT_TRUE(same.headers.empty());
}

TEST(Access, ATokenIsAskedForWhereThereIsOne) {
  const AccessRules r = rules("", "secret");
  EXPECT_EQ(r.judge("GET", "localhost", "", "", "").status, 401);
  EXPECT_EQ(r.judge("GET", "localhost", "", "Bearer wrong!", "").status, 401);
  EXPECT_EQ(r.judge("GET", "localhost", "", "Bearer secret", "").status, 0);
  EXPECT_EQ(r.judge("GET", "localhost", "", "", "secret").status, 0);
}

}  // namespace
}  // namespace hearth
