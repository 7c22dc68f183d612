// Machines that lie: nothing that a file, a link or a folder holds may end in more than nonsense found.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "hardware/record.h"
#include "hardware/report.h"
#include "support/data.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

void look_at(const SystemView& system) {
  const Report report = examine(take_inventory(system), {});
  EXPECT_FALSE(report.devices.empty());  // the CPU at least
  EXPECT_FALSE(to_text(report, {.colour = true, .columns = 40, .now = 1}).empty());
  EXPECT_FALSE(json::serialize(to_json(report)).empty());
}

// Puts nonsense somewhere into a text.
std::string spoiled(std::string text, std::mt19937& random) {
  static const std::vector<std::string> nonsense{"",
                                                 "-1",
                                                 "99999999999999999999999999",
                                                 "0x",
                                                 "18446744073709551615",
                                                 std::string(3000, '9'),
                                                 "\\xff\\x00",
                                                 "\n",
                                                 " ",
                                                 ":",
                                                 "4294967296",
                                                 "\xff\xfe",
                                                 "= ",
                                                 "|",
                                                 "../..",
                                                 "{}"};
  const auto up_to = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n)(random); };
  for (size_t times = 1 + up_to(4); times > 0; --times) {
    // Values stand behind a blank: there the nonsense gets past the record's own grammar most often.
    const size_t at = text.find(' ', up_to(text.size()));
    const size_t begin = at == std::string::npos ? up_to(text.size()) : at + 1;
    const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
    if (begin <= end) text.replace(begin, end - begin, nonsense[up_to(nonsense.size() - 1)]);
  }
  return text;
}

