// Every recorded machine in tests/cases/machines says in lines that begin "#! " what doctor must find there:
//   #! finds CODE [at ADDRESS] [as SEVERITY]
//   #! also CODE                  may be found besides
//   #! only                       nothing else is found
//   #! first CODE                 stands on top
//   #! fix CODE TEXT              a fix of this code has the text, among its words or commands
//   #! says CODE TEXT             a sentence of this code has it
//   #! device ADDRESS USE         '-' is the CPU
//   #! order NAME NAME            what is used, in this order
//   #! exit N
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "hardware/record.h"
#include "hardware/report.h"
#include "hardware/sysfs_text.h"
#include "support/data.h"

namespace hearth {
namespace {

std::string fix_text(const Finding& f) {
  return fmt::format("{}\n{}", f.fix.text, fmt::join(f.fix.commands, "\n"));
}

class Checker {
 public:
  explicit Checker(const Report& report) : report_(report) {}

  void check(const std::string& line) {
    SCOPED_TRACE(line);
    const std::vector<std::string> words = words_in(line);
    const std::string& what = words.at(0);
    if (what == "finds")
      finds(words);
    else if (what == "also")
      expected_.insert(words.at(1));
    else if (what == "only")
      only_ = true;
    else if (what == "first")
      EXPECT_EQ(report_.findings.at(0).code, words.at(1));
    else if (what == "fix")
      has_text(words.at(1), after(line, words.at(1)), fix_text);
    else if (what == "says")
      has_text(words.at(1), after(line, words.at(1)), [](const Finding& f) { return f.sentence; });
    else if (what == "device")
      device(words.at(1), words.at(2));
    else if (what == "order")
      order(line.substr(6));
    else if (what == "exit")
      EXPECT_EQ(std::to_string(report_.exit_code()), words.at(1));
    else
      ADD_FAILURE() << "unknown expectation";
  }

  void finish() const {
    if (!only_) return;
    for (const Finding& f : report_.findings)
      EXPECT_TRUE(expected_.contains(f.code)) << f.code << ": " << f.sentence;
  }

 private:
  static std::string after(const std::string& line, const std::string& word) {
    return line.substr(line.find(word) + word.size() + 1);
  }

  void finds(const std::vector<std::string>& words) {
    expected_.insert(words.at(1));
    std::string device, severity;
    for (size_t i = 2; i + 1 < words.size(); i += 2) (words[i] == "at" ? device : severity) = words[i + 1];
    const auto fits = [&](const Finding& f) {
      return f.code == words[1] && f.device == device &&
             (severity.empty() || to_string(f.severity) == severity);
    };
    EXPECT_TRUE(std::any_of(report_.findings.begin(), report_.findings.end(), fits));
  }

  template <class Text>
  void has_text(const std::string& code, const std::string& wanted, Text&& text) {
    std::string seen;
    for (const Finding& f : report_.findings) {
      if (f.code == code) seen += text(f) + "\n";
    }
    EXPECT_NE(seen.find(wanted), std::string::npos) << seen;
  }

  void device(const std::string& address, const std::string& use) {
    for (const DeviceLine& l : report_.devices) {
      if (l.address == (address == "-" ? "" : address)) {
        EXPECT_EQ(to_string(l.use), use) << l.why;
        EXPECT_FALSE(l.why.empty());
        return;
      }
    }
    ADD_FAILURE() << "no such device";
  }

  void order(const std::string& wanted) {
    std::string names;
    for (const ChosenDevice& d : report_.choice.use) names += (names.empty() ? "" : " ") + d.device;
    EXPECT_EQ(names, wanted);
  }

  const Report& report_;
  std::set<std::string> expected_;
  bool only_ = false;
};

Report examine_file(const std::string& text) {
  const Record record = Record::parse(text);
  const std::unique_ptr<SystemView> system = recorded_system(record);
  return examine(take_inventory(*system), record.verdicts, record.wanted);
}

std::vector<std::string> names_of_machines() {
  std::vector<std::string> names;
  for (const auto& path : test::files_in(test::case_file("machines"), ".txt"))
    names.push_back(path.stem().string());
  return names;
}

class Machine : public testing::TestWithParam<std::string> {
 protected:
  std::string text() const { return read_file(test::case_file("machines/" + GetParam() + ".txt")); }
};

TEST_P(Machine, IsExplained) {
  const std::string machine = text();
  const Report report = examine_file(machine);
  Checker checker(report);
  for (const std::string_view line : lines_in(machine)) {
    if (line.starts_with("#! ")) checker.check(std::string(line.substr(3)));
  }
  checker.finish();
  for (const Finding& f : report.findings) {
    EXPECT_FALSE(f.fix.empty()) << f.code << " says nothing to do, not even that nothing is";
    EXPECT_TRUE(f.sentence.ends_with('.')) << f.sentence;
  }
}

// What doctor writes down of a machine is enough to find the same on it again.
TEST_P(Machine, IsTheSameWhenRecorded) {
  const Record record = Record::parse(text());
  const std::unique_ptr<SystemView> system = recorded_system(record);
  const Recorder recorder(*system);
  const Report before = examine(take_inventory(recorder), record.verdicts, record.wanted);
  Record again = recorder.record();
  again.verdicts = record.verdicts;
  again.wanted = record.wanted;
  EXPECT_EQ(to_json(examine_file(again.print())), to_json(before));

  const Report anonymous = examine_file(again.anonymised(77).print());
  ASSERT_EQ(anonymous.findings.size(), before.findings.size());
  for (size_t i = 0; i < before.findings.size(); ++i)
    EXPECT_EQ(anonymous.findings[i].code, before.findings[i].code);
  EXPECT_EQ(anonymous.exit_code(), before.exit_code());
}

TEST_P(Machine, IsPrintedWithoutEscapesUnlessAskedFor) {
  const Report report = examine_file(text());
  const std::string plain = to_text(report, {});
  EXPECT_EQ(plain.find('\x1b'), std::string::npos);
  for (const Finding& f : report.findings) {
    EXPECT_NE(plain.find(f.sentence), std::string::npos) << f.sentence;
    for (const std::string& command : f.fix.commands)
      EXPECT_NE(plain.find(command + "\n"), std::string::npos);
  }
  EXPECT_NE(to_text(report, {.colour = true, .columns = 80, .now = 0}).find('\x1b'), std::string::npos);
  EXPECT_EQ(idle_gpu_lines(report).empty(), !report.gpu_idle());
}

INSTANTIATE_TEST_SUITE_P(Recorded, Machine, testing::ValuesIn(names_of_machines()), [](const auto& machine) {
  std::string name = machine.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(RecordedMachines, EveryCaseOfTheFactsIsThere) {
  const std::vector<std::string> names = names_of_machines();
  for (int i = 1; i <= 44; ++i) {
    const std::string prefix = fmt::format("d{:02}-", i);
    EXPECT_TRUE(std::any_of(names.begin(), names.end(), [&](const std::string& n) {
      return n.starts_with(prefix);
    })) << prefix;
  }
}

}  // namespace
}  // namespace hearth
