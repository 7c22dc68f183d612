#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include "convert/synth.h"
#include "formats/gguf.h"
#include "support/data.h"

namespace hearth {
namespace {

std::string sha256_of(std::span<const std::byte> bytes) {
  const auto path = std::filesystem::temp_directory_path() / "hearth-recipe.bin";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(
      ::popen(("sha256sum " + path.string()).c_str(), "r"), ::pclose);
  char digest[65] = {};
  const bool read = std::fread(digest, 1, 64, pipe.get()) == 64;
  std::filesystem::remove(path);
  return read ? digest : "";
}

TEST(Recipe, ReferenceFilesByteForByte) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  size_t files = 0;
  for (const auto& path : test::files_in(test::reference_dir() / "logits", ".json")) {
    const Json data = test::read_json(path);
    const Json& recipe = data.at("gguf");
    const auto image = build_recipe(recipe);
    EXPECT_EQ(image.size(), recipe.at("bytes").to_number<uint64_t>()) << path;
    EXPECT_EQ(sha256_of(image), std::string(recipe.at("sha256").as_string())) << path;
    ++files;
  }
  EXPECT_EQ(files, 154U);
}

TEST(Recipe, CheckValues) {
  // Seed 1, token_embd.weight: the first values that the generator's description states.
  std::vector<std::byte> bytes(4 * 4);
  synthesise({"token_embd.weight", DType::f32, Fill::uniform, 1, 0, 1}, 0, bytes);
  float u[4];
  std::memcpy(u, bytes.data(), sizeof u);
  EXPECT_EQ(u[0], -0.23586786F);
  EXPECT_EQ(u[1], 0.5757694F);
  synthesise({"token_embd.weight", DType::f32, Fill::normal, 1, 0, 1}, 0, bytes);
  std::memcpy(u, bytes.data(), sizeof u);
  EXPECT_EQ(u[0], -1.0698547F);
  EXPECT_EQ(u[3], -1.134491F);
}

TEST(Synth, RangesMakeTheWhole) {
  for (const DType type : {DType::q4_k, DType::q8_0, DType::f16}) {
    const TypeInfo& info = type_info(type);
    const TensorRecipe recipe{"x", type, info.block_values > 1 ? Fill::blocks : Fill::uniform, 0.01F, 0, 9};
    std::vector<std::byte> whole(16 * info.block_bytes), part(4 * info.block_bytes);
    synthesise(recipe, 0, whole);
    synthesise(recipe, uint64_t{8} * info.block_values, part);
    EXPECT_EQ(std::memcmp(whole.data() + 8 * info.block_bytes, part.data(), part.size()), 0) << info.name;
  }
}

TEST(Synth, BlocksHaveTheWantedSpread) {
  for (const TypeInfo* type : all_types()) {
    if (type->block_values == 1 || type->decode == nullptr || type->type == DType::nvfp4) continue;
    const TensorRecipe recipe{"w", type->type, Fill::blocks, block_scale(type->type, 0.03125), 0, 5};
    std::vector<std::byte> bytes(256 * type->block_bytes);
    std::vector<float> values(256 * type->block_values);
    synthesise(recipe, 0, bytes);
    type->decode(bytes, values);
    double squares = 0;
    for (const float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
    const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
    EXPECT_NEAR(deviation, 0.03125, 0.03125 * 0.45) << type->name;
  }
}

}  // namespace
}  // namespace hearth
