#include <gtest/gtest.h>

#include "base/error.h"
#include "cli/talker.h"

namespace hearth {
namespace {

TEST(RequireGpu, IsContentWithAnyGpu) {
  EXPECT_NO_THROW(check_gpu("vulkan0"));
  EXPECT_NO_THROW(check_gpu("vulkan0, cpu"));
  EXPECT_NO_THROW(check_gpu("cpu, cuda1"));
}

TEST(RequireGpu, RefusesTheCpuAndWhatIsNotKnown) {
  for (const char* devices : {"cpu", "cpu, cpu", ""}) {
    try {
      check_gpu(devices);
      FAIL() << devices;
    } catch (const Error& e) {
      EXPECT_EQ(e.code, Code::unsupported);
      EXPECT_NE(e.remedy.find("hearth doctor"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace hearth
