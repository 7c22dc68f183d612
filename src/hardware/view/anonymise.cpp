#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "hardware/record.h"
#include "hardware/relevant.h"

namespace hearth {
namespace {

// FNV-1a: what goes in has so many random bits that no one gets back from 64 bits to it, and the salt keeps
// two records of one machine apart.
uint64_t hashed(std::string_view text, uint64_t salt) {
  uint64_t h = 14695981039346656037ULL ^ salt;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return h ^ (h >> 29);
}

bool hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool word_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// Length of a text of this shape at `at`; 'x' stands for a hexadecimal digit.
size_t matches(std::string_view text, size_t at, std::string_view shape) {
  if (text.size() - at < shape.size()) return 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    const char c = text[at + i];
    if (shape[i] == 'x' ? !hex(c) : c != shape[i]) return 0;
  }
  const size_t end = at + shape.size();
  return end == text.size() || !word_char(text[end]) ? shape.size() : 0;
}

size_t hex_run(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && hex(text[end])) ++end;
  return end - at;
}

class Scrubber {
 public:
  Scrubber(uint64_t salt, std::string account) : salt_(salt), account_(std::move(account)) {}

  // Ids become others, home folders and others of the account lose their names.
  std::string operator()(std::string_view text) const {
    constexpr std::string_view uuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", mac = "xx:xx:xx:xx:xx:xx";
    std::string out;
    for (size_t i = 0; i < text.size();) {
      const bool begin = i == 0 || !word_char(text[i - 1]);
      if (begin && matches(text, i, uuid) != 0) {
        out += uuid_of(text.substr(i, uuid.size()));
        i += uuid.size();
      } else if (begin && matches(text, i, mac) != 0) {
        out += "xx:xx:xx:xx:xx:xx";
        i += mac.size();
      } else if (const size_t run = begin ? hex_run(text, i) : 0; run >= 24) {
        out += fmt::format("{:016x}", hashed(text.substr(i, run), salt_));
        i += run;
      } else if (text.substr(i).starts_with("/home/")) {
        out += "/home/user";
        i = std::min(text.find_first_of("/: \t\n", i + 6), text.size());
      } else if (i != 0 && text[i - 1] == '/' && !account_.empty() && text.substr(i).starts_with(account_) &&
                 (i + account_.size() == text.size() || !word_char(text[i + account_.size()]))) {
        out += "user";
        i += account_.size();
      } else {
        out += text[i++];
      }
    }
    return out;
  }

  std::string id(std::string_view text) const { return fmt::format("{:016x}", hashed(text, salt_)); }

 private:
  std::string uuid_of(std::string_view text) const {
    const uint64_t a = hashed(text, salt_), b = hashed(text, ~salt_);
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xffff,
                       b >> 48, b & 0xffffffffffff);
  }

  uint64_t salt_;
  std::string account_;
};

// The lines of a text that `keep` keeps.
template <class Keep>
std::string lines_of(std::string_view text, Keep&& keep) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string line(text.substr(0, end));
    if (const std::string kept = keep(line); !kept.empty()) out += kept + "\n";
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

// "render:x:109:alice" without the names at its end.
std::string group_line(const std::string& line) {
  const std::string name = line.substr(0, line.find(':'));
  if (name != "render" && name != "video") return {};
  return line.substr(0, line.rfind(':') + 1);
}

std::string status_line(const std::string& line) {
  constexpr std::array kept{"Uid:", "Gid:", "Groups:", "Cpus_allowed_list:", "NoNewPrivs:", "Seccomp:"};
  const auto begins = [&](const char* word) { return line.starts_with(word); };
  return std::any_of(kept.begin(), kept.end(), begins) ? line : std::string();
}

std::string command_line(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", i), text.size());
    const std::string word = text.substr(i, end - i);
    if (relevant_kernel_argument(word)) out += (out.empty() ? "" : " ") + word;
    i = end + 1;
  }
  return out + "\n";
}

// Consoles, loops and disks say nothing of devices for computing; a few names would do to show that /dev is
// whole.
bool noise(const std::string& path) {
  static constexpr std::array<std::string_view, 8> begins{"/dev/tty", "/dev/loop", "/dev/vcs", "/dev/ram",
                                                          "/dev/sd",  "/dev/nvme", "/dev/dm-", "/dev/pty"};
  const auto numbered = [&](std::string_view word) {
    return path.starts_with(word) && path.size() > word.size() && path != "/dev/loop-control";
  };
  return std::any_of(begins.begin(), begins.end(), numbered);
}

bool well_known(const std::string& account) {
  constexpr std::array names{"root", "hearth", "ollama", "nobody", "user"};
  return std::find(names.begin(), names.end(), account) != names.end();
}

std::string anonymous_text(const std::string& path, const std::string& text, const Scrubber& scrub) {
  if (path == "/etc/group") return lines_of(text, group_line);
  if (path == "/proc/self/status") return lines_of(text, status_line);
  if (path == "/proc/cmdline") return command_line(text);
  if (path.ends_with("/unique_id") || path.ends_with("/serial_number")) return scrub.id(text) + "\n";
  return scrub(text);
}

}  // namespace

Record Record::anonymised(uint64_t salt) const {
  const Scrubber scrub(salt, well_known(account.name) ? "" : account.name);
  Record out = *this;
  if (!out.account.name.empty() && !well_known(out.account.name)) out.account.name = "user";
  out.environment.clear();
  for (const auto& [variable, value] : environment) {
    if (relevant_variable(variable))
      out.environment[variable] = variable_is_a_sign(variable) ? "1" : scrub(value);
  }
  out.entries.clear();
  for (const auto& [path, entry] : entries) {
    if (noise(path)) continue;
    Entry& copy = out.entries[scrub(path)] = entry;
    copy.text = entry.kind == Entry::Kind::file ? anonymous_text(path, entry.text, scrub) : scrub(entry.text);
  }
  out.log.lines.clear();
  for (const std::string& line : log.lines) {
    if (relevant_log_line(line)) out.log.lines.push_back(scrub(line));
  }
  for (ProbeVerdict& v : out.verdicts) {
    v.key = scrub(v.key);
    v.library = scrub(v.library);
    v.cause = scrub(v.cause);
    v.stderr_tail = scrub(v.stderr_tail);
    for (DriverReply& reply : v.replies) reply.text = scrub(reply.text);
    for (auto& override : v.overrides) override.second = scrub(override.second);
  }
  out.wanted.model = wanted.model.substr(wanted.model.rfind('/') + 1);
  return out;
}

}  // namespace hearth
