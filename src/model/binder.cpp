#include "model/binder.h"

#include <fmt/format.h>

#include <cstring>

#include "base/error.h"

namespace hearth {
namespace {

std::string shape_text(const Shape& s) {
  if (s.stack > 1) return fmt::format("{} × {} × {}", s.stack, s.rows, s.cols);
  return fmt::format("{} × {}", s.rows, s.cols);
}

[[noreturn]] void wrong_shape(const std::string& name, const Shape& expected, const Shape& found) {
  throw Error(Code::corrupt_file,
              fmt::format("tensor '{}' is {}, expected {}", name, shape_text(found), shape_text(expected)),
              "the file contradicts its own metadata: convert the model again or get it from another source");
}

}  // namespace

Weight Binder::bind(const std::string& name, Shape shape, Presence presence) {
  const TensorInfo* tensor = file_.tensor(name);
  if (tensor == nullptr) {
    if (presence == Presence::optional) return {};
    throw Error(
        Code::corrupt_file, fmt::format("tensor '{}' is missing", name),
        "the file is incomplete or of a variant that hearth does not know: get it from another source");
  }
  const WeightView view = file_.view(*tensor);
  if (!(view.shape == shape)) wrong_shape(name, shape, view.shape);
  for (uint32_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i] == tensor) return {i + 1};  // tied weights
  }
  infos_.push_back({name, view.type, view.shape});
  tensors_.push_back(tensor);
  return {static_cast<uint32_t>(infos_.size())};
}

float Binder::scale_of(const std::string& name) const {
  const std::vector<float> values = this->values(name + ".scale", 1);
  return values.empty() ? 1.0F : values[0];
}

LinearW Binder::linear(const std::string& name, uint64_t out, uint64_t in, Presence presence) {
  LinearW w;
  w.weight = bind(name + ".weight", {out, in, 1}, presence);
  if (!w.weight) return {};
  w.bias = bind(name + ".bias", {1, out, 1}, Presence::optional);
  w.scale = scale_of(name);
  w.out = static_cast<uint32_t>(out);
  w.in = static_cast<uint32_t>(in);
  return w;
}

LinearW Binder::stack(const std::string& name, uint64_t experts, uint64_t out, uint64_t in,
                      Presence presence) {
  LinearW w;
  w.weight = bind(name + ".weight", {out, in, experts}, presence);
  w.scale = scale_of(name);
  w.out = static_cast<uint32_t>(out);
  w.in = static_cast<uint32_t>(in);
  return w;
}

NormW Binder::norm(const std::string& name, uint64_t width, Presence presence) {
  NormW w;
  w.gain = bind(name + ".weight", {1, width, 1}, presence);
  w.bias = bind(name + ".bias", {1, width, 1}, Presence::optional);
  return w;
}

void Binder::refuse(const std::string& tensor) const {
  if (file_.tensor(tensor) == nullptr) return;
  throw Error(Code::unsupported,
              fmt::format("tensor '{}' is none that hearth knows in this architecture", tensor),
              "the file is of a variant that this version cannot run: use another file of the model");
}

std::vector<float> Binder::values(const std::string& name, uint64_t count) const {
  const TensorInfo* tensor = file_.tensor(name);
  if (tensor == nullptr) return {};
  const WeightView view = file_.view(*tensor);
  if (view.shape.values() != count) wrong_shape(name, {1, count, 1}, view.shape);
  if (type_info(view.type).decode == nullptr) {
    throw Error(Code::corrupt_file,
                fmt::format("tensor '{}' has type {}, expected numbers", name, type_info(view.type).name),
                "convert the model again or get it from another source");
  }
  std::vector<float> values(count, 1.0F);  // without data: what changes nothing
  if (file_.header_only()) return values;
  type_info(view.type).decode(view.data, values);
  return values;
}

}  // namespace hearth
