#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "device/device.h"
#include "device/vulkan/vulkan_module.h"
#include "reference.h"

// A program under construction that runs on two devices alike.
namespace hearth::vulkan {

// The module of this process, and its first device (Mesa's software driver where there is no other); null
// where there is no driver: such a test fails, because scripts/packages installs one.
VulkanModule& module();
std::unique_ptr<Device> open_first();
// Whether every operation of the model has a shader there.
bool runs_on_first(const test::Reference& reference, KvTypes kv);
// The same with kernels of the test's own choice, and submissions that aim at so many seconds.
std::unique_ptr<VulkanDevice> open_variants(const Variants& variants, double aim = Clock::usual_aim);
// What the driver can do and HEARTH_VULKAN_VARIANTS allows, products in floats.
Variants float_variants();
// The same with products in integers.
Variants integer_variants();

// One step: rows of sequences as slices, in row order.
struct Steps {
  std::vector<Slice> slices;
  uint32_t exact = 0;
  std::vector<uint32_t> wanted;  // empty: all rows
  uint32_t context = 0;          // tokens per sequence at most; 0: what the slices hold
};

class Rig {
 public:
  explicit Rig(uint32_t seed = 17) : random_(seed) {}

  Act act(uint32_t cols);
  void push(Op op);
  // Normally distributed values × scale + offset, rounded to the type.
  Weight weight(uint32_t rows, uint32_t cols, DType type = DType::f32, float scale = 1, float offset = 0,
                uint32_t stack = 1);

  // Rows that bytes with a scale per 32 columns represent exactly: multiples of 1/32 up to 127/32.
  Weight grid(uint32_t rows, uint32_t cols);
  // The values of a weight.
  std::vector<float> values_of(Weight w) const;

  // Runs each of `steps` in turn on the device (the cache is kept between them); results of the last one.
  std::vector<std::vector<float>> run(Device& device, const std::vector<Steps>& steps, KvTypes kv = {});

  Program program;

 private:
  std::vector<std::vector<std::byte>> data_;
  std::mt19937 random_;
};

// A mixture of nine experts with weights of a type, of which three are used; `before`: softmax before the
// choice.
void push_mixture(Rig& rig, DType type, bool before);

// Both devices, same steps: values differ by no more than `tolerance` · (their row's largest magnitude).
void expect_same(Rig& rig, const std::vector<Steps>& steps, double tolerance, KvTypes kv = {});
void expect_same(Rig& rig, Device& gpu, const std::vector<Steps>& steps, double tolerance, KvTypes kv = {});

Steps one_sequence(uint32_t rows, uint32_t exact, uint32_t cached = 0);

}  // namespace hearth::vulkan
