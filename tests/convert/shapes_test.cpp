#include "convert/shapes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/gguf.h"

namespace hearth {
namespace {

TEST(Shapes, EveryShapeAndQuantMakesAFile) {
  for (const ModelShape& shape : known_shapes()) {
    for (const std::string_view quant : known_quants()) {
      const GgufWriter writer = synthetic_model(shape.name, quant);
      EXPECT_GT(writer.file_bytes(), 1U << 20) << shape.name << " " << quant;
    }
  }
}

TEST(Shapes, SizesAreThoseOfTheRealFiles) {
  // Published files: Qwen3 1.7B Q4_K_M 1.11 GB (its embedding is Q6_K there too), Q8_0 1.83 GB; Llama 3.1 8B
  // Q4_K_M 4.92 GB.
  const auto gigabytes = [](const char* shape, const char* quant) {
    return static_cast<double>(synthetic_model(shape, quant).file_bytes()) / 1e9;
  };
  EXPECT_NEAR(gigabytes("qwen3-1.7b", "Q4_K_M"), 1.11, 0.06);
  EXPECT_NEAR(gigabytes("qwen3-1.7b", "Q8_0"), 1.83, 0.06);
  EXPECT_NEAR(gigabytes("llama3.1-8b", "Q4_K_M"), 4.92, 0.1);
}

TEST(Shapes, TypesWithoutAMixtureAreTakenAsTheyAre) {
  const auto gigabytes = [](const char* quant) {
    return static_cast<double>(synthetic_model("llama3.1-8b", quant).file_bytes()) / 1e9;
  };
  for (const char* quant : {"IQ1_S", "IQ2_XXS", "IQ3_S", "TQ2_0", "NVFP4", "Q1_0"})
    EXPECT_LT(gigabytes(quant), gigabytes("Q4_K_M")) << quant;
}

TEST(Shapes, UnknownNamesListTheKnownOnes) {
  try {
    synthetic_model("gpt-9", "Q4_K_M");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(e.remedy.find("qwen3-1.7b"), std::string::npos);
  }
  EXPECT_THROW(synthetic_model("qwen3-1.7b", "Q9"), Error);
}

TEST(Shapes, TheImageInMemoryIsAModel) {
  const SyntheticModel model("smollm2-360m", "Q4_0", 2);
  const Gguf file = Gguf::parse(model.bytes(), "made up");
  EXPECT_EQ(file.string("general.architecture"), "llama");
  EXPECT_EQ(file.strings("tokenizer.ggml.tokens").size(), 49152U);
  const TensorInfo* last = file.tensor("blk.31.ffn_down.weight");
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(file.view(*last).shape, (Shape{960, 2560, 1}));
  std::vector<std::byte> same(18 * 8);
  synthesise({"blk.31.ffn_down.weight", DType::q4_0, Fill::blocks,
              block_scale(DType::q4_0, 1 / std::sqrt(2560.0)), 0, 1},
             0, same);
  EXPECT_TRUE(std::equal(same.begin(), same.end(), last->data.begin()));
}

}  // namespace
}  // namespace hearth
