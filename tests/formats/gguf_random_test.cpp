// Random files of every kind of value come back as written, and random damage is either named or harmless.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/gguf_parser.h"
#include "formats/gguf_writer.h"

namespace hearth {
namespace {

void append(std::string& to, const void* data, size_t bytes) {
  to.append(static_cast<const char*>(data), bytes);
}

// The file's form of a string, an array's head.
void append_text(std::string& to, const std::string& text) {
  const uint64_t length = text.size();
  append(to, &length, 8);
  to += text;
}
void append_head(std::string& to, GgufType element, uint64_t count) {
  const auto type = static_cast<uint32_t>(element);
  append(to, &type, 4);
  append(to, &count, 8);
}

class RandomFile {
 public:
  explicit RandomFile(unsigned seed) : random_(seed), writer_(2 + seed % 2, 32) {
    const auto keys = 1 + random_() % 12;
    for (unsigned i = 0; i < keys; ++i) put("k" + std::to_string(i));
    const auto count = random_() % 6;
    for (unsigned i = 0; i < count; ++i) add("blk." + std::to_string(i) + ".weight");
  }

  struct Entry {
    std::string key;
    GgufType type;
    std::string bytes;  // the value in the file's form; of arrays the elements
    GgufType element{};
    uint64_t count = 0;
  };
  struct Tensor {
    std::string name;
    DType type;
    std::vector<uint64_t> dims;
    std::vector<std::byte> data;
  };
  std::vector<Entry> entries;
  std::vector<Tensor> tensors;
  std::vector<std::byte> image() const { return writer_.image(); }

 private:
  std::string text() {
    std::string s(random_() % 9, ' ');
    for (char& c : s) c = static_cast<char>(random_());
    return s;
  }

  // `count` elements, arrays within arrays down to `depth`.
  std::string elements(GgufType type, uint64_t count, int depth) {
    std::string bytes;
    for (uint64_t i = 0; i < count; ++i) {
      if (type == GgufType::string) {
        append_text(bytes, text());
      } else if (type == GgufType::array) {
        const auto inner = static_cast<GgufType>(random_() % 13);
        const bool leaf = inner == GgufType::array && depth == 0;
        const uint64_t n = leaf ? 0 : random_() % 4;
        append_head(bytes, inner, n);
        bytes += elements(inner, n, depth - 1);
      } else {
        for (uint32_t b = 0; b < element_bytes(type); ++b) bytes += static_cast<char>(random_());
      }
    }
    return bytes;
  }

  void put(const std::string& key) {
    const auto type = static_cast<GgufType>(random_() % 13);
    Entry e{key, type, elements(type, 1, 3), {}, 0};
    if (type == GgufType::array) {
      e.element = static_cast<GgufType>(random_() % 13);
      e.count = random_() % 6;
      e.bytes = elements(e.element, e.count, 3);
      writer_.put_array(key, e.element, e.count, e.bytes);
    } else if (type == GgufType::string) {
      writer_.put(key, std::string_view(e.bytes).substr(8));
    } else if (type == GgufType::f32) {
      float x = 0;
      std::memcpy(&x, e.bytes.data(), 4);
      if (std::isnan(x)) x = -1.25F;  // no number: its bits need not survive arithmetic
      std::memcpy(e.bytes.data(), &x, 4);
      writer_.put(key, static_cast<double>(x));
    } else if (type == GgufType::f64) {
      double x = 0;
      std::memcpy(&x, e.bytes.data(), 8);
      if (std::isnan(x)) x = 0.1;
      std::memcpy(e.bytes.data(), &x, 8);
      writer_.put(key, x, true);
    } else if (type == GgufType::boolean) {
      e.bytes[0] &= 1;
      writer_.put(key, e.bytes[0] != 0);
    } else {
      uint64_t n = 0;
      std::memcpy(&n, e.bytes.data(), e.bytes.size());
      writer_.put(key, type, n);
    }
    entries.push_back(std::move(e));
  }

  void add(const std::string& name) {
    const TypeInfo& type = *all_types()[random_() % all_types().size()];
    Tensor t{name, type.type, {type.block_values * (1 + random_() % 3)}, {}};
    for (auto d = random_() % 3; d > 0; --d) t.dims.push_back(1 + random_() % 4);
    uint64_t rows = 1;
    for (size_t d = 1; d < t.dims.size(); ++d) rows *= t.dims[d];
    t.data.resize(*row_bytes(t.type, t.dims[0]) * rows);
    for (std::byte& b : t.data) b = static_cast<std::byte>(random_());
    writer_.add(name, t.type, t.dims, [data = t.data](uint64_t first, std::span<std::byte> out) {
      std::memcpy(out.data(), data.data() + first, out.size());
    });
    tensors.push_back(std::move(t));
  }

