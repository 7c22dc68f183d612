// How much the quantizer costs where it counts: the KL divergence of the quantized model to the one in F16,
// against what the reference's quantizer reaches at the same size.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <iostream>

#include "base/file.h"
#include "convert/quantize.h"
#include "reference.h"
#include "support/data.h"

namespace hearth::test {
namespace {

std::vector<double> probabilities(const std::vector<float>& scores) {
  double most = -INFINITY, sum = 0;
  for (const float s : scores) most = std::max(most, static_cast<double>(s));
  std::vector<double> p;
  for (const float s : scores) sum += p.emplace_back(std::exp(static_cast<double>(s) - most));
  for (double& x : p) x /= sum;
  return p;
}

// Mean over positions of KL(a ‖ b).
double divergence(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  double kl = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto p = probabilities(a[i]), q = probabilities(b[i]);
    for (size_t k = 0; k < p.size(); ++k) kl += p[k] > 0 ? p[k] * std::log(p[k] / q[k]) : 0;
  }
  return kl / static_cast<double>(a.size());
}

// The model with its weights quantized.
Reference quantized(const Reference& model, const std::string& recipe) {
  const auto path =
      std::filesystem::temp_directory_path() / ("hearth-quantizer-" + std::to_string(::getpid()) + ".gguf");
  quantize(model.file(), path, {recipe, 2, nullptr, false}, {});
  const std::string bytes = read_file(path);
  std::filesystem::remove(path);
  Reference out = model;
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
  out.image.assign(begin, begin + bytes.size());
  return out;
}

TEST(Quantizer, CostsNoMoreThanTheReferenceQuantizer) {
  if (reference_dir().empty()) GTEST_SKIP() << no_reference();
  const Json all = read_json(reference_dir() / "quantizer.json");
  size_t rows = 0;
  for (const Json& m : all.at("models").as_array()) {
    const std::string name(m.at("model").as_string());
    const Reference model((reference_dir() / "logits" / (name + ".json")).string());
    const auto original = Loaded(model, {}).scores(model.tokens(), true);
    for (const Json& row : m.at("rows").as_array()) {
      const std::string type(row.at("type").as_string());
      if (type == "IQ3_S") continue;  // hearth does not write it
      const auto scores = Loaded(quantized(model, type), {}).scores(model.tokens(), true);
      const double kl = divergence(original, scores), theirs = row.at("exact").at("kl").to_number<double>();
      std::cout << name << " " << type << ": KL " << kl << ", reference " << theirs << "\n";
      EXPECT_LE(kl, 1.1 * theirs) << name << " " << type;
      ++rows;
    }
  }
  EXPECT_EQ(rows, 32U);
}

// The same with a model that travels with the project: measured when the quantizer was written, plus a tenth.
TEST(Quantizer, CostsLittle) {
  const Reference model(fixture("llama"));
  const auto original = Loaded(model, {}).scores(model.tokens(), true);
  const std::pair<const char*, double> bounds[] = {{"Q8_0", 3.9e-4}, {"Q6_K", 4.3e-3}, {"Q4_K_M", 0.077}};
  for (const auto& [recipe, bound] : bounds) {
    const auto scores = Loaded(quantized(model, recipe), {}).scores(model.tokens(), true);
    EXPECT_LE(divergence(original, scores), bound) << recipe;
  }
}

}  // namespace
}  // namespace hearth::test
