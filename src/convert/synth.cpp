#include "convert/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"

namespace hearth {
namespace {

constexpr uint64_t golden = 0x9E3779B97F4A7C15ULL;

uint64_t mix(uint64_t x) {
  uint64_t z = x + golden;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

uint64_t fnv1a(std::string_view text) {
  uint64_t h = 0xCBF29CE484222325ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return h;
}

// The stream of a tensor: word(i) for element (or word of blocks) i.
struct Stream {
  uint64_t key;
  explicit Stream(const TensorRecipe& r) : key(mix(r.seed ^ fnv1a(r.name))) {}
  uint64_t word(uint64_t i) const { return mix(key + i * golden); }
};

float uniform_of(uint64_t h) {
  return static_cast<float>(static_cast<int32_t>(h >> 40) - (1 << 23)) * 0x1p-23F;
}

float normal_of(uint64_t h) {
  const auto sum =
      static_cast<int32_t>((h & 0xffff) + ((h >> 16) & 0xffff) + ((h >> 32) & 0xffff) + (h >> 48));
  return static_cast<float>(sum - 131070) * 0x1p-15F;
}

// Where the scale of a block lies and how it is overwritten.
struct ScaleField {
  DType type;
  uint32_t at;
  bool with_sign;
  int minimum_at;  // −1: none
  float minimum_factor;
  double deviation;  // of the decoded weights at scale 1
};
constexpr std::array<ScaleField, 25> fields{{
    {DType::q4_0, 0, true, -1, 0, 4.807},     {DType::q4_1, 0, false, 2, -7.5F, 4.807},
    {DType::q5_0, 0, true, -1, 0, 9.665},     {DType::q5_1, 0, false, 2, -15.5F, 9.665},
    {DType::q8_0, 0, true, -1, 0, 76.73},     {DType::q2_k, 80, false, 82, 1.5F, 14.4},
    {DType::q3_k, 108, true, -1, 0, 44.73},   {DType::q4_k, 0, false, 2, 7.5F, 267.5},
    {DType::q5_k, 0, false, 2, 15.5F, 548.1}, {DType::q6_k, 208, true, -1, 0, 1425.0},
    {DType::iq2_xxs, 0, false, -1, 0, 55.34}, {DType::iq2_xs, 0, false, -1, 0, 58.4},
    {DType::iq3_xxs, 0, false, -1, 0, 148.3}, {DType::iq1_s, 0, false, -1, 0, 7.451},
    {DType::iq4_nl, 0, true, -1, 0, 70.65},   {DType::iq3_s, 0, false, -1, 0, 148.0},
    {DType::iq2_s, 0, false, -1, 0, 58.79},   {DType::iq4_xs, 0, true, -1, 0, 1299.0},
    {DType::iq1_m, 0, false, -1, 0, 7.604},   {DType::tq1_0, 52, false, -1, 0, 0.8473},
    {DType::tq2_0, 64, false, -1, 0, 1.166},  {DType::mxfp4, 0, false, -1, 0, 4.636},
    {DType::nvfp4, 0, false, -1, 0, 0.1054},  {DType::q1_0, 0, true, -1, 0, 1.041},
    {DType::q2_0, 0, true, -1, 0, 1.282},
}};

const ScaleField& field_of(DType type) {
  for (const ScaleField& f : fields) {
    if (f.type == type) return f;
  }
  throw Error(Code::bad_request, fmt::format("type {} has no blocks to make up", type_info(type).name),
              "use a quantized type");
}

uint16_t read16(const std::byte* p) {
  uint16_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}
void write16(std::byte* p, uint16_t v) { std::memcpy(p, &v, sizeof v); }

void set_iq1_m_scale(std::byte* b, float scale) {
  const float fraction = 0.5F + static_cast<float>(read16(b + 48) & 0xfffU) * 0x1p-12F;
  const uint16_t d = float_to_half(scale * fraction);
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t low = read16(b + 48 + 2 * i) & 0xfffU;
    write16(b + 48 + 2 * i, static_cast<uint16_t>(low | (((d >> (4 * i)) & 15U) << 12)));
  }
}

void set_scale(std::byte* b, const ScaleField& f, float scale) {
  switch (f.type) {
    case DType::mxfp4:
      b[0] = static_cast<std::byte>(127 + static_cast<int>(std::lround(std::log2(scale))) +
                                    (static_cast<int>(b[0]) & 1));
      return;
    case DType::nvfp4:
      for (uint32_t i = 0; i < 4; ++i)
        b[i] = static_cast<std::byte>(8 * static_cast<int>(scale) + (static_cast<int>(b[i]) & 15));
      return;
    case DType::iq1_m: set_iq1_m_scale(b, scale); return;
    default: break;
  }
  const uint16_t v = read16(b + f.at);
  const float magnitude = scale * (0.5F + static_cast<float>(v) * 0x1p-16F);
  const uint16_t d = float_to_half(f.with_sign && (v & 1U) != 0 ? -magnitude : magnitude);
  write16(b + f.at, d);
  if (f.minimum_at >= 0) write16(b + f.minimum_at, float_to_half(f.minimum_factor * half_to_float(d)));
}

void fill_blocks(const TensorRecipe& r, uint64_t first, std::span<std::byte> out) {
  const TypeInfo& type = type_info(r.type);
  const ScaleField& field = field_of(r.type);
  const Stream stream(r);
  const uint32_t size = type.block_bytes, words = (size + 7) / 8;
  for (uint64_t b = first / type.block_values, at = 0; at < out.size(); ++b, at += size) {
    for (uint32_t w = 0; w < words; ++w) {
      const uint64_t word = stream.word(b * words + w);
      std::memcpy(out.data() + at + 8 * w, &word, std::min<size_t>(8, size - 8 * w));
    }
    set_scale(out.data() + at, field, r.scale);
  }
}

}  // namespace

void synthesise(const TensorRecipe& r, uint64_t first, std::span<std::byte> out) {
  if (r.fill == Fill::blocks) return fill_blocks(r, first, out);
  const TypeInfo& type = type_info(r.type);
  if (type.round == nullptr) {
    throw Error(Code::bad_request, fmt::format("hearth cannot write type {}", type.name), "use another type");
  }
  const Stream stream(r);
  constexpr uint64_t some = 4096;  // a multiple of every block
  std::array<float, some> values;
  const uint64_t total = out.size() / type.block_bytes * type.block_values;
  for (uint64_t i = 0; i < total; i += some) {
    const uint64_t n = std::min(some, total - i);
    for (uint64_t k = 0; k < n; ++k) {
      const uint64_t h = stream.word(first + i + k);
      const float scaled = (r.fill == Fill::uniform ? uniform_of(h) : normal_of(h)) * r.scale;
      values[k] = r.offset != 0 ? scaled + r.offset : scaled;
    }
    type.round(std::span(values).first(n), out.subspan(i / type.block_values * type.block_bytes,
                                                       n / type.block_values * type.block_bytes));
  }
}

bool can_synthesise(DType type) noexcept {
  return std::any_of(fields.begin(), fields.end(), [&](const ScaleField& f) { return f.type == type; });
}

float block_scale(DType type, double deviation) {
  const double scale = deviation / field_of(type).deviation;
  return static_cast<float>(type == DType::mxfp4 ? std::exp2(std::round(std::log2(scale))) : scale);
}

}  // namespace hearth
