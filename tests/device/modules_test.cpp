#include "device/modules.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace hearth {
namespace {

Code code_of(const std::string& name, const std::string& folders) {
  try {
    open_device(name, {{}, folders});
  } catch (const Error& e) {
    return e.code;
  }
  return Code::bug;
}

TEST(Modules, FoldersAreThoseOfTheSettingOrBesideTheProgram) {
  EXPECT_EQ(module_folders("/a::/b/c"), (std::vector<std::string>{"/a", "/b/c"}));
  const auto own = module_folders("");
  ASSERT_EQ(own.size(), 2U);
  EXPECT_EQ(own[0], std::filesystem::read_symlink("/proc/self/exe").parent_path().string());
}

TEST(Modules, ADeviceIsNamedByBackendAndNumber) {
  EXPECT_EQ(open_device("cpu", {})->info().name, "cpu");
  for (const char* name : {"", "7", "gpu", "vulkan99999999999"}) {
    EXPECT_EQ(code_of(name, "/nowhere"), Code::bad_request) << name;
  }
  EXPECT_EQ(code_of("vulkan0", "/nowhere"), Code::not_found);
}

TEST(Modules, AFileThatIsNoModuleIsRefused) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "no_module";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "libhearth-fake.so") << "text";
  EXPECT_EQ(code_of("fake0", folder.string()), Code::unsupported);
}

}  // namespace
}  // namespace hearth
