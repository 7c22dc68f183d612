#include "convert/shapes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "convert/mixture.h"

namespace hearth {
namespace {

constexpr std::array shapes{
    ModelShape{"qwen3-0.6b", "qwen3", 28, 1024, 3072, 16, 8, 128, 151936, 40960, 1e6F, 1e-6F, true},
    ModelShape{"qwen3-1.7b", "qwen3", 28, 2048, 6144, 16, 8, 128, 151936, 40960, 1e6F, 1e-6F, true},
    ModelShape{"qwen3-4b", "qwen3", 36, 2560, 9728, 32, 8, 128, 151936, 40960, 1e6F, 1e-6F, true},
    ModelShape{"qwen3-8b", "qwen3", 36, 4096, 12288, 32, 8, 128, 151936, 40960, 1e6F, 1e-6F, false},
    ModelShape{"qwen2.5-0.5b", "qwen2", 24, 896, 4864, 14, 2, 64, 151936, 32768, 1e6F, 1e-6F, true},
    ModelShape{"qwen2.5-1.5b", "qwen2", 28, 1536, 8960, 12, 2, 128, 151936, 32768, 1e6F, 1e-6F, true},
    ModelShape{"qwen2.5-7b", "qwen2", 28, 3584, 18944, 28, 4, 128, 152064, 32768, 1e6F, 1e-6F, false},
    ModelShape{"llama3.2-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, 131072, 5e5F, 1e-5F, true},
    ModelShape{"llama3.2-3b", "llama", 28, 3072, 8192, 24, 8, 128, 128256, 131072, 5e5F, 1e-5F, true},
    ModelShape{"llama3.1-8b", "llama", 32, 4096, 14336, 32, 8, 128, 128256, 131072, 5e5F, 1e-5F, false},
    ModelShape{"mistral-7b", "llama", 32, 4096, 14336, 32, 8, 128, 32768, 32768, 1e6F, 1e-5F, false},
    ModelShape{"tinyllama-1.1b", "llama", 22, 2048, 5632, 32, 4, 64, 32000, 2048, 1e4F, 1e-5F, false},
    ModelShape{"llama-110m", "llama", 12, 768, 2048, 12, 12, 64, 32000, 1024, 1e4F, 1e-5F, true},
    ModelShape{"smollm2-360m", "llama", 32, 960, 2560, 15, 5, 64, 49152, 8192, 1e5F, 1e-5F, true},
    ModelShape{"smollm2-1.7b", "llama", 24, 2048, 8192, 32, 32, 64, 49152, 8192, 1.3e5F, 1e-5F, true},
    ModelShape{"gemma3-4b", "gemma3", 34, 2560, 10240, 8, 4, 256, 262208, 131072, 1e6F, 1e-6F, true},
};

const ModelShape& find_shape(std::string_view name) {
  std::vector<std::string_view> names;
  for (const ModelShape& shape : shapes) {
    if (shape.name == name) return shape;
    names.push_back(shape.name);
  }
  throw Error(Code::bad_request, fmt::format("unknown shape '{}'", name),
              fmt::format("known: {}", fmt::join(names, ", ")));
}

// The mixtures of quantizers and, for measurements, every block type that none of them is named after: all
// matrices of that type, the output in Q6_K.
const std::vector<Mixture>& mixtures_of_shapes() {
  static const auto all = [] {
    std::vector<Mixture> list(known_mixtures().begin(), known_mixtures().end());
    for (const TypeInfo* type : all_types()) {
      const auto named = [&](const Mixture& m) { return m.most == type->type; };
      if (type->block_values == 1 || !can_synthesise(type->type)) continue;
      if (std::none_of(known_mixtures().begin(), known_mixtures().end(), named))
        list.push_back({type->name, 0, type->type, DType::q6_k, {}});
    }
    return list;
  }();
  return all;
}

const Mixture& mixture_of_shape(std::string_view name) {
  for (const Mixture& m : mixtures_of_shapes()) {
    if (m.name == name) return m;
  }
  return find_mixture(name);
}

class Maker {
 public:
  Maker(const ModelShape& shape, const Mixture& mixture)
      : s_(shape), m_(mixture), facts_{shape.layers, shape.heads, shape.kv_heads, 0, shape.tied} {}

  GgufWriter make() {
    metadata();
    tokenizer();
    matrix("token_embd", s_.width, s_.vocabulary);
    if (!s_.tied) matrix("output", s_.width, s_.vocabulary);
    vector("output_norm", s_.width, 1);
    for (uint32_t i = 0; i < s_.layers; ++i) layer(i);
    return std::move(writer_);
  }

 private:
  void number(const char* key, uint64_t value) {
    writer_.put(std::string(s_.architecture) + "." + key, GgufType::u32, value);
  }

  void metadata() {
    writer_.put("general.architecture", s_.architecture);
    writer_.put("general.name", std::string_view(fmt::format("{} shape with made-up weights", s_.name)));
    number("block_count", s_.layers);
    number("context_length", s_.context);
    number("embedding_length", s_.width);
    number("feed_forward_length", s_.ffn);
    number("attention.head_count", s_.heads);
    number("attention.head_count_kv", s_.kv_heads);
    number("attention.key_length", s_.head_size);
    number("attention.value_length", s_.head_size);
    number("rope.dimension_count", s_.head_size);
    writer_.put(std::string(s_.architecture) + ".rope.freq_base", static_cast<double>(s_.rope_base));
    writer_.put(std::string(s_.architecture) + ".attention.layer_norm_rms_epsilon",
                static_cast<double>(s_.eps));
  }

  // 256 byte tokens, one merge, and padding up to the vocabulary: every text tokenizes, byte by byte.
  void tokenizer() {
    std::vector<std::string> tokens;
    std::vector<int32_t> types;
    uint32_t moved = 256;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool visible = (b > 32 && b < 127) || (b > 160 && b != 173);
      const uint32_t point = visible ? b : moved++;
      tokens.push_back(point < 128 ? std::string(1, static_cast<char>(point))
                                   : std::string{static_cast<char>(0xc0 | (point >> 6)),
                                                 static_cast<char>(0x80 | (point & 63))});
      types.push_back(1);
    }
    tokens.emplace_back("th");
    types.push_back(1);
    tokens.emplace_back("<|end|>");
    types.push_back(3);
    for (auto i = static_cast<uint32_t>(tokens.size()); i < s_.vocabulary; ++i) {
      tokens.push_back(fmt::format("[PAD{}]", i));
      types.push_back(5);
    }
    writer_.put("tokenizer.ggml.model", std::string_view("gpt2"));
    writer_.put("tokenizer.ggml.pre", std::string_view("gpt-2"));
    writer_.put("tokenizer.ggml.tokens", tokens);
    writer_.put("tokenizer.ggml.token_type", types);
    writer_.put("tokenizer.ggml.merges", std::vector<std::string>{"t h"});
    writer_.put("tokenizer.ggml.eos_token_id", GgufType::u32, 257);
  }

  void add(const std::string& name, DType type, std::vector<uint64_t> dims, Fill fill, float scale,
           float offset) {
    writer_.add(name, type, std::move(dims), [=](uint64_t first, std::span<std::byte> out) {
      const TypeInfo& info = type_info(type);
      synthesise({name, type, fill, scale, offset, 1}, first / info.block_bytes * info.block_values, out);
    });
  }

  // Weights of deviation 1/√inputs keep activations at their size.
  void matrix(const std::string& name, uint64_t in, uint64_t out) {
    const DType type = type_for(m_, facts_, name + ".weight", in);
    const double deviation = 1 / std::sqrt(static_cast<double>(in));
    if (type_info(type).block_values > 1) {
      add(name + ".weight", type, {in, out}, Fill::blocks, block_scale(type, deviation), 0);
    } else {
      add(name + ".weight", type, {in, out}, Fill::uniform, static_cast<float>(deviation * std::sqrt(3.0)),
          0);
    }
  }
  void vector(const std::string& name, uint64_t size, float middle) {
    add(name + ".weight", DType::f32, {size}, Fill::uniform, 0.1F, middle);
  }

  void layer(uint32_t i) {
    const std::string at = fmt::format("blk.{}.", i);
    const uint64_t q = uint64_t{s_.heads} * s_.head_size, kv = uint64_t{s_.kv_heads} * s_.head_size;
    vector(at + "attn_norm", s_.width, 1);
    matrix(at + "attn_q", s_.width, q);
    matrix(at + "attn_k", s_.width, kv);
    matrix(at + "attn_v", s_.width, kv);
    if (s_.architecture == "qwen2") {
      for (const auto& [name, size] :
           {std::pair("attn_q", q), std::pair("attn_k", kv), std::pair("attn_v", kv)}) {
        add(at + name + ".bias", DType::f32, {size}, Fill::uniform, 0.1F, 0);
      }
    }
    if (s_.architecture == "qwen3" || s_.architecture == "gemma3") {
      vector(at + "attn_q_norm", s_.head_size, 1);
      vector(at + "attn_k_norm", s_.head_size, 1);
    }
    matrix(at + "attn_output", q, s_.width);
    vector(at + "ffn_norm", s_.width, 1);
    matrix(at + "ffn_gate", s_.width, s_.ffn);
    matrix(at + "ffn_up", s_.width, s_.ffn);
    matrix(at + "ffn_down", s_.ffn, s_.width);
  }

  const ModelShape& s_;
  const Mixture& m_;
  MixtureFacts facts_;
  GgufWriter writer_;
};

}  // namespace

std::span<const ModelShape> known_shapes() { return shapes; }

std::span<const std::string_view> known_quants() {
  static const auto names = [] {
    std::vector<std::string_view> all;
    for (const Mixture& m : mixtures_of_shapes()) all.push_back(m.name);
    return all;
  }();
  return names;
}

GgufWriter synthetic_model(std::string_view shape, std::string_view quant) {
  return Maker(find_shape(shape), mixture_of_shape(quant)).make();
}

SyntheticModel::SyntheticModel(std::string_view shape, std::string_view quant, uint32_t threads) {
  const GgufWriter writer = synthetic_model(shape, quant);
  const uint64_t size = writer.file_bytes(), available = available_memory();
  if (size > available) {
    throw Error(
        Code::out_of_memory,
        fmt::format("{} in {} takes {} MiB, {} MiB are available", shape, quant, size >> 20, available >> 20),
        "choose a smaller shape or quantization");
  }
  void* memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw Error(Code::out_of_memory, fmt::format("the system refused {} MiB", size >> 20), "free memory");
  ::madvise(memory, size, MADV_HUGEPAGE);
  bytes_ = {static_cast<std::byte*>(memory), size};
  const std::string header = writer.header();
  std::memcpy(memory, header.data(), header.size());
  const auto placed = writer.placed();
  ThreadTeam team(threads);
  std::atomic<uint64_t> next{0};
  constexpr uint64_t about = 1U << 20;
  team.run([&](uint32_t) {
    // Pieces are numbered through all tensors; each thread takes the next one.
    for (uint64_t wanted = next.fetch_add(1);; wanted = next.fetch_add(1)) {
      uint64_t first_piece = 0;
      bool found = false;
      for (const auto& t : placed) {
        const uint64_t piece = about / t.block_bytes * t.block_bytes, pieces = (t.bytes + piece - 1) / piece;
        if (wanted < first_piece + pieces) {
          const uint64_t first = (wanted - first_piece) * piece;
          (*t.fill)(first, bytes_.subspan(t.offset + first, std::min(piece, t.bytes - first)));
          found = true;
          break;
        }
        first_piece += pieces;
      }
      if (!found) return;
    }
  });
}

SyntheticModel::~SyntheticModel() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace hearth
