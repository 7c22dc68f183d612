// Each operation of whole models against the CPU, on the same inputs.
#include "worker/compare.h"

#include <gtest/gtest.h>

#include "reference.h"
#include "rig.h"

namespace hearth::test {
namespace {

TEST(VulkanCompare, OperationByOperation) {
  for (const char* name : {"mixtral", "qwen3"}) {
    const Reference r(fixture(name));
    const Gguf file = r.file();
    const auto cpu = open_cpu_device({"", 2, true}), gpu = vulkan::open_first();
    uint32_t seen = 0;
    const auto found = compare_devices(bind_model(file), file, *cpu, *gpu, {KvType::f32, KvType::f32}, 40,
                                       [&](const OpDifference&) { ++seen; });
    EXPECT_FALSE(found) << name << ": " << found->kind << " in layer " << found->layer << " "
                        << found->difference << " > " << found->tolerance;
    EXPECT_GT(seen, 10U);
  }
}

}  // namespace
}  // namespace hearth::test
