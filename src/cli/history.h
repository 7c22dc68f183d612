#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hearth {

// What was typed before: the last hundred entries, one per line in a file. Written atomically after each
// entry; a folder that cannot be written is said once and then left alone.
class History {
 public:
  // An empty path keeps the history in memory only.
  explicit History(std::filesystem::path file);
  // ~/.ollama/history, or nothing where OLLAMA_NOHISTORY is set or there is no home.
  static std::filesystem::path default_file();

  void add(const std::string& entry);
  const std::vector<std::string>& entries() const noexcept { return entries_; }
  void enable(bool on) { enabled_ = on; }

 private:
  void save();

  std::filesystem::path file_;
  std::vector<std::string> entries_;  // oldest first
  bool enabled_ = true;
};

}  // namespace hearth
