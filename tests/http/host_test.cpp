#include "http/host.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

struct Case {
  const char *text, *scheme, *host;
  uint16_t port;
  const char* path;
};

TEST(HostAddress, IsReadAsTheReferenceReadsIt) {
  const Case cases[] = {{"", "http", "127.0.0.1", 11434, ""},
                        {"0.0.0.0", "http", "0.0.0.0", 11434, ""},
                        {"1.2.3.4", "http", "1.2.3.4", 11434, ""},
                        {"example.com", "http", "example.com", 11434, ""},
                        {":1234", "http", "", 1234, ""},
                        {":66000", "http", "", 11434, ""},
                        {":-1", "http", "", 11434, ""},
                        {"::1", "http", "::1", 11434, ""},
                        {"[::1]", "http", "::1", 11434, ""},
                        {"[::1]:1337", "http", "::1", 1337, ""},
                        {"http://1.2.3.4", "http", "1.2.3.4", 80, ""},
                        {"https://1.2.3.4", "https", "1.2.3.4", 443, ""},
                        {"https://example.com/ollama", "https", "example.com", 443, "/ollama"},
                        {" \"1.2.3.4\" ", "http", "1.2.3.4", 11434, ""},
                        {"unix:/run/hearth.sock", "unix", "", 11434, "/run/hearth.sock"}};
  for (const Case& c : cases) {
    const HostAddress a = HostAddress::parse(c.text);
    EXPECT_EQ(a.scheme, c.scheme) << c.text;
    EXPECT_EQ(a.host, c.host) << c.text;
    EXPECT_EQ(a.port, c.port) << c.text;
    EXPECT_EQ(a.path, c.path) << c.text;
  }
  EXPECT_FALSE(HostAddress::parse(":66000").warning.empty());
}

TEST(HostAddress, IsDialledWhereAServerCanBe) {
  EXPECT_EQ(HostAddress::parse(":1234").dial(), "http://127.0.0.1:1234");
  EXPECT_EQ(HostAddress::parse("0.0.0.0").dial(), "http://127.0.0.1:11434");
  EXPECT_EQ(HostAddress::parse("[::1]").dial(), "http://[::1]:11434");
  EXPECT_EQ(HostAddress::parse("https://example.com/ollama/").dial(), "https://example.com:443/ollama");
}

}  // namespace
}  // namespace hearth
