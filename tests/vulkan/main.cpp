// All tests share one driver: opening it and compiling its pipelines is what costs time here. The validation
// layer is on, and whatever it says fails the test in whose time it said it.
#include <gtest/gtest.h>

#include <cstdlib>

// What drivers, their compiler and the layer keep until the process ends is theirs.
extern "C" __attribute__((visibility("default"))) const char* __lsan_default_suppressions() {
  return "leak:libvulkan\nleak:libLLVM\nleak:libVkLayer\nleak:libdrm\nleak:libllvm\nleak:swrast\n";
}

int main(int argc, char** argv) {
  ::setenv("HEARTH_VULKAN_VALIDATE", "1", 0);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
