// Mamba (Gu and Dao 2023) and Mamba 2 (Dao and Gu 2024): no attention, and no cache that grows. Each layer
// convolves its channels over a few tokens, scans them through a state and gates them; there is no
// feed-forward.
#include <fmt/format.h>

#include "base/error.h"
#include "model/arch/list.h"

namespace hearth {
namespace {

constexpr uint16_t convolved = 0, scanned = 1;  // groups of states

// Sizes of the scan, from the keys "ssm.*".
struct Sizes {
  uint32_t taps, inner, states, rank, groups;
};

Sizes read_sizes(const Keys& keys) {
  const Sizes s{keys.require("ssm.conv_kernel"), keys.require("ssm.inner_size"),
                keys.require("ssm.state_size"), keys.require("ssm.time_step_rank"),
                keys.number("ssm.group_count", 1)};
  constexpr uint32_t most = 1U << 20;
  const auto impossible = [](uint32_t n) { return n == 0 || n > most; };
  if (s.taps < 2 || impossible(s.inner) || impossible(s.states) || impossible(s.rank) ||
      impossible(s.groups) || uint64_t{s.groups} * s.states > most)
    throw Error(
        Code::corrupt_file,
        fmt::format("a convolution over {} tokens and a scan of {} channels, {} states, {} time steps "
                    "and {} groups",
                    s.taps, s.inner, s.states, s.rank, s.groups),
        "the metadata contradicts itself: get the file from another source");
  return s;
}

class Mamba : public Model {
 public:
  Mamba(const Keys& keys, Binder& b, uint32_t convolved_per_group) : Model(keys, b), s_(read_sizes(keys)) {
    channels_ = s_.inner + convolved_per_group * s_.groups * s_.states;
  }
  std::vector<CacheGroup> caches() const override {
    return {{h_.layers, 0, 0, 0, 0, uint64_t{s_.taps - 1} * channels_},
            {h_.layers, 0, 0, 0, 0, uint64_t{s_.inner} * s_.states}};
  }
  std::vector<RopeTable> ropes() const override { return {}; }

 protected:
  struct Layer {
    NormW norm, inner_norm;
    LinearW in, select, out;
    ShortConvW conv;
    ScanW scan;
  };

  Layer bind(Binder& b, uint32_t i, uint64_t in) const {
    const std::string at = name(i);
    Layer w;
    w.norm = b.norm(at + "attn_norm", h_.width);
    w.in = b.linear(at + "ssm_in", in, h_.width);
    w.out = b.linear(at + "ssm_out", h_.width, s_.inner);
    w.conv = {b.tensor(at + "ssm_conv1d.weight", {channels_, s_.taps, 1}),
              b.tensor(at + "ssm_conv1d.bias", {1, channels_, 1}), channels_, s_.taps};
    return w;
  }
  static std::string name(uint32_t i) { return "blk." + std::to_string(i) + "."; }

  Sizes s_;
  uint32_t channels_ = 0;  // that are convolved
  std::vector<Layer> layers_;
};

// Every channel is a head; what is scanned in and out, and how far, follows from the convolved channels.
class Mamba1 final : public Mamba {
 public:
  Mamba1(const Keys& keys, Binder& b) : Mamba(keys, b, 0) {
    if (keys.flag("ssm.dt_b_c_rms", false))
      throw Error(Code::unsupported, "mamba with norms of time step, b and c is not known",
                  "use another model");
    for (uint32_t i = 0; i < h_.layers; ++i) {
      Layer w = bind(b, i, uint64_t{2} * s_.inner);
      w.select = b.linear(name(i) + "ssm_x", s_.rank + uint64_t{2} * s_.states, s_.inner);
      w.scan = {b.linear(name(i) + "ssm_dt", s_.inner, s_.rank),
                b.tensor(name(i) + "ssm_dt.bias", {1, s_.inner, 1}),
                b.tensor(name(i) + "ssm_a", {s_.inner, s_.states, 1}),
                b.tensor(name(i) + "ssm_d", {1, s_.inner, 1}),
                s_.inner,
                1,
                1,
                s_.states};
      b.refuse(name(i) + "ssm_dt.scale");
      layers_.push_back(w);
    }
  }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    const Layer& w = layers_[i];
    const auto number = static_cast<uint16_t>(i);
    const Act in = b.linear(b.norm(x, w.norm, NormKind::rms, h_.eps), w.in);  // channels, gates
    const Act c = b.short_conv(in, w.conv, {0, {}, {}, Act1::silu}, {convolved, number});
    const Act p = b.linear(c, w.select);  // time step, b, c
    const ScanInputs inputs{{c, 0}, {p, s_.rank}, {p, s_.rank + s_.states}, {p, 0}, {in, s_.inner}};
    return b.linear(b.scan(inputs, w.scan, {scanned, number}), w.out, x);
  }
};

// Heads of many channels; b and c are convolved with them, and groups of heads are normalised before they
// leave.
class Mamba2 final : public Mamba {
 public:
  Mamba2(const Keys& keys, Binder& b) : Mamba(keys, b, 2) {
    const uint32_t heads = s_.rank;
    if (s_.inner % heads != 0 || heads % s_.groups != 0)
      throw Error(Code::corrupt_file,
                  fmt::format("{} heads share {} channels and {} groups", heads, s_.inner, s_.groups),
                  "the metadata contradicts itself: get the file from another source");
    for (uint32_t i = 0; i < h_.layers; ++i) {
      Layer w = bind(b, i, s_.inner + uint64_t{channels_} + heads);
      w.scan = {{},
                b.tensor(name(i) + "ssm_dt.bias", {1, heads, 1}),
                b.tensor(name(i) + "ssm_a", {heads, 1, 1}),
                b.tensor(name(i) + "ssm_d", {heads, 1, 1}),
                heads,
                s_.inner / heads,
                s_.groups,
                s_.states};
      w.inner_norm.gain = b.tensor(name(i) + "ssm_norm.weight", {s_.groups, s_.inner / s_.groups, 1});
      layers_.push_back(w);
    }
  }

  Act layer(Builder& b, uint32_t i, Act x) const override {
    const Layer& w = layers_[i];
    const auto number = static_cast<uint16_t>(i);
    const Act in = b.linear(b.norm(x, w.norm, NormKind::rms, h_.eps), w.in);  // gates, channels, time steps
    const Act c = b.short_conv(in, w.conv, {s_.inner, {}, {}, Act1::silu}, {convolved, number});
    const ScanInputs inputs{
        {c, 0}, {c, s_.inner}, {c, s_.inner + s_.groups * s_.states}, {in, s_.inner + channels_}, {in, 0}};
    const Act y = b.scan(inputs, w.scan, {scanned, number});
    return b.linear(b.norm(y, w.inner_norm, NormKind::rms, h_.eps, s_.groups), w.out, x);
  }
};

}  // namespace

const Architecture mamba_architecture{"mamba", [](const Keys& k, Binder& b) -> std::unique_ptr<Model> {
                                        return std::make_unique<Mamba1>(k, b);
                                      }};
const Architecture mamba2_architecture{"mamba2", [](const Keys& k, Binder& b) -> std::unique_ptr<Model> {
                                         return std::make_unique<Mamba2>(k, b);
                                       }};

}  // namespace hearth
