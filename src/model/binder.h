#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device/program.h"
#include "formats/gguf.h"

namespace hearth {

enum class Presence : uint8_t { required, optional };

// A projection: matrix, bias where the file has one, and the factor that some types keep beside the matrix.
struct LinearW {
  Weight weight, bias;
  float scale = 1;
  uint32_t out = 0, in = 0;
  explicit operator bool() const { return static_cast<bool>(weight); }
};

struct NormW {
  Weight gain, bias;
  explicit operator bool() const { return static_cast<bool>(gain); }
};

// Name, shape and number of each tensor that a model uses. Every shape is checked here: an
// Error(corrupt_file) names the tensor, what was expected and what was found.
class Binder {
 public:
  explicit Binder(const Gguf& file) : file_(file) {}

  // `name` without ".weight"; ".bias" and ".scale" are taken along. A missing optional tensor gives an empty
  // result.
  LinearW linear(const std::string& name, uint64_t out, uint64_t in, Presence presence = Presence::required);
  // One matrix per expert.
  LinearW stack(const std::string& name, uint64_t experts, uint64_t out, uint64_t in,
                Presence presence = Presence::required);
  NormW norm(const std::string& name, uint64_t width, Presence presence = Presence::required);
  // Any other tensor, by its whole name.
  Weight tensor(const std::string& name, Shape shape, Presence presence = Presence::required) {
    return bind(name, shape, presence);
  }
  // Throws Error(unsupported) where the file has a tensor that would be left out in silence.
  void refuse(const std::string& tensor) const;
  // A vector of numbers that the model description itself needs (rope factors); empty if there is none.
  std::vector<float> values(const std::string& tensor, uint64_t count) const;

  // [weight id − 1]
  const std::vector<WeightInfo>& weights() const noexcept { return infos_; }
  const std::vector<const TensorInfo*>& tensors() const noexcept { return tensors_; }
  const Gguf& file() const noexcept { return file_; }

 private:
  Weight bind(const std::string& name, Shape shape, Presence presence);
  float scale_of(const std::string& name) const;

  const Gguf& file_;
  std::vector<WeightInfo> infos_;
  std::vector<const TensorInfo*> tensors_;
};

}  // namespace hearth
