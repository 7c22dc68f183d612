#include "text/grammar/formats.h"

#include <fmt/format.h>

#include <string>
#include <unordered_map>

namespace hearth::grammar {

namespace {

// RFC 3339, with the lengths of the months; 29 February only in leap years (divisible by 4, whole centuries
// by 400).
const std::string date =
    "((?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|"
    "02-(?:0[1-9]|1\\d|2[0-8])))|"
    "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)";
const std::string time =
    "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const std::string byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const std::string ipv4 = byte + "(?:\\." + byte + "){3}";
const std::string label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const std::string hostname = label + "(?:\\." + label + "){0,8}";
const std::string hex4 = "[0-9A-Fa-f]{1,4}";

// All groups, or "::" for some of them.
std::string ipv6() {
  std::string ways = "(?:" + hex4 + ":){7}" + hex4 + "|::";
  for (int before = 0; before <= 6; ++before) {
    // `before` groups, "::", up to 7 - before groups more.
    std::string front;
    if (before > 0) front = fmt::format("(?:{}:){{{}}}{}", hex4, before - 1, hex4);
    ways += fmt::format("|{}::{}(?::{}){{0,{}}}", front, hex4, hex4, 6 - before);
    if (before > 0) ways += "|" + front + "::";
  }
  ways += "|(?:" + hex4 + ":){6}" + hex4 + "::";
  return "(?:" + ways + ")";
}

// Prefixes of whole bytes, so that no bit is set behind the prefix.
std::string ipv4_network() {
  return "(?:" + byte + "\\.0\\.0\\.0/8|" + byte + "\\." + byte + "\\.0\\.0/16|" + byte + "(?:\\." + byte +
         "){2}\\.0/24|" + ipv4 + "/32)";
}

// ISO 8601: weeks, or some of years … seconds in their order.
std::string duration() {
  const std::string n = "\\d{1,6}";
  const std::string clock = "(?:" + n + "H(?:" + n + "M)?(?:" + n + "(?:\\.\\d{1,6})?S)?|" + n + "M(?:" + n +
                            "(?:\\.\\d{1,6})?S)?|" + n + "(?:\\.\\d{1,6})?S)";
  const std::string days =
      "(?:" + n + "Y(?:" + n + "M)?(?:" + n + "D)?|" + n + "M(?:" + n + "D)?|" + n + "D)";
  return "P(?:" + n + "W|" + days + "(?:T" + clock + ")?|T" + clock + ")";
}

std::unordered_map<std::string_view, std::string> table() {
  const std::string uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
  const auto uuid_of = [](char version) {
    return std::string("[0-9a-f]{8}-[0-9a-f]{4}-") + version + "[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
  };
  const std::string email = "[A-Za-z0-9_+-]+(?:\\.[A-Za-z0-9_+-]+)*@" + label + "(?:\\." + label + "){1,8}";
  const std::string path = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*";
  const std::string uri = "[A-Za-z][A-Za-z0-9+.-]*://" + hostname + "(?::\\d{1,4})?(?:/" + path + ")?(?:\\?" +
                          path + ")?(?:#" + path + ")?";
  std::unordered_map<std::string_view, std::string> patterns = {
      {"date", date},
      {"time", time},
      {"date-time", date + "T" + time},
      {"duration", duration()},
      {"uuid", uuid},
      {"email", email},
      {"idn-email", email},
      {"hostname", hostname},
      {"idn-hostname", hostname},
      {"ipv4", ipv4},
      {"ipv6", ipv6()},
      {"ipvanyaddress", "(?:" + ipv4 + "|" + ipv6() + ")"},
      {"ipv4network", ipv4_network()},
      {"ipv6network",
       "(?:" + ipv6() + "/128|" + hex4 + "::/16|(?:" + hex4 + ":){2}:/32|(?:" + hex4 + ":){4}:/64)"},
      {"uri", uri},
      {"iri", uri},
      {"base64url", "(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}(?:==)?|[A-Za-z0-9_-]{3}=?)?"},
      {"base64", "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"},
  };
  patterns["byte"] = patterns["base64"];
  static constexpr std::string_view uuids[] = {"uuid1", "uuid3", "uuid4", "uuid5", "uuid6", "uuid7", "uuid8"};
  for (const std::string_view name : uuids) patterns[name] = uuid_of(name.back());
  for (const char* described :
       {"password", "binary", "path", "file-path", "directory-path", "textarea", "markdown"})
    patterns[described] = "";
  for (auto& [name, pattern] : patterns)
    if (!pattern.empty()) pattern = fmt::format("^(?:{})$", pattern);
  return patterns;
}

}  // namespace

std::string_view known_equivalent(std::string_view pattern) {
  // What Pydantic writes for a decimal number in a string, which only says that there must be a digit.
  if (pattern == R"(^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$)") return R"(^[+-]?(?:\d+\.?\d*|\.\d+)$)";
  return pattern;
}

std::optional<std::string_view> format_pattern(std::string_view format) {
  static const std::unordered_map<std::string_view, std::string> patterns = table();
  const auto found = patterns.find(format);
  if (found == patterns.end()) return std::nullopt;
  return found->second;
}

}  // namespace hearth::grammar
