#include "convert/huggingface/tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"

namespace hearth::huggingface {
namespace {

// Sizes of a tensor's sides.
enum class Side : uint8_t { none, width, q, kv, ffn, head, vocabulary, experts };
// Whose rows are reordered for rotary pairs side by side.
enum class Rotated : uint8_t { no, q, kv };
enum class Need : uint8_t { required, optional, dense, head_norms, experts };

// A published tensor and its counterpart. "%" in the published name stands for the number of the expert.
struct Rule {
  std::string_view published, gguf;
  Side rows, cols;
  Need need = Need::required;
  Rotated rotated = Rotated::no;
  bool stacked = false;
};

constexpr std::array layer_rules{
    Rule{"input_layernorm.weight", "attn_norm.weight", Side::width, Side::none},
    Rule{"self_attn.q_proj.weight", "attn_q.weight", Side::q, Side::width, Need::required, Rotated::q},
    Rule{"self_attn.q_proj.bias", "attn_q.bias", Side::q, Side::none, Need::optional, Rotated::q},
    Rule{"self_attn.k_proj.weight", "attn_k.weight", Side::kv, Side::width, Need::required, Rotated::kv},
    Rule{"self_attn.k_proj.bias", "attn_k.bias", Side::kv, Side::none, Need::optional, Rotated::kv},
    Rule{"self_attn.v_proj.weight", "attn_v.weight", Side::kv, Side::width},
    Rule{"self_attn.v_proj.bias", "attn_v.bias", Side::kv, Side::none, Need::optional},
    Rule{"self_attn.q_norm.weight", "attn_q_norm.weight", Side::head, Side::none, Need::head_norms},
    Rule{"self_attn.k_norm.weight", "attn_k_norm.weight", Side::head, Side::none, Need::head_norms},
    Rule{"self_attn.o_proj.weight", "attn_output.weight", Side::width, Side::q},
    Rule{"self_attn.o_proj.bias", "attn_output.bias", Side::width, Side::none, Need::optional},
    Rule{"post_attention_layernorm.weight", "ffn_norm.weight", Side::width, Side::none},
    Rule{"mlp.gate_proj.weight", "ffn_gate.weight", Side::ffn, Side::width, Need::dense},
    Rule{"mlp.gate_proj.bias", "ffn_gate.bias", Side::ffn, Side::none, Need::optional},
    Rule{"mlp.up_proj.weight", "ffn_up.weight", Side::ffn, Side::width, Need::dense},
    Rule{"mlp.up_proj.bias", "ffn_up.bias", Side::ffn, Side::none, Need::optional},
    Rule{"mlp.down_proj.weight", "ffn_down.weight", Side::width, Side::ffn, Need::dense},
    Rule{"mlp.down_proj.bias", "ffn_down.bias", Side::width, Side::none, Need::optional},
    Rule{"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", Side::experts, Side::width, Need::experts},
    Rule{"block_sparse_moe.experts.%.w1.weight", "ffn_gate_exps.weight", Side::ffn, Side::width,
         Need::experts, Rotated::no, true},
    Rule{"block_sparse_moe.experts.%.w3.weight", "ffn_up_exps.weight", Side::ffn, Side::width, Need::experts,
         Rotated::no, true},
    Rule{"block_sparse_moe.experts.%.w2.weight", "ffn_down_exps.weight", Side::width, Side::ffn,
         Need::experts, Rotated::no, true},
};

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(Code::corrupt_file, what,
              "the files contradict config.json: download the model again or get it from another source");
}

// The row of the published tensor that becomes row `row`: within each head the pairs (i, i + half) become
// neighbours.
uint64_t published_row(uint64_t row, uint32_t head_size) {
  const uint64_t in_head = row % head_size;
  return row - in_head + in_head / 2 + in_head % 2 * (head_size / 2);
}

class Mapper {
 public:
  Mapper(const std::shared_ptr<const Safetensors>& files, const Sizes& sizes, const Family& family)
      : files_(files), s_(sizes), f_(family) {
    // Embedding models are published without the outer class and its prefix.
    prefix_ = files->find("model.embed_tokens.weight") != nullptr ? "model." : "";
  }