TEST(Garbage, InRecordsIsRefusedOrSurvived) {
  std::mt19937 random(20261126);
  size_t refused = 0, examined = 0;
  for (const auto& path : test::files_in(test::case_file("machines"), ".txt")) {
    const std::string text = read_file(path);
    for (int i = 0; i < 12; ++i) {
      try {
        const Record record = Record::parse(spoiled(text, random));
        const std::unique_ptr<SystemView> system = recorded_system(record);
        look_at(*system);
        (void)examine(take_inventory(*system), record.verdicts, record.wanted);
        EXPECT_EQ(Record::parse(record.print()).print(), record.print());
        ++examined;
      } catch (const Error& error) {
        EXPECT_EQ(error.code, Code::corrupt_file) << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100U);
  EXPECT_GT(examined, 100U);
}

class Tree {
 public:
  Tree() : root_(fs::temp_directory_path() / ("hearth-machine-" + std::to_string(::getpid()))) {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() { fs::remove_all(root_); }
  fs::path at(const std::string& path) const {
    fs::create_directories((root_ / path).parent_path());
    return root_ / path;
  }
  void write(const std::string& path, const std::string& text) const { std::ofstream(at(path)) << text; }
  std::string root() const { return root_.string(); }

 private:
  fs::path root_;
};

TEST(Garbage, InAFolderIsSurvived) {
  const Tree tree;
  const std::string card = "sys/bus/pci/devices/0000:03:00.0/";
  tree.write(card + "class", "0x030000\n");
  tree.write(card + "vendor", std::string(100, '\0') + "\xff\xff");
  tree.write(card + "device", std::string(2 << 20, '7'));
  fs::create_symlink("../nowhere/at/all", tree.at(card + "driver"));
  fs::create_symlink("loop", tree.at(card + "loop"));
  fs::create_symlink("loop", tree.at("sys/bus/pci/devices/0000:04:00.0"));
  fs::create_directories(tree.at("proc/meminfo/is/a/folder"));
  ASSERT_EQ(::mkfifo(tree.at("proc/cpuinfo").c_str(), 0600), 0);
  tree.write("proc/self/cgroup", "0::/../../x\n:::\n5:cpu\n" + std::string(70000, '/'));
  tree.write("sys/class/kfd/kfd/topology/nodes/99999999999999/properties", "gfx_target_version 7\n");
  tree.write("sys/class/kfd/kfd/topology/nodes/1/properties",
             "gfx_target_version 4294967295\nlocation_id -4\nsimd_count x\n");
  const std::unique_ptr<SystemView> system = live_system(tree.root());
  look_at(*system);
  EXPECT_EQ(system->file("/proc/cpuinfo").error, EINVAL);  // a pipe would keep us
  EXPECT_EQ(system->file("/proc/meminfo").error, EISDIR);
  EXPECT_TRUE(system->file("/" + card + "device", 1000).cut);
  EXPECT_EQ(system->file("/" + card + "device", 1000).text.size(), 1000U);
}

TEST(Garbage, LinksDoNotLeadOutOfAFolder) {
  const Tree tree;
  tree.write("inside/secret", "mine\n");
  fs::create_symlink("/inside/secret", tree.at("absolute"));
  fs::create_symlink("../../../../../../../../etc/passwd", tree.at("upwards"));
  const std::unique_ptr<SystemView> system = live_system(tree.root());
  EXPECT_EQ(system->file("/absolute").text, "mine\n");
  EXPECT_EQ(system->file("/upwards").error, ENOENT);
  EXPECT_EQ(system->link("/upwards").value_or("").substr(0, 3), "../");
  EXPECT_FALSE(system->node("/upwards").has_value());
  EXPECT_TRUE(system->environment().empty());
}

TEST(Garbage, AFolderMayCarryARecordOfTheRest) {
  const Tree tree;
  tree.write("sys/bus/pci/devices/0000:03:00.0/class", "0x030000\n");
  tree.write("sys/bus/pci/devices/0000:03:00.0/vendor", "0x1002\n");
  tree.write("sys/bus/pci/devices/0000:03:00.0/device", "0x744c\n");
  tree.write("machine.txt", "hearth-machine 1\nfile /proc/cmdline = nomodeset\nenv OLLAMA_VULKAN=1\n");
  const RecordedMachine machine = open_recorded(tree.root());
  const Report report = examine(take_inventory(*machine.system), {});
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].code, "amd.driver-unbound");
}

TEST(Records, RefusalsNameTheLine) {
  const auto message = [](const std::string& text) -> std::string {
    try {
      Record::parse(text);
    } catch (const Error& e) {
      return e.message;
    }
    return {};
  };
  EXPECT_NE(message("").find("empty"), std::string::npos);
  EXPECT_NE(message("hello\n").find("line 1"), std::string::npos);
  EXPECT_NE(message("hearth-machine 1\nnode /dev/kfd c 0660 0\n").find("line 2"), std::string::npos);
  EXPECT_NE(message("hearth-machine 1\nfile relative = 1\n").find("'/'"), std::string::npos);
  EXPECT_NE(message("hearth-machine 1\n| text\n").find("no file"), std::string::npos);
  EXPECT_NE(message("hearth-machine 1\nnode /dev/kfd c 0660 0 0 EWHAT\n").find("EWHAT"), std::string::npos);
  EXPECT_NE(message("hearth-machine 1\nfile /a = \\q\n").find("\\xHH"), std::string::npos);
}

TEST(Records, LoseWhatNamesTheirOwner) {
  const Record record = Record::parse(
      "hearth-machine 1\naccount alice 1000 1000\nenv "
      "CUDA_VISIBLE_DEVICES=GPU-8f1e2233-4455-6677-8899-aabbccddeeff\n"
      "env HEARTH_TOKEN=topsecret\nenv OLLAMA_HOST=nas.alice.example\nenv SSH_CLIENT=10.0.0.7\n"
      "env LD_LIBRARY_PATH=/home/alice/cuda/lib64:/opt/alice/lib\n"
      "file /proc/driver/nvidia/gpus/0000:01:00.0/information\n| GPU UUID: "
      "GPU-8f1e2233-4455-6677-8899-aabbccddeeff\n"
      "file /sys/bus/pci/devices/0000:03:00.0/unique_id = 7b3c1f9a2e4d5566\n"
      "file /proc/cmdline = root=UUID=11111111-2222-3333-4444-555555555555 nomodeset ip=10.1.2.3::host\n"
      "file /etc/group\n| render:x:109:alice,bob\n| alice:x:1000:\n"
      "log amdgpu 0000:03:00.0: fine\nlog eth0: link up, aa:bb:cc:dd:ee:ff\nlog nvidia: aa:bb:cc:dd:ee:ff\n");
  const std::string text = record.anonymised(5).print();
  for (const char* secret : {"alice", "bob", "8f1e2233", "topsecret", "nas.", "10.0.0.7", "7b3c1f9a2e4d5566",
                             "11111111", "10.1.2.3", "aa:bb", "eth0"}) {
    EXPECT_EQ(text.find(secret), std::string::npos) << secret << " is left in\n" << text;
  }
  for (const char* kept :
       {"nomodeset", "/home/user/cuda/lib64", "render:x:109:", "amdgpu 0000:03:00.0: fine"}) {
    EXPECT_NE(text.find(kept), std::string::npos) << kept << " is lost from\n" << text;
  }
  // Equal ids stay equal, and two records of one machine cannot be told to be of one.
  const Record anonymous = Record::parse(text);
  const std::string uuid = anonymous.environment.at("CUDA_VISIBLE_DEVICES");
  EXPECT_NE(anonymous.entries.at("/proc/driver/nvidia/gpus/0000:01:00.0/information").text.find(uuid),
            std::string::npos);
  EXPECT_EQ(record.anonymised(6).print().find(uuid), std::string::npos);
}

}  // namespace
}  // namespace hearth
