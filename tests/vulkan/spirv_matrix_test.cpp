// What becomes of the shaders with cooperative matrices before a driver sees them, and which sizes are
// chosen: nothing here needs a driver.
#include "device/vulkan/spirv_matrix.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "device/vulkan/matrices.h"
#include "device/vulkan/pipelines.h"

namespace hearth::vulkan {
namespace {

MatrixProperty offer(uint32_t m, uint32_t n, uint32_t k) {
  MatrixProperty p;
  p.m = m;
  p.n = n;
  p.k = k;
  p.c = p.result = matrix_f32;
  p.scope = matrix_subgroup;
  return p;
}

TEST(VulkanMatrixSizes, TheLargestThatFitsIsChosen) {
  const std::vector<MatrixProperty> list{offer(8, 8, 8), offer(16, 16, 16), offer(16, 8, 8)};
  EXPECT_EQ(choose_matrices(list, 32), (MatrixTiling{16, 16, 16, 2, 2}));
  EXPECT_EQ(choose_matrices(list, 64), (MatrixTiling{16, 16, 16, 1, 2}));
  EXPECT_EQ(choose_matrices(list, 128), (MatrixTiling{16, 16, 16, 1, 1}));
  // Eight subgroups: four above each other, or two, read as many matrices.
  const auto eight = choose_matrices(list, 16);
  ASSERT_TRUE(eight);
  EXPECT_EQ(eight->grid_m * eight->grid_n, 8U);
  EXPECT_EQ(choose_matrices({list.data(), 1}, 8), (MatrixTiling{8, 8, 8, 4, 4}));
  const std::vector<MatrixProperty> flat{offer(8, 16, 16)};
  EXPECT_EQ(choose_matrices(flat, 16), (MatrixTiling{8, 16, 16, 4, 2}));
}

TEST(VulkanMatrixSizes, WhatDoesNotFitIsRefused) {
  const auto chosen = [](const MatrixProperty& p, uint32_t subgroup) {
    return choose_matrices({&p, 1}, subgroup);
  };
  EXPECT_FALSE(choose_matrices({}, 32));
  EXPECT_TRUE(chosen(offer(16, 16, 16), 32));
  EXPECT_FALSE(chosen(offer(16, 16, 64), 32)) << "deeper than a tile";
  EXPECT_FALSE(chosen(offer(12, 16, 16), 32)) << "no part of a tile";
  EXPECT_FALSE(chosen(offer(0, 16, 16), 32));
  EXPECT_FALSE(chosen(offer(32, 32, 16), 8)) << "fewer matrices in a tile than subgroups";
  EXPECT_FALSE(chosen(offer(16, 16, 16), 0));
  EXPECT_FALSE(chosen(offer(16, 16, 16), 24)) << "no whole number of subgroups";
  EXPECT_FALSE(chosen(offer(8, 8, 16), 64)) << "more sums than registers";
  for (int32_t MatrixProperty::*type : {&MatrixProperty::a, &MatrixProperty::b}) {
    MatrixProperty p = offer(16, 16, 16);
    p.*type = matrix_f32;
    EXPECT_FALSE(chosen(p, 32)) << "inputs are no halves";
  }
  for (int32_t MatrixProperty::*type : {&MatrixProperty::c, &MatrixProperty::result}) {
    MatrixProperty p = offer(16, 16, 16);
    p.*type = matrix_f16;
    EXPECT_FALSE(chosen(p, 32)) << "sums are no floats";
  }
  MatrixProperty group = offer(16, 16, 16);
  group.scope = 2;
  EXPECT_FALSE(chosen(group, 32)) << "of a work group";
}

using Words = std::vector<uint32_t>;

// A module as lists of words, the opcode first.
std::vector<Words> taken_apart(const Words& module) {
  std::vector<Words> list;
  for (size_t at = 5; at < module.size();) {
    const size_t words = module[at] >> 16;
    if (words == 0 || at + words > module.size()) {
      ADD_FAILURE() << "an instruction has no end";
      return {};
    }
    list.emplace_back(module.begin() + static_cast<long>(at), module.begin() + static_cast<long>(at + words));
    list.back()[0] &= 0xffffU;
    at += words;
  }
  return list;
}

Words put_together(const std::vector<Words>& list, uint32_t bound = 100) {
  Words module{0x07230203, 0x00010500, 0, bound, 0};
  for (const Words& i : list) {
    module.push_back(static_cast<uint32_t>(i.size() << 16) | i[0]);
    module.insert(module.end(), i.begin() + 1, i.end());
  }
  return module;
}

// Operands count as in the extension's specification: the type has a use, the layout of loads and stores is a
// constant number before the stride.
void check_khronos(const Words& module) {
  ASSERT_GT(module.size(), 5U);
  EXPECT_EQ(module[0], 0x07230203U);
  std::map<uint32_t, uint32_t> numbers;  // 32-bit constants
  std::set<uint32_t> uses;
  uint32_t capabilities = 0, extensions = 0, types = 0, loads = 0, products = 0, stores = 0;
  for (const Words& i : taken_apart(module)) {
    EXPECT_FALSE(i[0] >= 5358 && i[0] <= 5362) << "an instruction of NVIDIA's extension is left";
    if (i[0] == 17) {
      EXPECT_NE(i[1], 5357U);
      capabilities += i[1] == 6022 ? 1 : 0;
    } else if (i[0] == 10) {
      const std::string name = reinterpret_cast<const char*>(&i[1]);
      EXPECT_NE(name, "SPV_NV_cooperative_matrix");
      extensions += name == "SPV_KHR_cooperative_matrix" ? 1 : 0;
    } else if (i[0] == 14) {
      EXPECT_EQ(i[2], 3U) << "the extension needs Vulkan's memory model";
    } else if (i[0] == 43 && i.size() == 4) {
      EXPECT_LT(i[2], module[3]);
      EXPECT_TRUE(numbers.emplace(i[2], i[3]).second) << "two results have one number";
    } else if (i[0] == 4456) {
      ASSERT_EQ(i.size(), 7U);
      ASSERT_TRUE(numbers.contains(i[3]) && numbers.contains(i[6])) << "scope and use are constants";
      EXPECT_EQ(numbers[i[3]], 3U);
      uses.insert(numbers[i[6]]);
      ++types;
    } else if (i[0] == 4457) {
      ASSERT_GE(i.size(), 6U);
      ASSERT_TRUE(numbers.contains(i[4]));
      EXPECT_LE(numbers[i[4]], 1U);
      ++loads;
    } else if (i[0] == 4458) {
      ASSERT_GE(i.size(), 5U);
      ASSERT_TRUE(numbers.contains(i[3]));
      EXPECT_EQ(numbers[i[3]], 0U) << "sums are stored row by row";
      ++stores;
    } else if (i[0] == 4459) {
      EXPECT_EQ(i.size(), 6U);
      ++products;
    }
  }
  EXPECT_EQ(capabilities, 1U);
  EXPECT_EQ(extensions, 1U);
  EXPECT_EQ(types, 3U);
  EXPECT_EQ(uses, (std::set<uint32_t>{0, 1, 2}));
  EXPECT_GE(loads, 2U);
  EXPECT_GE(products, 1U);
  EXPECT_GE(stores, 1U);
}

TEST(VulkanMatrixModules, AreWhatTheExtensionDemands) {
  size_t types = 0, tiles = 0;
  for (const Shader& shader : shaders()) {
    tiles += shader.name.starts_with("tile.") ? 1 : 0;
    if (!multiplies_matrices(shader)) continue;
    SCOPED_TRACE(std::string(shader.name));
    check_khronos(khr_matrices(shader.code));
    ++types;
  }
  EXPECT_EQ(types, tiles) << "every type of weights that floats serve";
  EXPECT_EQ(types, 29U) << "28 types of files, and one that is packed";
}

// Types 10 (A), 11 (B), 12 (sums) of a component, scope and two sizes; a load, a product, a store.
std::vector<Words> small_module() {
  return {{17, 1},
          {17, 5357},
          {10, 0x5f565053, 0x635f564e, 0x65706f6f, 0x69746172, 0x6d5f6576, 0x69727461, 0x78},
          {21, 2, 32, 0},
          {20, 3},
          {42, 3, 4},
          {41, 3, 5},
          {5358, 10, 6, 7, 8, 9},
          {5358, 11, 6, 7, 9, 8},
          {5358, 12, 6, 7, 8, 8},
          {54, 13, 14, 0, 15},
          {5359, 10, 20, 30, 31, 4},
          {5359, 11, 21, 30, 31, 5, 1, 2},
          {44, 12, 22, 32},
          {5361, 12, 23, 20, 21, 22},
          {5360, 33, 23, 31, 4},
          {5362, 2, 24, 12}};
}

TEST(VulkanMatrixModules, EachInstructionIsTranslated) {
  const Words made = khr_matrices(put_together(small_module()));
  EXPECT_EQ(made[3], 103U) << "three numbers were added";
  const auto list = taken_apart(made);
  ASSERT_EQ(list.size(), small_module().size() + 3);
  EXPECT_EQ(list[1], (Words{17, 6022}));
  EXPECT_STREQ(reinterpret_cast<const char*>(&list[2][1]), "SPV_KHR_cooperative_matrix");
  EXPECT_EQ(list[4], (Words{43, 2, 100, 0}));
  EXPECT_EQ(list[6], (Words{43, 2, 102, 2}));
  EXPECT_EQ(list[10], (Words{4456, 10, 6, 7, 8, 9, 100}));
  EXPECT_EQ(list[11], (Words{4456, 11, 6, 7, 9, 8, 101}));
  EXPECT_EQ(list[12], (Words{4456, 12, 6, 7, 8, 8, 102}));
  EXPECT_EQ(list[14], (Words{4457, 10, 20, 30, 100, 31}));
  EXPECT_EQ(list[15], (Words{4457, 11, 21, 30, 101, 31, 1, 2}));
  EXPECT_EQ(list[17], (Words{4459, 12, 23, 20, 21, 22}));
  EXPECT_EQ(list[18], (Words{4458, 33, 23, 100, 31}));
  EXPECT_EQ(list[19], (Words{4460, 2, 24, 12}));
}

void expect_refused(const Words& module, const char* why) {
  try {
    khr_matrices(module);
    ADD_FAILURE() << "not refused: " << why;
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::bug);
    EXPECT_NE(e.message.find(why), std::string::npos) << e.message;
  }
}

TEST(VulkanMatrixModules, WhatCannotBeTranslatedIsRefused) {
  expect_refused({}, "no SPIR-V");
  expect_refused({1, 2, 3, 4, 5, 6}, "no SPIR-V");
  Words cut = put_together(small_module());
  cut.pop_back();
  expect_refused(cut, "no end");
  cut = put_together({{17, 1}});
  cut.push_back(0);
  expect_refused(cut, "no end");
  auto list = small_module();
  list[14] = {5361, 12, 23, 20, 20, 22};
  expect_refused(put_together(list), "two uses");
  list[14] = {5361, 12, 23, 20, 31, 22};
  expect_refused(put_together(list), "no matrix");
  list = small_module();
  list.erase(list.begin() + 14);
  expect_refused(put_together(list), "no use");
  list = small_module();
  list[11][5] = 8;
  expect_refused(put_together(list), "layout");
  list = small_module();
  list.erase(list.begin() + 3);
  expect_refused(put_together(list), "unsigned");
  list = small_module();
  list[7].pop_back();
  expect_refused(put_together(list), "too short");
}

}  // namespace
}  // namespace hearth::vulkan
