// All tests share one driver: opening it and compiling its pipelines is what costs time here. The validation
// layer is on, and whatever it says fails the test in whose time it said it.
#include <gtest/gtest.h>

#include <cstdlib>

// Drivers, their compilers and the layer keep memory until the process ends, from libraries that are unloaded
// by then, so that no suppression can name them: leaks are looked for by the other test programs.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "detect_leaks=0";
}

int main(int argc, char** argv) {
  ::setenv("HEARTH_VULKAN_VALIDATE", "1", 0);
  ::setenv("ASAN_OPTIONS", "detect_leaks=0", 0);  // for the programs that the tests start
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
