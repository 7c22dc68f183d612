#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "device/device.h"
#include "engine/engine.h"
#include "formats/gguf.h"

namespace hearth::test {

// One model of the reference data (or of tests/cases/logits): its file made from the recipe, in memory.
struct Reference {
  Json data;
  std::vector<std::byte> image;
  std::string name;

  explicit Reference(const std::string& path);
  explicit Reference(Json reference);

  std::vector<TokenId> tokens() const;
  Gguf file() const { return Gguf::parse(image, name); }
};

struct RunOptions {
  std::string set;  // instruction set, "" = best
  bool exact = true;
  KvTypes kv{KvType::f32, KvType::f32};
  uint32_t threads = 2;
  uint32_t rows = 512;
  uint32_t parallel = 4;
  // So many of the last layers, the head counted first, on a second device.
  std::optional<uint32_t> second = std::nullopt;
  std::unique_ptr<Device> (*open)() = nullptr;         // another device than the CPU
  std::unique_ptr<Device> (*open_second)() = nullptr;  // instead of a second such device
  bool two_pass = false;                               // attention
  bool beside = false;  // the first device is an accelerator, beside it a CPU for what it refuses
};

// A loaded model with all that it stands on.
class Loaded {
 public:
  Loaded(const Reference& reference, const RunOptions& options);

  Engine& engine() { return *engine_; }
  // Scores of all positions (or of the last), [position][output].
  std::vector<std::vector<float>> scores(const std::vector<TokenId>& tokens, bool every);

 private:
  Gguf file_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::unique_ptr<Engine> engine_;
};

// How far scores lie from the reference, in its own terms.
struct Distance {
  double max_abs = 0;      // over all stored logits and the last position
  double kl = 0;           // mean over positions, over the stored eight and the rest
  double cosine_loss = 0;  // embedders
  std::vector<std::pair<double, double>> positions = {};  // the largest difference and KL of each

  // With one position left out, that of the largest difference.
  Distance without_worst() const;
};
Distance distance(const Json& reference, const std::vector<std::vector<float>>& scores);

// Largest difference between two runs.
double max_difference(const std::vector<float>& a, const std::vector<float>& b);

// The small models that travel with the project, by name.
std::string fixture(const std::string& name);

}  // namespace hearth::test
