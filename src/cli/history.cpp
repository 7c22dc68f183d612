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

// An entry is one line of the file: newlines and backslashes are escaped.
std::string escaped(const std::string& entry) {
  std::string out;
  for (const char c : entry) out += c == '\n' ? "\\n" : c == '\\' ? "\\\\" : std::string(1, c);
  return out;
}
std::string unescaped(const std::string& line) {
  std::string out;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && i + 1 < line.size()) {
      ++i;
      out += line[i] == 'n' ? '\n' : line[i];
    } else {
      out += line[i];
    }
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
  if (file_.empty() || !std::filesystem::is_regular_file(file_)) return;
  std::istringstream lines(read_file(file_));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) entries_.push_back(unescaped(line));
  }
  if (entries_.size() > most_entries) entries_.erase(entries_.begin(), entries_.end() - most_entries);
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
    write_file_atomic(file_, text);
  } catch (const std::exception& e) {
    fmt::print(stderr, "note: the history is kept for this session only: {}\n", e.what());
    file_.clear();
  }
}

}  // namespace hearth
