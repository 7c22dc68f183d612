#include "hardware/verdict_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "probe_support.h"

namespace hearth {
namespace {

using testing::HasSubstr;

const VerdictCircumstances now{"driver-1", "6.8.0", "build-1"};

ProbeVerdict verdict() {
  ProbeVerdict v;
  v.backend = "vulkan";
  v.device = "vulkan0";
  v.key = "0000:03:00.0";
  v.outcome = ProbeOutcome::passed;
  v.taken = 1234;
  return v;
}

std::filesystem::path only_file(const std::filesystem::path& folder, const char* extension) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == extension) return entry.path();
  }
  return {};
}

TEST(VerdictCache, KeepsWhatItIsGivenWithItsAge) {
  const test::Scratch scratch("cache");
  const VerdictCache cache(scratch.path / "new" / "folder", "boot-1");
  std::vector<std::string> notes;
  EXPECT_FALSE(cache.find("vulkan", "0000:03:00.0", now, notes));
  cache.store(verdict(), now, notes);
  const auto found = cache.find("vulkan", "0000:03:00.0", now, notes);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->fresh);
  EXPECT_EQ(found->verdict.taken, 1234);
  EXPECT_EQ(encode(found->verdict), encode(verdict()));
  EXPECT_EQ(cache.all(notes).size(), 1U);
  EXPECT_FALSE(cache.find("vulkan", "0000:04:00.0", now, notes));
  EXPECT_FALSE(cache.find("rocm", "0000:03:00.0", now, notes));
  EXPECT_TRUE(notes.empty());
}

TEST(VerdictCache, SaysWhatChanged) {
  const test::Scratch scratch("cache");
  const VerdictCache cache(scratch.path, "boot-1");
  std::vector<std::string> notes;
  cache.store(verdict(), now, notes);
  const auto stale = [&](const VerdictCircumstances& other) {
    return cache.find("vulkan", "0000:03:00.0", other, notes)->stale;
  };
  EXPECT_EQ(stale({"driver-1", "6.9.0", "build-1"}), "the kernel (6.8.0 → 6.9.0)");
  EXPECT_EQ(stale({"driver-2", "6.8.0", "build-1"}), "the driver's files");
  EXPECT_EQ(stale({"driver-1", "6.8.0", "build-2"}), "hearth itself");
}