  std::mt19937 random_;
  GgufWriter writer_;
};

// The value of an entry brought back into the file's form.
std::string bytes_of(const MetadataValue& v) {
  std::string bytes;
  if (const auto* s = std::get_if<std::string_view>(&v.value)) append_text(bytes, std::string(*s));
  if (const auto* b = std::get_if<bool>(&v.value)) bytes += static_cast<char>(*b);
  if (const auto* n = std::get_if<uint64_t>(&v.value)) append(bytes, n, element_bytes(v.type));
  if (const auto* n = std::get_if<int64_t>(&v.value)) append(bytes, n, element_bytes(v.type));
  if (const auto* x = std::get_if<double>(&v.value)) {
    const auto narrow = static_cast<float>(*x);
    if (v.type == GgufType::f32) append(bytes, &narrow, 4);
    if (v.type == GgufType::f64) append(bytes, x, 8);
  }
  if (const auto* a = std::get_if<GgufArray>(&v.value)) append(bytes, a->data.data(), a->data.size());
  return bytes;
}

TEST(GgufRandom, EveryTypeOfValueComesBackByteForByte) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    const RandomFile wanted(seed);
    const auto image = wanted.image();
    const Gguf file = Gguf::parse(image, "random.gguf");
    EXPECT_EQ(file.version(), 2 + seed % 2);
    ASSERT_EQ(file.metadata().size(), wanted.entries.size());
    for (size_t i = 0; i < wanted.entries.size(); ++i) {
      const RandomFile::Entry& e = wanted.entries[i];
      const MetadataEntry& found = file.metadata()[i];
      EXPECT_EQ(found.key, e.key);
      EXPECT_EQ(found.value.type, e.type);
      EXPECT_EQ(bytes_of(found.value), e.bytes) << seed << " " << e.key << " " << to_string(e.type);
      EXPECT_LT(summary(found.value).size(), 300U);
      if (e.type != GgufType::array) continue;
      EXPECT_EQ(std::get<GgufArray>(found.value.value).element, e.element);
      EXPECT_EQ(std::get<GgufArray>(found.value.value).count, e.count);
    }
    ASSERT_EQ(file.tensors().size(), wanted.tensors.size());
    for (const RandomFile::Tensor& t : wanted.tensors) {
      const TensorInfo* found = file.tensor(t.name);
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->type, t.type);
      EXPECT_EQ(found->n_dims, t.dims.size());
      for (size_t d = 0; d < t.dims.size(); ++d) EXPECT_EQ(found->dims[d], t.dims[d]);
      EXPECT_TRUE(std::equal(found->data.begin(), found->data.end(), t.data.begin(), t.data.end()))
          << seed << " " << t.name;
    }
  }
}

// Empty if the bytes are a file. A corrupt file names itself and the place or the tensor.
std::string complaint(std::span<const std::byte> bytes) {
  try {
    const Gguf file = Gguf::parse(bytes, "random.gguf");
    for (const MetadataEntry& e : file.metadata()) EXPECT_LT(summary(e.value).size(), 1000U);
    const std::byte* end = bytes.data() + bytes.size();
    for (const TensorInfo& t : file.tensors()) {
      EXPECT_TRUE(t.data.data() >= bytes.data() && t.data.data() + t.data.size() <= end);
    }
    return "";
  } catch (const Error& e) {
    EXPECT_NE(e.message.find("random.gguf"), std::string::npos) << e.message;
    const bool head = bytes.size() < 8 || std::memcmp(bytes.data(), "GGUF", 4) != 0;
    const bool placed =
        e.message.find("byte ") != std::string::npos || e.message.find("tensor '") != std::string::npos;
    EXPECT_TRUE(placed || head || e.code != Code::corrupt_file) << e.message;
    return e.message;
  }
}

TEST(GgufRandom, DamageIsNamedOrHarmless) {
  size_t errors = 0, files = 0;
  for (unsigned seed = 0; seed < 12; ++seed) {
    const auto image = RandomFile(seed).image();
    const size_t most = std::min<size_t>(image.size(), 2048);
    for (size_t at = 0; at < most; ++at) {
      for (const int bits : {0x01, 0x10, 0x80, 0xff}) {
        auto copy = image;
        copy[at] ^= static_cast<std::byte>(bits);
        ++(complaint(copy).empty() ? files : errors);
      }
      ++(complaint(std::span(image).first(at)).empty() ? files : errors);
    }
  }
  EXPECT_GT(errors, 1000U);
  EXPECT_GT(files, 100U);  // a changed number or a byte of a weight
}

TEST(GgufRandom, AbsurdLengthsOfTextFailAtOnce) {
  for (const uint64_t length : {1ULL << 60, ~0ULL, 1ULL << 31}) {
    std::string key("GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", 24);
    append(key, &length, 8);
    key += std::string(40, 'k');
    EXPECT_NE(complaint(std::as_bytes(std::span(key))).find("ends within a metadata key"), std::string::npos);
    GgufWriter w;
    std::string text;
    append(text, &length, 8);
    w.put_array("a", GgufType::string, 1, text + std::string(16, 't'));
    EXPECT_NE(complaint(w.image()).find(std::to_string(length)), std::string::npos);
  }
}

TEST(GgufRandom, AbsurdDimensionsAndOffsetsFailAtOnce) {
  GgufWriter w;
  w.add("t", DType::f32, {4},
        [](uint64_t, std::span<std::byte> out) { std::fill(out.begin(), out.end(), std::byte{0}); });
  const auto image = w.image();
  const size_t info = 24 + 8 + 1;  // number of dimensions, dimension, type, offset
  for (const uint64_t absurd : {1ULL << 60, ~0ULL, ~0ULL - 31}) {
    for (const size_t at : {info + 4, info + 16}) {
      auto copy = image;
      std::memcpy(copy.data() + at, &absurd, 8);
      EXPECT_NE(complaint(copy).find("tensor 't'"), std::string::npos) << absurd << " at " << at;
    }
  }
}

}  // namespace
}  // namespace hearth
