// Headers without their data: as strict as the whole file, and content with its beginning.
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/gguf_writer.h"

namespace hearth {
namespace {

GgufWriter::Fill nothing() {
  return [](uint64_t, std::span<std::byte> out) { std::memset(out.data(), 0, out.size()); };
}

GgufWriter sample() {
  GgufWriter w;
  w.put("general.architecture", std::string_view("llama"));
  w.put("tokenizer.ggml.tokens", std::vector<std::string>{"one", "two", "three"});
  w.put("a.ints", std::vector<int32_t>{1, 2, 3});
  w.add("x.weight", DType::q8_0, {64, 20}, nothing());
  w.add("y.weight", DType::f32, {512}, nothing());
  return w;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::optional<Gguf> read(std::span<const std::byte> bytes, uint64_t length) {
  const GgufHeader header{bytes, length, "m.gguf"};
  return Gguf::parse_headers(std::span(&header, 1));
}

TEST(GgufHeader, SaysWhatTheFileSays) {
  const GgufWriter w = sample();
  const auto image = w.image();
  const std::string head = w.header();
  ASSERT_LT(head.size(), image.size());
  const auto file = read(bytes_of(head), image.size());
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->header_only());
  EXPECT_EQ(file->file_bytes(), image.size());
  EXPECT_EQ(file->strings("tokenizer.ggml.tokens").size(), 3U);
  const Gguf whole = Gguf::parse(image, "m.gguf");
  ASSERT_EQ(file->tensors().size(), whole.tensors().size());
  for (size_t i = 0; i < whole.tensors().size(); ++i) {
    EXPECT_EQ(file->tensors()[i].bytes, whole.tensors()[i].data.size());
    EXPECT_EQ(whole.tensors()[i].bytes, whole.tensors()[i].data.size());
    EXPECT_TRUE(file->tensors()[i].data.empty());
    EXPECT_TRUE(file->view(file->tensors()[i]).shape == whole.view(whole.tensors()[i]).shape);
  }
}

TEST(GgufHeader, EveryShorterBeginningGoesOn) {
  const GgufWriter w = sample();
  const auto image = w.image();
  size_t goes_on = 0;
  for (size_t n = 0; n <= image.size(); ++n) {
    const auto file = read(std::span(image).first(n), image.size());
    if (!file) ++goes_on;
    EXPECT_TRUE(!file || n + 32 >= w.header().size());  // all but the padding before the data
  }
  EXPECT_GT(goes_on, 100U);
  EXPECT_LE(goes_on, w.header().size());
}

TEST(GgufHeader, PlacesAreHeldAgainstTheAnnouncedLength) {
  const GgufWriter w = sample();
  const std::string head = w.header();
  const uint64_t length = w.file_bytes();
  try {
    read(bytes_of(head), length - 1);
    FAIL() << "the last tensor goes past the end";
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::corrupt_file);
    EXPECT_NE(e.message.find("y.weight"), std::string::npos) << e.message;
    EXPECT_NE(e.remedy.find("1 bytes are missing"), std::string::npos) << e.remedy;
  }
  EXPECT_TRUE(read(bytes_of(head), length + 1000));
}

// A count that only a longer file could hold is no reason to ask for more of this one, nor to take memory.
TEST(GgufHeader, ImpossibleCountsAreDamage) {
  std::string head = sample().header();
  const uint64_t huge = uint64_t{1} << 60;
  std::memcpy(head.data() + 8, &huge, 8);
  EXPECT_THROW(read(bytes_of(head), 100000), Error);
  const uint64_t many = 1'000'000;  // could be, in a file of this length: the rest has to be seen
  std::memcpy(head.data() + 8, &many, 8);
  EXPECT_FALSE(read(bytes_of(head), uint64_t{1} << 40));
}

TEST(GgufHeader, PartsAreReadTogether) {
  const auto part = [](uint64_t number, const char* tensor) {
    GgufWriter w;
    w.put("general.architecture", std::string_view("llama"));
    w.put("split.no", GgufType::u16, number);
    w.put("split.count", GgufType::u16, 2);
    w.put("split.tensors.count", GgufType::i32, 2);
    w.add(tensor, DType::f32, {32}, nothing());
    return w;
  };
  const GgufWriter a = part(0, "a"), b = part(1, "b");
  const std::string head_a = a.header(), head_b = b.header();
  const GgufHeader both[] = {{bytes_of(head_a), a.file_bytes(), "m-00001-of-00002.gguf"},
                             {bytes_of(head_b), b.file_bytes(), "m-00002-of-00002.gguf"}};
  const auto file = Gguf::parse_headers(both);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->file_bytes(), a.file_bytes() + b.file_bytes());
  EXPECT_THROW(Gguf::parse_headers(std::span(both).first(1)), Error);
  const GgufHeader twice[] = {both[0], {bytes_of(head_a), a.file_bytes(), "m-00002-of-00002.gguf"}};
  EXPECT_THROW(Gguf::parse_headers(twice), Error);
}

}  // namespace
}  // namespace hearth
