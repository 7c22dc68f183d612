#include "cli/history.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "cli/environment.h"

namespace hearth {
namespace {

constexpr size_t most_entries = 100;

constexpr uintmax_t most_bytes = 8U << 20;

// An entry is one line of the file: newlines and backslashes are escaped.
std::string escaped(const std::string& entry) {
  std::string out;
  for (const char c : entry) {
    if (c == '\n' || c == '\\') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  return out;
}

// A backslash before any other letter is itself: files written by other programs escape nothing.
std::string unescaped(const std::string& line) {
  std::string out;
  for (size_t i = 0; i < line.size(); ++i) {
    const char next = line[i] == '\\' && i + 1 < line.size() ? line[i + 1] : '\0';
    if (next == 'n' || next == '\\') ++i;
    out += next == 'n' ? '\n' : line[i];
  }
  return out;
}

}  // namespace

std::filesystem::path History::default_file() {
  const char* home = std::getenv("HOME");
  if (home == nullptr || bool_setting("NOHISTORY", false)) return {};
  return std::filesystem::path(home) / ".ollama" / "history";
}

History::History(std::filesystem::path file) : file_(std::move(file)) {
  try {
    if (file_.empty() || !std::filesystem::exists(file_)) return;
    if (std::filesystem::file_size(file_) > most_bytes) {
      throw Error(Code::io, "the file " + file_.string() + " is too long for a history", "delete it");
    }
    std::istringstream lines(read_file(file_));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) entries_.push_back(unescaped(line));
    }
  } catch (const std::exception& e) {
    give_up(e.what());
  }
  if (entries_.size() > most_entries) entries_.erase(entries_.begin(), entries_.end() - most_entries);
}

void History::give_up(const char* why) {
  fmt::print(stderr, "note: the history is kept for this session only: {}\n", why);
  file_.clear();
}

void History::add(const std::string& entry) {
  if (!enabled_ || entry.empty() || (!entries_.empty() && entries_.back() == entry)) return;
  entries_.push_back(entry);
  if (entries_.size() > most_entries) entries_.erase(entries_.begin());
  if (!file_.empty()) save();
}

void History::save() {
  std::string text;
  for (const std::string& entry : entries_) text += escaped(entry) + "\n";
  try {
    std::filesystem::create_directories(file_.parent_path());
    constexpr unsigned owner_only = 0600;
    write_file_atomic(file_, text, owner_only);
  } catch (const std::exception& e) {
    give_up(e.what());
  }
}

}  // namespace hearth
