#include "device/vulkan/weights.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "base/checked.h"
#include "device/vulkan/pipelines.h"
#include "tensor/codebooks.h"

namespace hearth::vulkan {
namespace {

constexpr uint64_t most_block = 1ULL << 30;

// The weights that an operation multiplies with or adds, tables of embeddings excepted.
struct Used {
  std::vector<Weight> operator()(const Embed&) const { return {}; }
  std::vector<Weight> operator()(const Norm& o) const { return {o.gain, o.bias}; }
  std::vector<Weight> operator()(const Linear& o) const { return {o.weight, o.bias}; }
  std::vector<Weight> operator()(const Qkv& o) const {
    return {o.wq, o.wk, o.wv, o.bq, o.bk, o.bv, o.q_norm, o.k_norm};
  }
  std::vector<Weight> operator()(const QkvLatent&) const { return {}; }  // refused
  std::vector<Weight> operator()(const Attend& o) const { return {o.sinks}; }
  std::vector<Weight> operator()(const Gated& o) const { return {o.gate, o.up, o.gate_bias, o.up_bias}; }
  std::vector<Weight> operator()(const Route& o) const { return {o.router}; }
  std::vector<Weight> operator()(const Experts& o) const { return {o.gate, o.up, o.down}; }
  std::vector<Weight> operator()(const Carries auto&) const { return {}; }  // refused
  std::vector<Weight> operator()(const Combine&) const { return {}; }
  std::vector<Weight> operator()(const Patch&) const { return {}; }     // refused
  std::vector<Weight> operator()(const Resample&) const { return {}; }  // refused
  std::vector<Weight> operator()(const Logits& o) const { return {o.weight, o.bias}; }
  std::vector<Weight> operator()(const Pool& o) const { return {o.classifier, o.bias}; }
  std::vector<Weight> operator()(const Transfer&) const { return {}; }
};

bool needs_codebook(DType type) {
  constexpr DType list[] = {DType::iq2_xxs, DType::iq2_xs, DType::iq2_s, DType::iq3_xxs,
                            DType::iq3_s,   DType::iq1_s,  DType::iq1_m};
  return std::find(std::begin(list), std::end(list), type) != std::end(list);
}

// Fills blocks one after the other.
class Packer {
 public:
  explicit Packer(const Capabilities& limits)
      : block_(weight_block(limits)),
        most_(std::min(block_, limits.largest_binding)),
        align_(std::max<uint64_t>(64, limits.offset_alignment)) {}

  // As many units of `bytes` as may lie together here, at most `count`.
  uint64_t fit(uint64_t bytes, uint64_t count) {
    at_ = align_up(at_, align_);
    if (block_ - at_ % block_ < bytes) at_ = (at_ + block_ - 1) / block_ * block_;
    return std::clamp<uint64_t>(std::min(most_, block_ - at_ % block_) / bytes, 1, count);
  }
  uint64_t take(uint64_t bytes) {
    const uint64_t at = at_;
    at_ += bytes;
    return at;
  }
  uint64_t total() const { return align_up(at_, align_); }

 private:
  uint64_t block_, most_, align_, at_ = 0;
};

void house(WeightHome& w, Packer& packer) {
  const uint64_t matrix = w.row_bytes * w.rows;
  if (w.stack > 1) {
    for (uint32_t e = 0; e < w.stack;) {
      const auto some = static_cast<uint32_t>(packer.fit(matrix, w.stack - e));
      w.parts.push_back({packer.take(matrix * some), matrix * some, 0, w.rows, e, some});
      e += some;
    }
    return;
  }
  for (uint32_t r = 0; r < w.rows;) {
    const auto some = static_cast<uint32_t>(packer.fit(w.row_bytes, w.rows - r));
    w.parts.push_back({packer.take(w.row_bytes * some), w.row_bytes * some, r, some, 0, 1});
    r += some;
  }
}

}  // namespace

uint64_t weight_block(const Capabilities& limits) {
  return std::min(most_block, limits.largest_allocation) / 4096 * 4096;
}

Residence residence_of(const Program& program, const Capabilities& limits) {
  Residence r;
  r.weights.resize(program.weights.size());
  Packer packer(limits);
  bool books = false;
  for (const Op& op : program.ops) {
    for (const Weight id : std::visit(Used{}, op)) {
      if (!id || !r.weights[id.id - 1].parts.empty()) continue;
      const WeightInfo& info = program.weights[id.id - 1];
      WeightHome& w = r.weights[id.id - 1];
      w.type = info.type;
      w.packed = packs(info.type, info.shape.cols);
      w.rows = static_cast<uint32_t>(info.shape.rows);
      w.cols = static_cast<uint32_t>(info.shape.cols);
      w.stack = static_cast<uint32_t>(info.shape.stack);
      w.row_bytes = row_bytes(info.type, info.shape.cols).value_or(0);
      house(w, packer);
      books = books || needs_codebook(info.type);
    }
  }
  if (books) {
    const uint64_t bytes = codebooks().size() * sizeof(uint16_t);
    packer.fit(bytes, 1);
    r.codebooks = packer.take(bytes);
  }
  r.bytes = packer.total();
  return r;
}

std::vector<uint16_t> codebooks() {
  std::vector<uint16_t> all;
  const auto add = [&](const auto& rows) { all.insert(all.end(), rows.begin(), rows.end()); };
  add(iq2_xxs_rows);
  add(iq2_xs_rows);
  add(iq2_s_rows);
  add(iq3_xxs_rows);
  add(iq3_s_rows);
  add(iq1_rows);
  return all;
}

bool packs(DType type, uint64_t cols) { return type == DType::q8_0 && cols % 256 == 0; }

void pack(std::span<const std::byte> from, std::byte* to) {
  constexpr size_t scale = 2, block = 34, blocks = packed_bytes / block;
  for (; !from.empty(); from = from.subspan(packed_bytes), to += packed_bytes) {
    for (size_t b = 0; b < blocks; ++b) {
      const std::byte* at = from.data() + b * block;
      std::memcpy(to + b * scale, at, scale);
      std::memcpy(to + blocks * scale + b * (block - scale), at + scale, block - scale);
    }
  }
}

std::string shader_type(DType type, bool packed) {
  std::string name(type_info(type).name);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (packed) name += "_packed";
  return name;
}

bool multiplies_integers(DType type) {
  const std::string name = "gemv_integer." + shader_type(type);
  const auto all = shaders();
  return std::any_of(all.begin(), all.end(), [&](const Shader& s) { return s.name == name; });
}

}  // namespace hearth::vulkan