  std::vector<SourceTensor> run() {
    add({"embed_tokens.weight", "token_embd.weight", Side::vocabulary, Side::width}, prefix_, "");
    add({"norm.weight", "output_norm.weight", Side::width, Side::none}, prefix_, "");
    if (s_.tied) {
      used_.insert("lm_head.weight");  // a copy of the embedding table, where it is there at all
    } else {
      add({"lm_head.weight", "output.weight", Side::vocabulary, Side::width}, "", "");
    }
    for (uint32_t i = 0; i < s_.layers; ++i) {
      for (const Rule& rule : layer_rules)
        add(rule, fmt::format("{}layers.{}.", prefix_, i), fmt::format("blk.{}.", i));
    }
    refuse_unused();
    return std::move(out_);
  }

 private:
  uint64_t size(Side side) const {
    switch (side) {
      case Side::none: return 1;
      case Side::width: return s_.width;
      case Side::q: return uint64_t{s_.heads} * s_.head_size;
      case Side::kv: return uint64_t{s_.kv_heads} * s_.head_size;
      case Side::ffn: return s_.ffn;
      case Side::head: return s_.head_size;
      case Side::vocabulary: return s_.vocabulary;
      case Side::experts: return s_.experts;
    }
    return 0;
  }

  bool needed(Need need) const {
    switch (need) {
      case Need::required: return true;
      case Need::optional: return false;
      case Need::dense: return s_.experts == 0;
      case Need::head_norms: return f_.head_norms;
      case Need::experts: return s_.experts > 0;
    }
    return false;
  }

  // Null where the tensor is absent and not needed.
  const SafeTensor* take(const Rule& rule, const std::string& name) {
    const SafeTensor* t = files_->find(name);
    const bool possible = rule.need == Need::required || rule.need == Need::optional || needed(rule.need);
    if (t == nullptr || !possible) {
      if (needed(rule.need)) corrupt(fmt::format("tensor '{}' is missing", name));
      return nullptr;
    }
    std::vector<uint64_t> expected{size(rule.rows)};
    if (rule.cols != Side::none) expected.push_back(size(rule.cols));
    if (t->shape != expected) {
      corrupt(fmt::format("tensor '{}' is {}, expected {}", name, fmt::join(t->shape, " x "),
                          fmt::join(expected, " x ")));
    }
    const bool known = t->type != nullptr && t->type->decode != nullptr;
    if (!known) {
      throw Error(Code::unsupported, fmt::format("tensor '{}' is in {}", name, t->dtype),
                  "use the original in BF16, F16 or F32, or a GGUF of the model");
    }
    used_.insert(name);
    return t;
  }

  void add(const Rule& rule, const std::string& from, const std::string& to) {
    if (rule.stacked) return add_stack(rule, from, to);
    const SafeTensor* t = take(rule, from + std::string(rule.published));
    if (t == nullptr) return;
    const bool vector = rule.cols == Side::none, router = rule.rows == Side::experts;
    SourceTensor out;
    out.name = to + std::string(rule.gguf);
    out.type = vector || router ? DType::f32 : t->type->type;
    out.dims.assign(t->shape.rbegin(), t->shape.rend());
    out.bytes = reader(rule, *t);
    out.forget = forgetter(*t, vector || router);
    out_.push_back(std::move(out));
  }

