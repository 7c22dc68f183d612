#include "formats/gguf.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include "base/error.h"
#include "formats/gguf_writer.h"

namespace hearth {
namespace {

GgufWriter::Fill constant(std::byte value) {
  return [value](uint64_t, std::span<std::byte> out) {
    std::memset(out.data(), static_cast<int>(value), out.size());
  };
}

// A small file with every kind of value.
GgufWriter sample(uint32_t version = 3) {
  GgufWriter w(version);
  w.put("general.architecture", std::string_view("llama"));
  w.put("a.u8", GgufType::u8, 250);
  w.put("a.i64", GgufType::i64, static_cast<uint64_t>(-7));
  w.put("a.u64", GgufType::u64, ~0ULL);
  w.put("a.f32", 1.5);
  w.put("a.f64", 0.1, true);
  w.put("a.yes", true);
  w.put("a.words", std::vector<std::string>{"one", "", std::string("n\0l", 3)});
  w.put("a.ints", std::vector<int32_t>{-1, 2, 3});
  w.put("a.floats", std::vector<float>{0.5F, -2});
  std::string nested;  // an array of two arrays of u8
  for (int i = 0; i < 2; ++i) {
    const uint32_t type = 0;
    const uint64_t count = 2;
    nested.append(reinterpret_cast<const char*>(&type), 4)
        .append(reinterpret_cast<const char*>(&count), 8)
        .append("ab");
  }
  w.put_array("a.nested", GgufType::array, 2, nested);
  w.add("x.weight", DType::q8_0, {64, 2}, constant(std::byte{3}));
  w.add("y.weight", DType::f32, {5}, constant(std::byte{0}));
  return w;
}

// The message of the Error that parsing throws; empty if it does not.
std::string failure(std::span<const std::byte> bytes) {
  try {
    Gguf::parse(bytes, "sample.gguf");
    return "";
  } catch (const Error& e) {
    EXPECT_NE(e.message.find("sample.gguf"), std::string::npos) << e.message;
    EXPECT_FALSE(e.remedy.empty());
    return e.message;
  }
}
std::string failure(const std::string& text) { return failure(std::as_bytes(std::span(text))); }

TEST(Gguf, EveryKindOfValueComesBack) {
  for (const uint32_t version : {2U, 3U}) {
    const auto image = sample(version).image();
    const Gguf file = Gguf::parse(image, "sample.gguf");
    EXPECT_EQ(file.version(), version);
    EXPECT_EQ(file.u64("a.u8"), 250U);
    EXPECT_EQ(file.f64("a.i64"), -7.0);
    EXPECT_EQ(file.u64("a.u64"), ~0ULL);
    EXPECT_EQ(file.f64("a.f32"), 1.5);
    EXPECT_EQ(file.f64("a.f64"), 0.1);
    EXPECT_EQ(file.boolean("a.yes"), true);
    EXPECT_EQ(file.strings("a.words"),
              (std::vector<std::string_view>{"one", "", std::string_view("n\0l", 3)}));
    EXPECT_EQ(file.ints("a.ints"), (std::vector<int32_t>{-1, 2, 3}));
    EXPECT_EQ(file.floats("a.floats"), (std::vector<float>{0.5F, -2}));
    EXPECT_EQ(std::get<GgufArray>(file.find("a.nested")->value).count, 2U);
    EXPECT_FALSE(file.u64("a.none"));
    const TensorInfo* x = file.tensor("x.weight");
    ASSERT_NE(x, nullptr);
    EXPECT_EQ(file.view(*x).shape, (Shape{2, 64, 1}));
    EXPECT_EQ(x->data.size(), 4U * 34);
    EXPECT_EQ(x->data[77], std::byte{3});
    EXPECT_EQ(file.tensor("z"), nullptr);
  }
}

TEST(Gguf, AWrongTypeNamesKeyExpectedAndFound) {
  const auto image = sample().image();
  const Gguf file = Gguf::parse(image, "sample.gguf");
  const auto message = [](auto&& ask) -> std::string {
    try {
      ask();
    } catch (const Error& e) {
      return e.message;
    }
    return "";
  };
  EXPECT_EQ(message([&] { file.u64("general.architecture"); }),
            "key 'general.architecture' is of type string, expected an integer of 0 or more");
  EXPECT_NE(message([&] { file.u64("a.i64"); }).find("a.i64"), std::string::npos);
  EXPECT_NE(message([&] { file.strings("a.ints"); }).find("expected an array of strings"), std::string::npos);
  EXPECT_NE(message([&] { file.floats("a.words"); }).find("expected an array of numbers"), std::string::npos);
  EXPECT_NE(message([&] { file.ints("a.none"); }).find("missing"), std::string::npos);
  EXPECT_NE(message([&] { file.boolean("a.u8"); }).find("expected bool"), std::string::npos);
}

TEST(Gguf, EveryTruncationIsAnError) {
  const auto image = sample().image();
  for (size_t size = 0; size + 12 < image.size();
       ++size) {  // the last tensor ends 12 bytes before its padding
    EXPECT_NE(failure(std::span(image).first(size)), "") << size;
  }
  const std::string last = failure(std::span(image).first(image.size() - 20));
  EXPECT_NE(last.find("y.weight"), std::string::npos) << last;
  EXPECT_NE(last.find("byte"), std::string::npos) << last;
}

TEST(Gguf, EveryFlippedByteIsAnErrorOrAFile) {
  const auto image = sample().image();
  size_t errors = 0;
  for (size_t at = 0; at < image.size(); ++at) {
    for (const int bits : {0x01, 0x80, 0xff}) {
      auto copy = image;
      copy[at] ^= static_cast<std::byte>(bits);
      errors += failure(copy).empty() ? 0 : 1;
    }
  }
  EXPECT_GT(errors, 100U);
}

TEST(Gguf, AbsurdCountsFailAtOnce) {
  const auto image = sample().image();
  for (const size_t at : {8U, 16U}) {  // number of tensors, number of entries
    auto copy = image;
    const uint64_t absurd = 1ULL << 60;
    std::memcpy(copy.data() + at, &absurd, sizeof absurd);
    EXPECT_NE(failure(copy).find("do not fit"), std::string::npos);
  }
  GgufWriter w;
  w.put_array("a", GgufType::u64, 1ULL << 61, "");
  EXPECT_NE(failure(w.image()).find("array 'a'"), std::string::npos);
  GgufWriter s;
  s.put_array("a", GgufType::string, 1ULL << 40, std::string(64, '\0'));
  EXPECT_NE(failure(s.image()).find("array 'a'"), std::string::npos);
  std::string deep;  // arrays in arrays in arrays …
  for (int i = 0; i < 40; ++i) {
    const uint32_t type = 9;
    const uint64_t count = 1;
    deep.append(reinterpret_cast<const char*>(&type), 4).append(reinterpret_cast<const char*>(&count), 8);
  }
  GgufWriter d;
  d.put_array("a", GgufType::array, 1, deep);
  EXPECT_NE(failure(d.image()).find("nested"), std::string::npos);
}

TEST(Gguf, WhatIsNoGgufIsNamed) {
  EXPECT_NE(failure(std::string()).find("empty"), std::string::npos);
  EXPECT_NE(failure(std::string("PK\x03\x04....")).find("ZIP"), std::string::npos);
  EXPECT_NE(failure(std::string("<!DOCTYPE html>")).find("web page"), std::string::npos);
  EXPECT_NE(failure(std::string("version https://git-lfs.github.com/spec/v1\n")).find("LFS"),
            std::string::npos);
  EXPECT_NE(failure(std::string("\x40\0\0\0\0\0\0\0{\"a\":1}", 15)).find("safetensors"), std::string::npos);
  EXPECT_NE(failure(std::string("GGUF\x01\0\0\0", 8) + std::string(32, '\0')).find("version 1"),
            std::string::npos);
  EXPECT_NE(failure(std::string("GGUF\x04\0\0\0", 8) + std::string(32, '\0')).find("version 4"),
            std::string::npos);
  EXPECT_NE(failure(std::string("GGUF\0\0\0\x03", 8) + std::string(32, '\0')).find("big-endian"),
            std::string::npos);
}

TEST(Gguf, FaultsInTensorsAreNamed) {
  const auto with = [](auto&& change) {
    GgufWriter w;
    change(w);
    return failure(w.image());
  };
  EXPECT_NE(with([](GgufWriter& w) {
              w.add("t", DType::f32, {4}, constant(std::byte{0}));
              w.add("t", DType::f32, {4}, constant(std::byte{0}));
            }).find("tensor 't' stands twice"),
            std::string::npos);
  EXPECT_NE(with([](GgufWriter& w) {
              w.put("k", true);
              w.put("k", true);
            }).find("key 'k' stands twice"),
            std::string::npos);
  EXPECT_NE(with([](GgufWriter& w) {
              w.put("general.alignment", GgufType::u32, 33);
              w.add("t", DType::f32, {4}, constant(std::byte{0}));
            }).find("power of two"),
            std::string::npos);
  EXPECT_NE(with([](GgufWriter& w) {
              w.add("t", DType::f32, {0}, constant(std::byte{0}));
            }).find("impossible dimension"),
            std::string::npos);
  EXPECT_NE(with([](GgufWriter& w) {
              w.add("t", DType::f32, {1, 1, 1, 1, 1}, constant(std::byte{0}));
            }).find("5 dimensions"),
            std::string::npos);
}

// Random files: what was written is what is read.
TEST(Gguf, RandomFilesRoundTrip) {
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    const uint64_t alignment = 1ULL << (3 + random() % 8);
    GgufWriter w(2 + random() % 2, alignment);
    w.put("general.alignment", GgufType::u32, alignment);
    const auto keys = random() % 10, tensors = random() % 8;
    for (unsigned i = 0; i < keys; ++i) w.put("k" + std::to_string(i), GgufType::u64, i * 1000003ULL);
    std::vector<std::pair<DType, std::vector<uint64_t>>> shapes;
    for (unsigned i = 0; i < tensors; ++i) {
      const TypeInfo* type = all_types()[random() % all_types().size()];
      shapes.emplace_back(type->type,
                          std::vector<uint64_t>{type->block_values * (1 + random() % 3), 1 + random() % 4});
      w.add("t" + std::to_string(i), type->type, shapes.back().second,
            constant(static_cast<std::byte>(i + 1)));
    }
    const auto image = w.image();
    const Gguf file = Gguf::parse(image, "random");
    ASSERT_EQ(file.tensors().size(), tensors);
    for (unsigned i = 0; i < keys; ++i) EXPECT_EQ(file.u64("k" + std::to_string(i)), i * 1000003ULL);
    for (unsigned i = 0; i < tensors; ++i) {
      const TensorInfo& t = file.tensors()[i];
      EXPECT_EQ(t.type, shapes[i].first);
      EXPECT_EQ(t.dims[0], shapes[i].second[0]);
      for (const std::byte b : t.data) ASSERT_EQ(b, static_cast<std::byte>(i + 1));
    }
  }
}

class SplitFiles : public testing::Test {
 protected:
  SplitFiles()
      : folder_(std::filesystem::temp_directory_path() / ("hearth-split-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~SplitFiles() override { std::filesystem::remove_all(folder_); }

  void part(int number, int tensors, int announced = 6) const {
    GgufWriter w;
    if (number == 1) w.put("general.architecture", std::string_view("llama"));
    w.put("split.no", GgufType::u16, static_cast<uint64_t>(number - 1));
    w.put("split.count", GgufType::u16, 3);
    w.put("split.tensors.count", GgufType::i32, static_cast<uint64_t>(announced));
    for (int i = 0; i < tensors; ++i) {
      w.add("p" + std::to_string(number) + "." + std::to_string(i), DType::f32, {8},
            constant(static_cast<std::byte>(number)));
    }
    w.write(path(number));
  }
  std::filesystem::path path(int number) const {
    return folder_ / ("m-0000" + std::to_string(number) + "-of-00003.gguf");
  }
  std::string error_of(const std::filesystem::path& file) const {
    try {
      Gguf::open(file);
      return "";
    } catch (const Error& e) {
      return e.message;
    }
  }

  std::filesystem::path folder_;
};

TEST_F(SplitFiles, PartsAreOneModel) {
  for (int i = 1; i <= 3; ++i) part(i, i);
  const Gguf file = Gguf::open(path(1));
  EXPECT_EQ(file.tensors().size(), 6U);
  EXPECT_EQ(file.tensor("p3.2")->data[5], std::byte{3});
  EXPECT_EQ(file.string("general.architecture"), "llama");
}

TEST_F(SplitFiles, FaultsAreNamed) {
  for (int i = 1; i <= 3; ++i) part(i, i);
  EXPECT_NE(error_of(path(2)).find("part 2 of 3"), std::string::npos);
  std::filesystem::copy(path(1), folder_ / "renamed.gguf");
  EXPECT_NE(error_of(folder_ / "renamed.gguf").find("not named"), std::string::npos);
  part(3, 1);
  EXPECT_NE(error_of(path(1)).find("4 tensors, 6 are announced"), std::string::npos) << error_of(path(1));
  std::filesystem::remove(path(3));
  EXPECT_NE(error_of(path(1)).find("m-00003-of-00003.gguf"), std::string::npos);
}

TEST_F(SplitFiles, PartsOfOtherModelsAreNamed) {
  for (int i = 1; i <= 3; ++i) part(i, i);
  const auto copy = [&](int from, int to) {
    std::filesystem::copy(path(from), path(to), std::filesystem::copy_options::overwrite_existing);
  };
  copy(3, 2);
  EXPECT_NE(error_of(path(1)).find("m-00002-of-00003.gguf is in truth part 3"), std::string::npos)
      << error_of(path(1));
  part(2, 5);  // of a model whose parts are of another size
  EXPECT_NE(error_of(path(1)).find("9 tensors, 6 are announced"), std::string::npos) << error_of(path(1));
}

// Each part has its own alignment, also where the key stands in an earlier part too.
TEST_F(SplitFiles, EachPartHasItsOwnAlignment) {
  for (int i = 1; i <= 3; ++i) {
    const uint64_t alignment = i == 3 ? 1024 : 256;
    GgufWriter w(3, alignment);
    w.put("general.alignment", GgufType::u32, alignment);
    w.put("split.no", GgufType::u16, static_cast<uint64_t>(i - 1));
    w.put("split.count", GgufType::u16, 3);
    w.add("t" + std::to_string(i), DType::f32, {8}, constant(static_cast<std::byte>(i)));
    w.write(path(i));
  }
  const Gguf file = Gguf::open(path(1));
  for (int i = 1; i <= 3; ++i) {
    const TensorInfo* t = file.tensor("t" + std::to_string(i));
    ASSERT_NE(t, nullptr);
    for (const std::byte b : t->data) ASSERT_EQ(b, static_cast<std::byte>(i));
  }
}

}  // namespace
}  // namespace hearth
