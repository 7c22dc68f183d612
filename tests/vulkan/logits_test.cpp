// Whole models: the reference's scores with every layer on the Vulkan device. Its arithmetic is float
// throughout, so the class is that of float arithmetic.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <limits>
#include <set>

#include "base/error.h"
#include "reference.h"
#include "rig.h"
#include "support/data.h"

namespace hearth::test {
namespace {

double limit(const Json& reference, const char* what) {
  const json::object& f32 = reference.at("tolerance").at("f32").as_object();
  const Json* value = f32.if_contains(what);
  return value == nullptr ? std::numeric_limits<double>::infinity() : value->to_number<double>();
}

RunOptions options(KvTypes kv = {KvType::f32, KvType::f32}) {
  RunOptions o;
  o.kv = kv;
  o.rows = 64;
  o.open = &vulkan::open_first;
  return o;
}

void check_model(const std::string& path) {
  const Reference r(path);
  RunOptions o = options();
  o.beside = !vulkan::runs_on_first(r, o.kv);
  if (o.beside) std::cout << r.name << ": what has no shader on the CPU\n";
  Loaded model(r, o);
  const Distance d = distance(r.data, model.scores(r.tokens(), r.data.as_object().contains("top8")));
  EXPECT_LE(d.max_abs, limit(r.data, "max_abs")) << r.name;
  EXPECT_LE(d.kl, limit(r.data, "kl")) << r.name;
  EXPECT_LE(d.cosine_loss, limit(r.data, "cosine_loss")) << r.name;
}

TEST(VulkanLogits, FixturesOfEveryArchitecture) {
  for (const auto& path : files_in(case_file("logits"), ".json")) check_model(path.string());
}

TEST(VulkanLogits, ReferenceModels) {
  if (reference_dir().empty()) GTEST_SKIP() << no_reference();
  std::set<std::string> known;
  for (const Architecture& a : architectures()) known.emplace(a.name);
  size_t models = 0;
  for (const auto& path : files_in(reference_dir() / "logits", ".json")) {
    if (!known.contains(std::string(read_json(path).at("architecture").as_string()))) continue;
    check_model(path.string());
    ++models;
  }
  std::cout << models << " reference models on " << vulkan::open_first()->info().description << "\n";
  EXPECT_GE(models, 60U);
}

}  // namespace
}  // namespace hearth::test