  // One matrix per expert, one behind the other.
  void add_stack(const Rule& rule, const std::string& from, const std::string& to) {
    if (!needed(rule.need)) return;
    std::vector<const SafeTensor*> parts;
    const size_t mark = rule.published.find('%');
    for (uint32_t e = 0; e < s_.experts; ++e) {
      parts.push_back(take(rule, fmt::format("{}{}{}{}", from, rule.published.substr(0, mark), e,
                                             rule.published.substr(mark + 1))));
      if (parts.back()->type != parts[0]->type)
        corrupt(fmt::format("'{}' is in another type", parts.back()->name));
    }
    const uint64_t each = parts[0]->data.size();
    out_.push_back({to + std::string(rule.gguf),
                    parts[0]->type->type,
                    {size(rule.cols), size(rule.rows), s_.experts},
                    [files = files_, parts, each](uint64_t first, std::span<std::byte> out) {
                      while (!out.empty()) {
                        const uint64_t at = first % each, n = std::min<uint64_t>(out.size(), each - at);
                        std::memcpy(out.data(), parts[first / each]->data.data() + at, n);
                        first += n;
                        out = out.subspan(n);
                      }
                    },
                    [files = files_, parts, each](uint64_t first, uint64_t count) {
                      for (uint64_t e = first / each; e < parts.size() && e * each < first + count; ++e) {
                        const uint64_t begin = std::max(first, e * each),
                                       end = std::min(first + count, (e + 1) * each);
                        files->forget(parts[e]->data.subspan(begin - e * each, end - begin));
                      }
                    }});
  }

  // Reordered rows stay within their heads, so that what is asked for again is little. Vectors are not worth
  // it.
  std::function<void(uint64_t, uint64_t)> forgetter(const SafeTensor& t, bool small) const {
    if (small) return {};
    return
        [files = files_, &t](uint64_t first, uint64_t count) { files->forget(t.data.subspan(first, count)); };
  }

  GgufWriter::Fill reader(const Rule& rule, const SafeTensor& t) const {
    const bool moved = f_.side_by_side && rule.rotated != Rotated::no;
    const uint64_t row_bytes =
        rule.cols == Side::none ? t.type->block_bytes : size(rule.cols) * t.type->block_bytes;
    const auto raw = [files = files_, &t, moved, row_bytes, head_size = s_.head_size](
                         uint64_t first, std::span<std::byte> out) {
      if (!moved) {
        std::memcpy(out.data(), t.data.data() + first, out.size());
        return;
      }
      while (!out.empty()) {
        const uint64_t at = first % row_bytes, n = std::min<uint64_t>(out.size(), row_bytes - at);
        const uint64_t row = published_row(first / row_bytes, head_size);
        std::memcpy(out.data(), t.data.data() + row * row_bytes + at, n);
        first += n;
        out = out.subspan(n);
      }
    };
    const bool to_f32 = (rule.cols == Side::none || rule.rows == Side::experts) && t.type->type != DType::f32;
    if (!to_f32) return raw;
    return [raw, type = t.type](uint64_t first, std::span<std::byte> out) {
      std::vector<std::byte> bytes(out.size() / sizeof(float) * type->block_bytes);
      std::vector<float> values(out.size() / sizeof(float));
      raw(first / sizeof(float) * type->block_bytes, bytes);
      type->decode(bytes, values);
      std::memcpy(out.data(), values.data(), out.size());
    };
  }

  // A tensor that would be left out in silence could be the one that makes the model what it is.
  void refuse_unused() const {
    for (const SafeTensor& t : files_->tensors()) {
      if (used_.contains(t.name) || t.name.ends_with("rotary_emb.inv_freq")) continue;
      throw Error(Code::unsupported,
                  fmt::format("tensor '{}' has no place in a model of the family {}", t.name, f_.published),
                  "this variant is not converted: use a GGUF of the model");
    }
  }

  std::shared_ptr<const Safetensors> files_;
  Sizes s_;
  Family f_;
  std::string prefix_;
  std::unordered_set<std::string> used_;
  std::vector<SourceTensor> out_;
};

}  // namespace

std::vector<SourceTensor> map_tensors(const std::shared_ptr<const Safetensors>& files, const Sizes& sizes,
                                      const Family& family) {
  return Mapper(files, sizes, family).run();
}

SourceTensor tensor_of(std::string name, std::vector<float> values) {
  const uint64_t count = values.size();
  return {std::move(name),
          DType::f32,
          {count},
          [values = std::move(values)](uint64_t first, std::span<std::byte> out) {
            std::memcpy(out.data(), reinterpret_cast<const std::byte*>(values.data()) + first, out.size());
          },
          {}};
}

}  // namespace hearth::huggingface
