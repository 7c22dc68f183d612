#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hearth {

// What was typed before: the last hundred entries, one per line in a file that only its owner may read.
// Written atomically after each entry; a place that cannot be read or written is said once and left alone.
class History {
 public:
  // An empty path keeps the history in memory only.
  explicit History(std::filesystem::path file);
  // ~/.ollama/history, or nothing where OLLAMA_NOHISTORY is set or there is no home.
  static std::filesystem::path default_file();

  // Repetitions of the last entry are left out.
  void add(const std::string& entry);
  const std::vector<std::string>& entries() const noexcept { return entries_; }
  // Off: nothing is added until it is on again.
  void enable(bool on) { enabled_ = on; }

 private:
  void save();
  void give_up(const char* why);

  std::filesystem::path file_;
  std::vector<std::string> entries_;  // oldest first
  bool enabled_ = true;
};

}  // namespace hearth
