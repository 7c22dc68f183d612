#include "convert/quantize.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "convert/synth.h"
#include "support/data.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

// A folder of its own that goes with the test.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("hearth-quantize-" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
};

std::vector<std::byte> model(const std::string& name) {
  return build_recipe(test::read_json(test::case_file("logits/" + name + ".json")).at("gguf"));
}

std::vector<float> values_of(const TensorInfo& t) {
  const TypeInfo& info = type_info(t.type);
  std::vector<float> x(t.data.size() / info.block_bytes * info.block_values);
  info.decode(t.data, x);
  return x;
}

Written quantized(const Gguf& in, const fs::path& out, const std::string& recipe, uint32_t threads = 2) {
  return quantize(in, out, {recipe, threads, nullptr, false}, {});
}

Code code_of(const std::function<void()>& work, const std::string& word) {
  try {
    work();
  } catch (const Error& e) {
    EXPECT_NE((e.message + e.remedy).find(word), std::string::npos) << e.what();
    return e.code;
  }
  ADD_FAILURE() << "no error";
  return Code::bug;
}

TEST(Quantize, KeepsMetadataAndVectorsAndSetsTheType) {
  const Folder folder;
  const auto image = model("llama");
  const Gguf in = Gguf::parse(image, "in");
  const Written written = quantized(in, folder.path / "out.gguf", "q4_k_m");
  const Gguf out = Gguf::open(folder.path / "out.gguf");
  EXPECT_EQ(written.file_type, 15U);
  EXPECT_EQ(written.bytes, out.file_bytes());
  EXPECT_EQ(out.u64("general.file_type"), 15U);
  EXPECT_EQ(out.u64("general.quantization_version"), 2U);
  for (const MetadataEntry& e : in.metadata()) {
    if (e.key == "general.file_type") continue;
    ASSERT_NE(out.find(e.key), nullptr) << e.key;
    EXPECT_EQ(out.find(e.key)->type, e.value.type) << e.key;
    EXPECT_EQ(summary(*out.find(e.key)), summary(e.value)) << e.key;
  }
  ASSERT_EQ(out.tensors().size(), in.tensors().size());
  for (size_t i = 0; i < in.tensors().size(); ++i) {
    const TensorInfo &a = in.tensors()[i], &b = out.tensors()[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.dims, b.dims) << a.name;
    if (is_quantizable(a.name, a.n_dims)) {
      EXPECT_NE(a.type, b.type) << a.name;
    } else {
      EXPECT_TRUE(std::equal(a.data.begin(), a.data.end(), b.data.begin(), b.data.end())) << a.name;
    }
  }
}

TEST(Quantize, EveryMixtureStaysCloseAndTheBytesDoNotDependOnThreads) {
  const Folder folder;
  const auto image = model("llama");
  const Gguf in = Gguf::parse(image, "in");
  for (const Mixture& m : known_mixtures()) {
    quantized(in, folder.path / "one", std::string(m.name), 1);
    const std::string one = read_file(folder.path / "one");
    for (const uint32_t threads : {2U, 3U, 7U}) {
      quantized(in, folder.path / "more", std::string(m.name), threads);
      EXPECT_EQ(one, read_file(folder.path / "more")) << m.name << " with " << threads << " threads";
    }
    const Gguf out = Gguf::open(folder.path / "one");
    double error = 0, power = 0;
    for (const TensorInfo& t : in.tensors()) {
      const auto x = values_of(t), y = values_of(*out.tensor(t.name));
      for (size_t i = 0; i < x.size(); ++i) {
        const double off = static_cast<double>(x[i]) - static_cast<double>(y[i]);
        error += off * off;
        power += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      }
    }
    // Half a step of a range of six deviations, generously: a swapped nibble or scale is far outside.
    const TypeInfo& most = type_info(m.most);
    const double bits = 8.0 * most.block_bytes / most.block_values;
    EXPECT_LT(std::sqrt(error / power), m.quantized() ? 3 / std::exp2(bits - 0.5) : 0.003) << m.name;
  }
  EXPECT_EQ(folder.files(), 2U);
}

TEST(Quantize, RefusesWhatHasLostAlready) {
  const Folder folder;
  const auto image = model("llama-Q8_0");
  const Gguf in = Gguf::parse(image, "in");
  EXPECT_EQ(code_of([&] { quantized(in, folder.path / "out", "Q4_K_M"); }, "F16"), Code::bad_request);
  EXPECT_EQ(folder.files(), 0U);
  quantized(in, folder.path / "out", "Q8_0");  // as it is
  quantize(in, folder.path / "out", {"Q4_K_M", 2, nullptr, true}, {});
  EXPECT_EQ(Gguf::open(folder.path / "out").u64("general.file_type"), 15U);
  EXPECT_EQ(code_of([&] { quantized(in, folder.path / "out", "Q9"); }, "Q4_K_M"), Code::bad_request);
  EXPECT_EQ(code_of([&] { quantized(in, folder.path / "no" / "out", "Q8_0"); }, "no such folder"),
            Code::not_found);
}

TEST(Quantize, RefusesWeightsThatAreNoNumbersOrTooLarge) {
  const Folder folder;
  for (const float bad : {NAN, INFINITY, -INFINITY, 1e6F}) {
    GgufWriter writer;
    writer.put("general.architecture", std::string_view("llama"));
    writer.add("blk.0.attn_q.weight", DType::f32, {256, 40}, [&](uint64_t first, std::span<std::byte> out) {
      std::vector<float> x(out.size() / 4, 0.25F);
      if (first == 0) x[9000] = bad;
      std::memcpy(out.data(), x.data(), out.size());
    });
    const auto image = writer.image();
    const Gguf in = Gguf::parse(image, "in");
    const Code code =
        code_of([&] { quantized(in, folder.path / "out", "Q4_K_M", 3); }, "blk.0.attn_q.weight");
    EXPECT_EQ(code, bad == 1e6F ? Code::bad_request : Code::corrupt_file);
    EXPECT_EQ(folder.files(), 0U);
  }
}

