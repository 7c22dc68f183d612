#include "worker/inspect.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "formats/gguf_writer.h"
#include "reference.h"
#include "worker/open_model.h"

namespace hearth {
namespace {

TEST(Inspect, TheBuiltInModelTellsWhatItIs) {
  const Json j = inspect_model("");
  EXPECT_EQ(j.at("architecture"), "llama");
  EXPECT_GT(j.at("parameter_count").to_number<uint64_t>(), 1'000'000U);
  EXPECT_EQ(j.at("model_info").at("general.parameter_count"), j.at("parameter_count"));
  EXPECT_EQ(j.at("capabilities").at(0), "completion");
  EXPECT_NE(j.at("template").as_string().find("messages"), json::string::npos);
  EXPECT_TRUE(j.at("model_info").at("tokenizer.ggml.tokens").is_null());
  EXPECT_FALSE(j.at("model_info").as_object().contains("tokenizer.chat_template"));
  EXPECT_FALSE(j.at("tensors").as_array().empty());
  EXPECT_GT(inspect_model("", true).at("model_info").at("tokenizer.ggml.tokens").as_array().size(), 500U);
}

TEST(Inspect, AnEmbeddingModelIsOne) {
  const test::Reference reference(test::fixture("qwen3-embed"));
  const auto path = std::filesystem::temp_directory_path() / "hearth-inspect.gguf";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(reference.image.data()),
             static_cast<std::streamsize>(reference.image.size()));
  const Json j = inspect_model(path);
  std::filesystem::remove(path);
  EXPECT_EQ(j.at("capabilities"), json::array{"embedding"});
  EXPECT_EQ(j.at("file_type"), "F16");
}

TEST(Inspect, AFileThatIsNoModelIsAnError) {
  EXPECT_THROW(inspect_model("/nonexistent/model.gguf"), Error);
  EXPECT_THROW(inspect_model("/dev/null"), Error);
}

// A file of an architecture that this version does not know is told so, whatever else it lacks.
TEST(Inspect, AnUnknownArchitectureIsNamedFirst) {
  const auto path =
      std::filesystem::temp_directory_path() / ("hearth-arch-" + std::to_string(::getpid()) + ".gguf");
  for (const auto& [architecture, told] :
       {std::pair{"madeup", "unknown architecture 'madeup'"}, std::pair{"llama", "tokenizer.ggml.tokens"}}) {
    GgufWriter writer;
    writer.put("general.architecture", std::string(architecture));
    writer.write(path);
    try {
      OpenModel::open(path.string());
      FAIL() << architecture;
    } catch (const Error& e) {
      EXPECT_NE(e.message.find(told), std::string::npos) << e.message;
    }
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace hearth
