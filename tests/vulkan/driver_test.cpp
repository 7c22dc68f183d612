// The module as a shared object, and what is said where loader, driver or module are absent.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "device/modules.h"
#include "device/vulkan/pipeline_file.h"
#include "rig.h"
#include "support/data.h"

namespace hearth::vulkan {
namespace {

TEST(VulkanDriver, TheDeviceIsDescribed) {
  const auto devices = module().devices();
  ASSERT_FALSE(devices.empty())
      << "there is no Vulkan driver: scripts/packages test installs mesa-vulkan-drivers";
  const ModuleDevice& d = devices.front();
  EXPECT_EQ(d.name, "vulkan0");
  EXPECT_EQ(d.lacks, "");
  EXPECT_FALSE(d.description.empty());
  EXPECT_FALSE(d.key.empty());
  ASSERT_FALSE(d.heaps.empty());
  EXPECT_GT(d.heaps.front().bytes, 1U << 20);
  EXPECT_GT(d.largest_allocation, 1U << 20);
}

TEST(VulkanDriver, TheSharedObjectHasTheSameDevices) {
  Module& loaded = load_module("vulkan", test::build_dir().string());
  EXPECT_EQ(loaded.devices().size(), module().devices().size());
  const auto device = open_device("vulkan0", {{}, test::build_dir().string()});
  EXPECT_EQ(device->info().name, "vulkan0");
  try {
    open_device("vulkan9", {{}, test::build_dir().string()});
    FAIL() << "there is no vulkan9";
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::not_found);
    EXPECT_NE(e.remedy.find("vulkan0"), std::string::npos);
  }
}

// What the program prints with the given environment, and its exit code.
std::pair<int, std::string> hearth(const std::string& environment, const std::string& arguments) {
  const std::string line =
      environment + " " + (test::build_dir() / "hearth").string() + " " + arguments + " 2>&1";
  FILE* pipe = ::popen(line.c_str(), "r");
  std::string text;
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  return {WEXITSTATUS(::pclose(pipe)), text};
}

TEST(VulkanDriver, AbsentDriversAndModulesAreNamed) {
  const std::string ask = "bench --device vulkan0 -p 1 -n 0 -r 1";
  auto [code, text] =
      hearth("HEARTH_VULKAN_VALIDATE=0 VK_DRIVER_FILES=/nowhere.json VK_ICD_FILENAMES=/nowhere.json", ask);
  EXPECT_NE(code, 0);
  EXPECT_NE(text.find("no Vulkan driver"), std::string::npos) << text;
  EXPECT_NE(text.find("mesa-vulkan-drivers"), std::string::npos) << text;
  std::tie(code, text) = hearth("HEARTH_BACKENDS=/nowhere", ask);
  EXPECT_NE(code, 0);
  EXPECT_NE(text.find("no module for 'vulkan' in /nowhere"), std::string::npos) << text;
}

// Loaders pass over a driver whose library is not there, or lacks one of its own, in silence.
TEST(VulkanDriver, ADriverThatCannotBeLoadedIsNamed) {
  const auto manifest =
      std::filesystem::temp_directory_path() / ("hearth-icd-" + std::to_string(::getpid()) + ".json");
  const auto said = [&](const std::string& library) {
    std::ofstream(manifest) << R"({"file_format_version":"1.0.0","ICD":{"library_path":")" << library
                            << R"(","api_version":"1.3.0"}})";
    const std::string files =
        "VK_DRIVER_FILES=" + manifest.string() + " VK_ICD_FILENAMES=" + manifest.string();
    return hearth("HEARTH_VULKAN_VALIDATE=0 " + files, "bench --device vulkan0 -p 1 -n 0 -r 1").second;
  };
  const std::string name = manifest.filename().string();
  const std::string absent = said("libhearth-no-driver.so");
  EXPECT_NE(absent.find(name + " names libhearth-no-driver.so, and libhearth-no-driver.so is missing"),
            std::string::npos)
      << absent;
  EXPECT_NE(absent.find("libx11-6"), std::string::npos) << absent;
  const std::string relative = said("./libhearth-no-driver.so");
  EXPECT_NE(relative.find((manifest.parent_path() / "./libhearth-no-driver.so").string() + " is missing"),
            std::string::npos)
      << relative;
  // What is no driver at all is not taken for one that lacks something.
  std::ofstream(manifest) << "[1, 2";
  EXPECT_EQ(hearth("VK_DRIVER_FILES=" + manifest.string(), "bench --device vulkan0 -p 1 -n 0 -r 1")
                .second.find("is missing"),
            std::string::npos);
  std::filesystem::remove(manifest);
}

TEST(VulkanDriver, TheWorkersSandboxLetsItCompute) {
  const auto [code, text] = hearth("HEARTH_VULKAN_VALIDATE=0 OLLAMA_HOST=127.0.0.1:9",
                                   "run --device vulkan0 --max-tokens 4 "
                                   "--temperature 0 'How do I see which models are loaded?' </dev/null");
  EXPECT_EQ(code, 0) << text;
  EXPECT_FALSE(text.empty());
}

TEST(VulkanPipelineFile, KeepsWhatIsWholeAndNothingElse) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("hearth-pipelines-" + std::to_string(::getpid()));
  const char* before = std::getenv("XDG_CACHE_HOME");
  const std::string old = before != nullptr ? before : "";
  ::setenv("XDG_CACHE_HOME", folder.c_str(), 1);
  const std::vector<std::byte> data(1000, std::byte{7});
  {
    PipelineFile file("test");
    ASSERT_TRUE(file.open());
    EXPECT_TRUE(file.read().empty());
    file.write(data);
    EXPECT_EQ(file.read(), data);
  }
  EXPECT_EQ(PipelineFile("test").read(), data);
  {
    std::fstream torn(folder / "hearth" / "test", std::ios::in | std::ios::out | std::ios::binary);
    torn.seekp(500);
    torn.put('x');
  }
  EXPECT_TRUE(PipelineFile("test").read().empty());
  before != nullptr ? ::setenv("XDG_CACHE_HOME", old.c_str(), 1) : ::unsetenv("XDG_CACHE_HOME");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hearth::vulkan
