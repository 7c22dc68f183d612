// What the device cannot do, with the cause.
#include <fmt/format.h>

#include <algorithm>

#include "device/vulkan/pipelines.h"
#include "device/vulkan/weights.h"

namespace hearth::vulkan {
namespace {

constexpr uint32_t most_head = 576,
                   most_experts = 1024;  // what heads.glsl and route.glsl keep in shared memory

bool has_shader(DType type) {
  const std::string name = "gemv." + shader_type(type);
  const auto all = shaders();
  return std::any_of(all.begin(), all.end(), [&](const Shader& s) { return s.name == name; });
}

std::optional<Refusal> refuse_head(uint32_t size, KvType type, std::string_view side) {
  if ((type == KvType::q8_0 || type == KvType::q4_0) && size % 32 != 0) {
    return Refusal{"head_size",
                   fmt::format("a {} cache needs a head size that is a multiple of 32, {} heads have {}",
                               to_string(type), side, size)};
  }
  if (size % 8 != 0 || size > most_head) {
    return Refusal{"head_size", fmt::format("{} heads have {} values, not a multiple of 8 up to {}", side,
                                            size, most_head)};
  }
  return std::nullopt;
}

Refusal no_shader(std::string_view what) {
  return {"operation", fmt::format("there is no shader for {} yet", what)};
}

struct Judge {
  const Program& program;
  KvTypes kv;
  const Capabilities& limits;

  std::optional<Refusal> matrix(Weight weight) const {
    if (!weight) return std::nullopt;
    const WeightInfo& w = program.weights[weight.id - 1];
    if (type_info(w.type).decode == nullptr || !has_shader(w.type)) {
      return Refusal{"type", fmt::format("tensor '{}' has type {}, for which there is no shader", w.name,
                                         type_info(w.type).name)};
    }
    if (w.shape.cols % 32 != 0) {
      return Refusal{"columns",
                     fmt::format("tensor '{}' has {} columns, not a multiple of 32", w.name, w.shape.cols)};
    }
    const uint64_t unit =
        row_bytes(w.type, w.shape.cols).value_or(0) * (w.shape.stack > 1 ? w.shape.rows : 1);
    const uint64_t most = std::min(limits.largest_binding, weight_block(limits));
    if (unit > most) {
      return Refusal{"binding",
                     fmt::format("tensor '{}' has parts of {} MiB, the driver binds {} MiB at most", w.name,
                                 unit >> 20, most >> 20)};
    }
    return std::nullopt;
  }
  std::optional<Refusal> vector(Weight weight) const {
    if (!weight) return std::nullopt;
    const WeightInfo& w = program.weights[weight.id - 1];
    if (w.type == DType::f32) return std::nullopt;
    return Refusal{"type",
                   fmt::format("vector '{}' has type {}, expected F32", w.name, type_info(w.type).name)};
  }
  template <class... W>
  std::optional<Refusal> matrices(W... weights) const {
    std::optional<Refusal> first;
    ((first || (first = matrix(weights))), ...);
    return first;
  }
  template <class... W>
  std::optional<Refusal> vectors(W... weights) const {
    std::optional<Refusal> first;
    ((first || (first = vector(weights))), ...);
    return first;
  }

  // Rows of the table are decoded by the CPU, which knows every type.
  std::optional<Refusal> operator()(const Embed&) const { return std::nullopt; }
  std::optional<Refusal> operator()(const Norm& o) const {
    if (o.parts != 1)
      return Refusal{"parts", fmt::format("there is no shader for norms of rows in {} parts", o.parts)};
    return vectors(o.gain, o.bias);
  }
  std::optional<Refusal> operator()(const Combine&) const { return std::nullopt; }
  std::optional<Refusal> operator()(const Carries auto& o) const {
    return Refusal{
        "state",
        fmt::format("there is no shader for {}, which carries a state from token to token", kind_name(o))};
  }
  std::optional<Refusal> operator()(const Transfer&) const { return std::nullopt; }
  std::optional<Refusal> operator()(const Linear& o) const {
    if (o.heads.heads != 0) return no_shader("products with one matrix per head");
    auto r = matrices(o.weight);
    return r ? r : vectors(o.bias);
  }
  std::optional<Refusal> operator()(const Gated& o) const {
    auto r = matrices(o.gate, o.up);
    return r ? r : vectors(o.gate_bias, o.up_bias);
  }
  std::optional<Refusal> gates(bool gated) const {
    if (!gated) return std::nullopt;
    return Refusal{"gates", "there is no shader for gates behind the queries of attention"};
  }
  std::optional<Refusal> operator()(const Qkv& o) const {
    if (auto r = gates(o.gated)) return r;
    if (auto r = matrices(o.wq, o.wk, o.wv)) return r;
    if (auto r = vectors(o.bq, o.bk, o.bv, o.q_norm, o.k_norm)) return r;
    if (auto r = refuse_head(o.heads.k_size, kv.k, "key")) return r;
    return refuse_head(o.heads.v_size, kv.v, "value");
  }
  std::optional<Refusal> operator()(const QkvLatent&) const { return no_shader("latent attention"); }
  std::optional<Refusal> operator()(const Attend& o) const {
    if (program.caches[o.kv.group].v_size == 0) return no_shader("latent attention");
    if (auto r = gates(o.gated)) return r;
    if (auto r = refuse_head(o.heads.k_size, kv.k, "key")) return r;
    if (auto r = refuse_head(o.heads.v_size, kv.v, "value")) return r;
    return vectors(o.sinks);
  }
  std::optional<Refusal> operator()(const Route& o) const {
    if (o.experts > most_experts) {
      return Refusal{"experts", fmt::format("{} experts, {} at most", o.experts, most_experts)};
    }
    if (o.scores == RouteScores::sigmoid) return no_shader("routers with sigmoid scores");
    if (o.bias || o.groups > 1) return no_shader("routers with a bias or groups");
    return matrices(o.router);
  }
  std::optional<Refusal> operator()(const Experts& o) const { return matrices(o.gate, o.up, o.down); }
  std::optional<Refusal> operator()(const Patch&) const { return no_shader("patches of pictures"); }
  std::optional<Refusal> operator()(const Resample&) const { return no_shader("joining rows of pictures"); }
  std::optional<Refusal> operator()(const Logits& o) const {
    auto r = matrices(o.weight);
    return r ? r : vectors(o.bias);
  }
  std::optional<Refusal> operator()(const Pool& o) const {
    auto r = matrices(o.classifier);
    return r ? r : vectors(o.bias);
  }
};

}  // namespace

std::optional<Refusal> refuse(const Op& op, const Program& program, KvTypes kv, const Capabilities& limits) {
  return std::visit(Judge{program, kv, limits}, op);
}

}  // namespace hearth::vulkan