TEST(VerdictCache, IgnoresWhatIsNoVerdictWithAWord) {
  const test::Scratch scratch("cache");
  const VerdictCache cache(scratch.path, "boot-1");
  std::vector<std::string> none;
  cache.store(verdict(), now, none);
  const auto file = only_file(scratch.path, ".json");
  const std::string good = [&] {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  std::string other_device = good, other_format = good;
  other_device.replace(other_device.find("0000:03:00.0"), 12, "0000:04:00.0");
  other_format.replace(other_format.find("\"format\":1"), 10, "\"format\":9");
  const std::vector<std::string> hostile{"",
                                         "{",
                                         "[]",
                                         "7",
                                         "\xff\xfe",
                                         "{\"format\":1}",
                                         other_device,
                                         other_format,
                                         good.substr(0, good.size() / 2),
                                         std::string(2 << 20, '[')};
  for (const std::string& text : hostile) {
    std::ofstream(file, std::ios::trunc) << text;
    std::vector<std::string> notes;
    EXPECT_FALSE(cache.find("vulkan", "0000:03:00.0", now, notes)) << text.substr(0, 80);
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_THAT(notes[0], HasSubstr(file.string() + " is ignored: "));
  }
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  std::vector<std::string> notes;
  EXPECT_TRUE(cache.all(notes).empty());
  EXPECT_EQ(notes.size(), 1U) << "a folder of that name";
  cache.store(verdict(), now, notes);
  EXPECT_EQ(notes.size(), 2U) << "and nothing can be kept under it";
}

TEST(VerdictCache, AnAttemptIsOnTheDiskWhileItLasts) {
  const test::Scratch scratch("cache");
  const VerdictCache cache(scratch.path, "boot-1");
  std::vector<std::string> notes;
  {
    const auto begun = cache.begin("vulkan", "key", "vulkan vulkan0", false, notes);
    ASSERT_NE(begun.attempt, nullptr);
    EXPECT_FALSE(only_file(scratch.path, ".attempt").empty());
    const auto second = cache.begin("vulkan", "key", "vulkan vulkan0", true, notes);
    EXPECT_EQ(second.attempt, nullptr);
    EXPECT_TRUE(second.elsewhere);
    EXPECT_FALSE(cache.forbidding("vulkan", "key")) << "it goes on";
  }
  EXPECT_TRUE(only_file(scratch.path, ".attempt").empty());
  EXPECT_NE(cache.begin("vulkan", "key", "vulkan vulkan0", false, notes).attempt, nullptr);
  EXPECT_TRUE(notes.empty());
}

// As if the machine had gone down: the file stays behind.
void leave_attempt(const std::filesystem::path& folder, const char* boot) {
  const VerdictCache cache(folder, boot);
  std::vector<std::string> notes;
  const auto kept = folder / "kept";
  std::filesystem::path file;
  {
    const auto begun = cache.begin("vulkan", "key", "vulkan vulkan0", true, notes);
    file = only_file(folder, ".attempt");
    std::filesystem::copy_file(file, kept);
  }
  std::filesystem::rename(kept, file);
}

TEST(VerdictCache, AnAttemptThatEndedTheMachineIsNotRepeated) {
  const test::Scratch scratch("cache");
  leave_attempt(scratch.path, "boot-1");
  const VerdictCache cache(scratch.path, "boot-2");
  std::vector<std::string> notes;
  EXPECT_TRUE(cache.forbidding("vulkan", "key"));
  const auto refused = cache.begin("vulkan", "key", "vulkan vulkan0", false, notes);
  EXPECT_EQ(refused.attempt, nullptr);
  ASSERT_TRUE(refused.unfinished);
  EXPECT_TRUE(refused.unfinished->other_boot);
  EXPECT_EQ(refused.unfinished->phase_hint, "vulkan vulkan0");
  EXPECT_GT(refused.unfinished->begun, 1'700'000'000);
  EXPECT_NE(cache.begin("vulkan", "other", "x", false, notes).attempt, nullptr) << "other devices are tried";
  EXPECT_NE(cache.begin("vulkan", "key", "x", true, notes).attempt, nullptr) << "and this one when asked to";
  EXPECT_FALSE(cache.forbidding("vulkan", "key")) << "which ended well";
}

TEST(VerdictCache, AProcessThatEndedHasAnotherTryInTheSameStart) {
  const test::Scratch scratch("cache");
  leave_attempt(scratch.path, "boot-1");
  const VerdictCache cache(scratch.path, "boot-1");
  std::vector<std::string> notes;
  EXPECT_FALSE(cache.forbidding("vulkan", "key"));
  leave_attempt(scratch.path, "boot-1");  // counts on
  const auto refused = cache.begin("vulkan", "key", "x", false, notes);
  ASSERT_TRUE(refused.unfinished);
  EXPECT_EQ(refused.unfinished->times, 2);
  EXPECT_FALSE(refused.unfinished->other_boot);
}

TEST(VerdictCache, AnAttemptFileThatIsNoneCountsAsOne) {
  const test::Scratch scratch("cache");
  leave_attempt(scratch.path, "boot-1");
  std::ofstream(only_file(scratch.path, ".attempt"), std::ios::trunc) << "\xff{garbage";
  EXPECT_TRUE(VerdictCache(scratch.path, "boot-1").forbidding("vulkan", "key"));
}

TEST(VerdictCache, WhereNothingCanBeWrittenThereIsANote) {
  const VerdictCache cache("/proc/nowhere", "boot-1");
  std::vector<std::string> notes;
  EXPECT_NE(cache.begin("vulkan", "key", "x", false, notes).attempt, nullptr);
  cache.store(verdict(), now, notes);
  EXPECT_EQ(notes.size(), 2U);
}

TEST(DriverFingerprint, ChangesWithTheDriversFiles) {
  const test::Scratch scratch("root");
  const std::string root = scratch.path.string();
  const auto write = [&](const std::string& path, const std::string& text) {
    std::filesystem::create_directories((scratch.path / path).parent_path());
    std::ofstream(scratch.path / path, std::ios::trunc) << text;
  };
  const auto all = [&] {
    return std::vector<std::string>{driver_fingerprint("vulkan", {}, root),
                                    driver_fingerprint("cuda", {}, root),
                                    driver_fingerprint("rocm", {}, root)};
  };
  std::vector<std::string> before = all();
  EXPECT_EQ(all(), before);
  write("usr/share/vulkan/icd.d/radeon.json", R"({"ICD":{"library_path":"libvulkan_radeon.so"}})");
  EXPECT_NE(all()[0], before[0]);
  EXPECT_EQ(all()[1], before[1]);
  before = all();
  write("usr/lib64/libvulkan_radeon.so", "an update");
  EXPECT_NE(all()[0], before[0]) << "the library that the ICD names";
  before = all();
  write("sys/module/nvidia/version", "580.65.06");
  EXPECT_NE(all()[1], before[1]);
  before = all();
  write("usr/share/vulkan/icd.d/garbage.json", "\xff[");
  EXPECT_NE(all()[0], before[0]);
  before = all();
  write("sys/bus/pci/devices/0000:03:00.0/class", "0x030000");
  write("sys/bus/pci/devices/0000:03:00.0/device", "0x73bf");
  EXPECT_NE(all()[0], before[0]) << "another card";
  before = all();
  write("sys/bus/pci/devices/0000:04:00.0/class", "0x020000");
  EXPECT_EQ(all(), before) << "a network card is none";
  EXPECT_NE(driver_fingerprint("vulkan", {"/usr/lib64"}, root), "");
}

}  // namespace
}  // namespace hearth
