#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "support/publish.h"

namespace hearth {
namespace {

std::string file_of(const std::string& header, size_t data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + std::string(data, 'x');
}

Safetensors parse(const std::string& bytes) {
  return Safetensors::parse(std::as_bytes(std::span(bytes.data(), bytes.size())), "model");
}

void expect_refused(const std::string& bytes, const std::string& word) {
  try {
    parse(bytes);
    ADD_FAILURE() << "accepted, expected: " << word;
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::corrupt_file);
    EXPECT_NE(e.message.find(word), std::string::npos) << e.message;
  }
}

std::string entry(const char* name, const char* dtype, const char* shape, uint64_t begin, uint64_t end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, dtype, shape, begin,
                     end);
}

TEST(Safetensors, ReadsTensors) {
  const std::string bytes =
      file_of("{\"__metadata__\":{\"format\":\"pt\"}," + entry("a.weight", "BF16", "[2,4]", 0, 16) + "," +
                  entry("b", "F8_E4M3", "[3]", 16, 19) + "," + entry("c", "F32", "[]", 19, 23) + "," +
                  entry("none", "I64", "[0,5]", 23, 23) + "}   ",
              23);
  const Safetensors file = parse(bytes);
  ASSERT_EQ(file.tensors().size(), 4U);
  const SafeTensor* a = file.find("a.weight");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->type->type, DType::bf16);
  EXPECT_EQ(a->shape, (std::vector<uint64_t>{2, 4}));
  EXPECT_EQ(a->values(), 8U);
  EXPECT_EQ(a->data.size(), 16U);
  EXPECT_EQ(file.find("b")->type, nullptr);
  EXPECT_EQ(file.find("b")->dtype, "F8_E4M3");
  EXPECT_EQ(file.find("c")->values(), 1U);
  EXPECT_EQ(file.find("d"), nullptr);
}

TEST(Safetensors, RefusesWhatCannotBe) {
  const std::string a = entry("a", "F16", "[2]", 0, 4);
  expect_refused("", "too short");
  expect_refused("\x01", "too short");
  expect_refused(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "a header of");
  expect_refused(file_of("{" + a + "}", 4).substr(0, 20), "a header of");
  expect_refused(file_of("[]", 0), "no object");
  expect_refused(file_of("{" + a, 4), "no valid JSON");
  expect_refused(file_of(std::string(100000, '['), 0), "no valid JSON");
  expect_refused(file_of("{" + a + "}", 3), "the data have 3");
  expect_refused(file_of("{" + a + "}", 5), "belong to no tensor");
  expect_refused(file_of("{" + a + "," + entry("b", "F16", "[1]", 2, 4) + "}", 4), "'b'");
  expect_refused(file_of("{" + a + "," + entry("b", "F16", "[1]", 6, 8) + "}", 8), "'b'");
  expect_refused(file_of("{" + entry("a", "F16", "[2]", 4, 0) + "}", 4), "'a'");
  expect_refused(file_of("{" + entry("a", "F16", "[3]", 0, 4) + "}", 4), "its shape");
  expect_refused(file_of("{" + entry("a", "F16", "[4294967296,4294967296]", 0, 4) + "}", 4), "its shape");
  expect_refused(file_of("{" + entry("a", "F16", "[-2]", 0, 4) + "}", 4), "shape");
  expect_refused(file_of("{" + entry("a", "F16", "[2.0]", 0, 4) + "}", 4), "shape");
  expect_refused(file_of("{" + entry("a", "F16", "\"2\"", 0, 4) + "}", 4), "shape");
  expect_refused(file_of("{" + entry("a", "F16", "[1,1,1,1,1,1,1,1,2]", 0, 4) + "}", 4), "9 dimensions");
  expect_refused(file_of("{" + entry("a", "Q4_K", "[2]", 0, 4) + "}", 4), "Q4_K");
  expect_refused(file_of(R"({"a":3})", 0), "'a'");
  expect_refused(file_of(R"({"a":{"shape":[],"data_offsets":[0,4]}})", 4), "dtype");
  expect_refused(file_of(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0]}})", 4), "data_offsets");
  expect_refused(file_of(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,18446744073709551615]}})", 4),
                 "'a'");
  // The same name twice: one of the two leaves a hole.
  expect_refused(file_of("{" + entry("a", "U8", "[1]", 0, 1) + "," + entry("a", "U8", "[1]", 1, 2) + "}", 2),
                 "'a'");
}

TEST(Safetensors, EveryCutFileIsRefused) {
  const std::string whole =
      file_of("{" + entry("a", "F16", "[2]", 0, 4) + "," + entry("b", "F32", "[1]", 4, 8) + "}", 8);
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(parse(whole.substr(0, n)), Error) << n;
  EXPECT_EQ(parse(whole).tensors().size(), 2U);
}

TEST(Safetensors, OpensFoldersWithAndWithoutIndex) {
  const test::Folder folder("safetensors");
  EXPECT_THROW(Safetensors::open(folder.path), Error);
  test::write_text(folder / "model-00001-of-00002.safetensors",
                   file_of("{" + entry("a", "F16", "[2]", 0, 4) + "}", 4));
  test::write_text(folder / "model-00002-of-00002.safetensors",
                   file_of("{" + entry("b", "F16", "[2]", 0, 4) + "}", 4));
  EXPECT_EQ(Safetensors::open(folder.path).tensors().size(), 2U);

  const auto index = [&](const std::string& map) {
    test::write_text(folder / "model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  };
  index(R"("a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors")");
  const Safetensors both = Safetensors::open(folder.path);
  EXPECT_NE(both.find("a"), nullptr);
  EXPECT_NE(both.find("b"), nullptr);
  both.forget(both.find("b")->data);
  EXPECT_EQ(both.find("b")->data[3], std::byte{'x'});

  const auto refused = [&](Code code) {
    try {
      Safetensors::open(folder.path);
      ADD_FAILURE();
    } catch (const Error& e) {
      EXPECT_EQ(e.code, code) << e.what();
    }
  };
  index(R"("a":"model-00001-of-00002.safetensors","c":"model-00001-of-00002.safetensors")");
  refused(Code::corrupt_file);
  index(R"("a":"gone.safetensors")");
  refused(Code::not_found);
  for (const char* outside : {"../model-00001-of-00002.safetensors", "/etc/passwd", "", "a/b.safetensors"}) {
    index(fmt::format(R"("a":"{}")", outside));
    refused(Code::corrupt_file);
  }
  index(R"("a":3)");
  refused(Code::corrupt_file);
  test::write_text(folder / "model.safetensors.index.json", "[]");
  refused(Code::corrupt_file);
  std::filesystem::remove(folder / "model.safetensors.index.json");
  // The same tensor in two files.
  test::write_text(folder / "model-00002-of-00002.safetensors",
                   file_of("{" + entry("a", "F16", "[2]", 0, 4) + "}", 4));
  refused(Code::corrupt_file);
}

}  // namespace
}  // namespace hearth