TEST(Quantize, ProgressGoesUpToTheEndAndCanStopTheWork) {
  const Folder folder;
  const auto image = model("llama");
  const Gguf in = Gguf::parse(image, "in");
  uint64_t last = 0, total = 0, calls = 0;
  quantize(in, folder.path / "out", {"Q4_0", 2, nullptr, false}, [&](uint64_t done, uint64_t all) {
    EXPECT_GE(done, last);
    last = done;
    total = all;
    ++calls;
  });
  EXPECT_EQ(last, total);
  EXPECT_GE(calls, in.tensors().size());
  fs::remove(folder.path / "out");
  EXPECT_THROW(quantize(in, folder.path / "out", {"Q4_0", 2, nullptr, false},
                        [](uint64_t, uint64_t) { throw Error(Code::cancelled, "enough", ""); }),
               Error);
  EXPECT_EQ(folder.files(), 0U);
}

TEST(Quantize, ImportanceLowersTheLossOfImportantColumns) {
  const Folder folder;
  const auto image = model("llama");
  const Gguf in = Gguf::parse(image, "in");
  const std::string name = "blk.0.ffn_gate.weight";
  const uint64_t cols = in.tensor(name)->dims[0];
  ImportanceMatrix importance;
  for (uint64_t i = 0; i < cols; ++i) importance[name].push_back(i % 16 == 3 ? 50.0F : 0.5F);
  quantized(in, folder.path / "plain", "Q4_K_M");
  quantize(in, folder.path / "weighed", {"Q4_K_M", 2, &importance, false}, {});
  const auto loss = [&](const char* file) {
    const Gguf out = Gguf::open(folder.path / file);
    const auto x = values_of(*in.tensor(name)), y = values_of(*out.tensor(name));
    double error = 0;
    for (size_t i = 3; i < x.size(); i += 16) error += std::pow(static_cast<double>(x[i] - y[i]), 2);
    return error;
  };
  EXPECT_LT(loss("weighed"), 0.8 * loss("plain"));
  importance[name].pop_back();
  EXPECT_EQ(code_of(
                [&] {
                  quantize(in, folder.path / "out", {"Q4_K_M", 2, &importance, false}, {});
                },
                name),
            Code::bad_request);
}

TEST(Quantize, ReadsAnImportanceMatrix) {
  GgufWriter writer;
  const auto put = [&](const std::string& name, std::vector<uint64_t> dims, std::vector<float> x) {
    writer.add(name, DType::f32, std::move(dims), [x](uint64_t first, std::span<std::byte> out) {
      std::memcpy(out.data(), reinterpret_cast<const char*>(x.data()) + first, out.size());
    });
  };
  put("a.weight.in_sum2", {3, 2}, {2, 4, 6, 8, 10, 12});
  put("a.weight.counts", {1, 2}, {2, 0});
  const auto image = writer.image();
  const ImportanceMatrix read = read_importance(Gguf::parse(image, "matrix"));
  EXPECT_EQ(read.at("a.weight"), (std::vector<float>{1, 2, 3, 1, 1, 1}));
  const auto other = model("llama");
  EXPECT_THROW(read_importance(Gguf::parse(other, "model")), Error);
}

// The reference quantizer's own results on the same models: the same types, the same size, no more loss.
TEST(Quantize, AssignsTypesAndLosesAsTheReferenceOrLess) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  const Folder folder;
  const Json reference = test::read_json(test::reference_dir() / "quantizer.json");
  size_t rows = 0;
  for (const Json& m : reference.at("models").as_array()) {
    const std::string name(m.at("model").as_string());
    const Json recipe = test::read_json(test::reference_dir() / "logits" / (name + ".json"));
    const auto image = build_recipe(recipe.at("gguf"));
    const Gguf in = Gguf::parse(image, name);
    for (const Json& row : m.at("rows").as_array()) {
      const std::string type(row.at("type").as_string());
      if (type == "IQ3_S") continue;  // hearth does not write it
      quantized(in, folder.path / "out", type);
      const Gguf out = Gguf::open(folder.path / "out");
      double error = 0, power = 0;
      for (const auto& [wanted, tensors] : row.at("tensors").as_object()) {
        for (const Json& tensor : tensors.as_array()) {
          const TensorInfo* t = out.tensor(std::string_view(tensor.as_string()));
          ASSERT_NE(t, nullptr);
          EXPECT_EQ(type_info(t->type).name, std::string_view(wanted))
              << name << " " << type << " " << t->name;
          const auto x = values_of(*in.tensor(t->name)), y = values_of(*t);
          for (size_t i = 0; i < x.size(); ++i) {
            error += std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
            power += std::pow(static_cast<double>(x[i]), 2);
          }
        }
      }
      EXPECT_LE(std::sqrt(error / power), row.at("relative_rmse").to_number<double>() * 1.0001)
          << name << " " << type;
      EXPECT_LE(out.file_bytes(), row.at("bytes").to_number<uint64_t>()) << name << " " << type;
      ++rows;
    }
  }
  EXPECT_EQ(rows, 32U);
}

}  // namespace
}  // namespace hearth
