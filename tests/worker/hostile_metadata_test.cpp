// Model files whose metadata contradict themselves or name what hearth does not know: one error that says so,
// before anything is computed.
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "model/model.h"
#include "reference.h"

namespace hearth::test {
namespace {

using Change = std::function<void(json::object& recipe)>;

Change set(std::string key, Json value) {
  return [key = std::move(key), value = std::move(value)](json::object& recipe) {
    for (Json& entry : recipe.at("metadata").as_array()) {
      if (entry.at(0).as_string() != key) continue;
      entry.at(2) = value;
      return;
    }
    recipe.at("metadata").as_array().push_back(json::array{key, "u32", value});
  };
}

Json* find_tensor(json::object& recipe, std::string_view name) {
  for (Json& tensor : recipe.at("tensors").as_array()) {
    if (tensor.at("name").as_string() == name) return &tensor;
  }
  return nullptr;
}

// A copy of a tensor under another name.
Change with_tensor(std::string like, std::string name) {
  return [like = std::move(like), name = std::move(name)](json::object& recipe) {
    Json copy = *find_tensor(recipe, like);
    copy.as_object()["name"] = name;
    recipe.at("tensors").as_array().push_back(copy);
  };
}

Change without_tensor(std::string name) {
  return [name = std::move(name)](json::object& recipe) {
    json::array& all = recipe.at("tensors").as_array();
    const Json* found = find_tensor(recipe, name);
    if (found != nullptr) all.erase(all.begin() + (found - all.data()));
  };
}

// What binding the changed fixture says; "" if it is taken.
std::string fault(const char* name, const Change& change) {
  Json data = Reference(fixture(name)).data;
  change(data.at("gguf").as_object());
  const Reference r(std::move(data));
  try {
    bind_model(r.file());
  } catch (const Error& e) {
    EXPECT_TRUE(e.code == Code::corrupt_file || e.code == Code::unsupported) << e.message;
    EXPECT_FALSE(e.remedy.empty());
    return e.message;
  }
  return "";
}

TEST(HostileMetadata, IsToldByName) {
  const auto nothing = [](json::object&) {};
  for (const char* name :
       {"glm4moe-nextn", "deepseek2", "deepseek3", "qwen2moe", "mamba", "mamba2", "qwen35"})
    EXPECT_EQ(fault(name, nothing), "") << name;
  EXPECT_EQ(fault("glm4moe-nextn", set("glm4moe.nextn_predict_layers", 400)).substr(0, 6), "400 of");
  EXPECT_EQ(fault("qwen35", set("qwen35.nextn_predict_layers", 400)).substr(0, 6), "400 of");
  EXPECT_EQ(fault("deepseek3", set("deepseek2.expert_shared_count", 1U << 29)).substr(0, 14),
            "shared experts");
  EXPECT_NE(fault("deepseek3", set("deepseek2.expert_used_count", 0)).find("0 of"), std::string::npos);
  EXPECT_EQ(fault("mamba", without_tensor("blk.0.ssm_dt.bias")), "tensor 'blk.0.ssm_dt.bias' is missing");
  EXPECT_NE(fault("deepseek2", with_tensor("blk.0.attn_kv_a_norm.weight", "blk.0.attn_kv_a_norm.bias"))
                .find("'blk.0.attn_kv_a_norm.bias' is none that hearth knows"),
            std::string::npos);
  EXPECT_NE(fault("qwen2moe", with_tensor("blk.0.attn_norm.weight", "blk.0.ffn_up_shexp.bias"))
                .find("'blk.0.ffn_up_shexp.bias' is none that hearth knows"),
            std::string::npos);
}

// A key for models without attention does not switch off what is known of heads.
TEST(HostileMetadata, NoHeadsOfHugeSizes) {
  for (const char* name : {"qwen3", "llama"}) {
    const std::string arch = name;
    EXPECT_NE(fault(name,
                    [&](json::object& recipe) {
                      set(arch + ".attention.head_count", 0)(recipe);
                      set(arch + ".ssm.state_size", 16)(recipe);
                      set(arch + ".attention.key_length", 1U << 30)(recipe);
                      set(arch + ".rope.dimension_count", 1U << 30)(recipe);
                    }),
              "");
  }
}

}  // namespace
}  // namespace hearth::test
