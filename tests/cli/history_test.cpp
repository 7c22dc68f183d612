#include "cli/history.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/file.h"

namespace hearth {
namespace {

class HistoryFile : public testing::Test {
 protected:
  HistoryFile()
      : folder_(std::filesystem::temp_directory_path() /
                ("hearth-history-file-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~HistoryFile() override { std::filesystem::remove_all(folder_); }

  // One line on standard error while `act` runs, and nothing when it runs again.
  template <typename Act>
  void expect_one_note(Act act) {
    testing::internal::CaptureStderr();
    act();
    const std::string note = testing::internal::GetCapturedStderr();
    EXPECT_EQ(note.rfind("note: ", 0), 0U) << note;
    EXPECT_EQ(std::count(note.begin(), note.end(), '\n'), 1) << note;
  }

  std::filesystem::path folder_;
};

TEST_F(HistoryFile, OneLinePerEntry) {
  const auto file = folder_ / "history";
  History history(file);
  history.add("one");
  history.add("two\nlines");
  EXPECT_EQ(read_file(file), "one\ntwo\\nlines\n");
  EXPECT_EQ(History(file).entries(), (std::vector<std::string>{"one", "two\nlines"}));
}

TEST_F(HistoryFile, AnyTextSurvives) {
  const std::vector<std::string> entries{
      "\\", "\\n", "\\\n", "C:\\new\\dir", "a\\\\n\n\\", "tab\there", "emoji 🦙 漢字", "\n\n"};
  const auto file = folder_ / "history";
  History history(file);
  for (const std::string& entry : entries) history.add(entry);
  EXPECT_EQ(History(file).entries(), entries);
}

TEST_F(HistoryFile, BackslashesOfOtherProgramsStay) {
  const auto file = folder_ / "history";
  std::ofstream(file) << "C:\\dir\n\nend\\\n";
  EXPECT_EQ(History(file).entries(), (std::vector<std::string>{"C:\\dir", "end\\"}));
}

TEST_F(HistoryFile, ALongFileIsCutToItsEnd) {
  const auto file = folder_ / "history";
  {
    std::ofstream out(file);
    for (int i = 0; i < 250; ++i) out << "entry " << i << '\n';
  }
  History history(file);
  ASSERT_EQ(history.entries().size(), 100U);
  EXPECT_EQ(history.entries().front(), "entry 150");
  history.add("new");
  EXPECT_EQ(history.entries().size(), 100U);
  EXPECT_EQ(History(file).entries().front(), "entry 151");
}

TEST_F(HistoryFile, OnlyTheOwnerMayRead) {
  const auto file = folder_ / "history";
  History(file).add("private");
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    names.push_back(entry.path().filename());
  EXPECT_EQ(names, std::vector<std::string>{"history"}) << "no temporary file is left";
}

TEST_F(HistoryFile, OffAddsNothing) {
  History history(folder_ / "history");
  history.enable(false);
  history.add("not kept");
  EXPECT_TRUE(history.entries().empty());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "history"));
  history.enable(true);
  history.add("kept");
  EXPECT_EQ(History(folder_ / "history").entries(), std::vector<std::string>{"kept"});
}

TEST_F(HistoryFile, AnUnwritablePlaceIsOneNote) {
  std::ofstream(folder_ / "plain") << "a file where a folder should be";
  std::unique_ptr<History> history;
  expect_one_note([&] {
    history = std::make_unique<History>(folder_ / "plain" / "history");
    history->add("first");
    history->add("second");
  });
  EXPECT_EQ(history->entries().size(), 2U);
}

TEST_F(HistoryFile, AFolderInItsPlaceIsOneNote) {
  std::filesystem::create_directories(folder_ / "history");
  expect_one_note([&] {
    History history(folder_ / "history");
    history.add("kept in memory");
    EXPECT_EQ(history.entries().size(), 1U);
  });
}

TEST_F(HistoryFile, TheEnvironmentDecidesThePlace) {
  const char* home = std::getenv("HOME");
  const std::string before = home == nullptr ? "" : home;
  ::setenv("HOME", folder_.c_str(), 1);
  EXPECT_EQ(History::default_file(), folder_ / ".ollama" / "history");
  ::setenv("OLLAMA_NOHISTORY", "1", 1);
  EXPECT_EQ(History::default_file(), "");
  ::setenv("HEARTH_NOHISTORY", "off", 1);
  EXPECT_EQ(History::default_file(), folder_ / ".ollama" / "history");
  ::unsetenv("OLLAMA_NOHISTORY");
  ::unsetenv("HEARTH_NOHISTORY");
  ::unsetenv("HOME");
  EXPECT_EQ(History::default_file(), "");
  if (home != nullptr) ::setenv("HOME", before.c_str(), 1);
}

}  // namespace
}  // namespace hearth
