#include "store/modelfile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "store_support.h"

namespace hearth {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(std::string_view text) {
  try {
    Modelfile::parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code, Code::bad_request);
    return error.message;
  }
  return {};
}

TEST(Modelfile, ReadsEveryInstruction) {
  const Modelfile file = Modelfile::parse(
      "# comment\n\n  from base:latest\nFROM ./eyes.gguf\nAdapter a.gguf\nADAPTER b.gguf\nDRAFT d.gguf\n"
      "PARAMETER temperature 0.7\nparameter stop <|a|>\nPARAMETER stop \"<|b|> \"\n"
      "TEMPLATE {{ .Prompt }}\nSYSTEM old\nSYSTEM new\nMESSAGE user Hello there \nMESSAGE assistant "
      "\"\"\"Hi\n\"you\"\"\"\"\n"
      "LICENSE MIT\nLICENSE \"two\nlines\"\nRENDERER qwen3-coder\nPARSER qwen3\nREQUIRES 0.6.0");
  EXPECT_THAT(file.from, ElementsAre("base:latest", "./eyes.gguf"));
  EXPECT_THAT(file.adapters, ElementsAre("a.gguf", "b.gguf"));
  EXPECT_EQ(file.draft, "d.gguf");
  ASSERT_EQ(file.parameters.size(), 3U);
  EXPECT_EQ(file.parameters[2].value, "<|b|> ");
  EXPECT_EQ(file.prompt_template, "{{ .Prompt }}");
  EXPECT_EQ(file.system, "new");
  ASSERT_EQ(file.messages.size(), 2U);
  EXPECT_EQ(file.messages[0].content, "Hello there");
  EXPECT_EQ(file.messages[1].content, "Hi\n\"you\"");
  EXPECT_THAT(file.licenses, ElementsAre("MIT", "two\nlines"));
  EXPECT_EQ(file.renderer, "qwen3-coder");
  EXPECT_EQ(file.parser, "qwen3");
  EXPECT_EQ(file.requires_version, "0.6.0");
}

TEST(Modelfile, QuotesFollowTheRules) {
  const struct {
    const char *text, *value;
  } cases[] = {
      {"plain text ", "plain text"},
      {"'single'", "'single'"},
      {R"("a")", "a"},
      {R"("")", ""},
      {R"("""""")", ""},
      {R"("a \n b")", R"(a \n b)"},  // no escapes
      {"\"\"\"\na\n\"\"\"", "\na\n"},
      {"\"\"\"a \"\" b\"\"\"  \t", "a \"\" b"},
      {"\"a\" b \"c\"", "a\" b \"c"},  // the whole value begins and ends with quotes
      {"\"a\" b\nc\"", "a\" b\nc"},
      {"a \"b\"", "a \"b\""},
      {"# no comment", "# no comment"},
      {"tab\tin", "tab\tin"},
      {"a\r", "a"},
      {"a\x01\x7f\xc2\x85z", "az"},
      {"\xff\xc3", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB", "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB"},
  };
  for (const auto& one : cases) {
    for (const char* end : {"", "\n", "\nPARAMETER seed 1\n"}) {
      EXPECT_EQ(Modelfile::parse(std::string("FROM m\nSYSTEM ") + one.text + end).system, one.value)
          << one.text;
    }
  }
}

TEST(Modelfile, NamesTheLineOfAnError) {
  EXPECT_EQ(error_of(""), "no FROM line");
  EXPECT_EQ(error_of("# FROM m\nSYSTEM x"), "no FROM line");
  EXPECT_THAT(error_of("FROM m\n\nBOGUS x"),
              testing::StartsWith("(line 3): command must be one of \"from\", "));
  EXPECT_THAT(error_of("FROM m\nSYSTEM \"\"\"a\nb\"\"\"\n{}"), testing::StartsWith("(line 4): command"));
  for (const char* text :
       {"FROM", "FROM\n", "FROM  \n", "FROM m\nPARAMETER", "FROM m\nPARAMETER stop",
        "FROM m\nPARAMETER stop \nx", "FROM m\nSYSTEM \"", "FROM m\nSYSTEM \"a", "FROM m\nSYSTEM \"\"\"a\"",
        "FROM m\nMESSAGE user", "FROM m\nSYSTEM \"\"\"a\"\"\" b\nc"}) {
    EXPECT_THAT(error_of(text), HasSubstr("unexpected EOF")) << text;
  }
  EXPECT_EQ(error_of("FROM m\nMESSAGE tool x"),
            "(line 2): message role must be one of \"system\", \"user\", or \"assistant\"");
}

TEST(Modelfile, ReadsUtf16) {
  const std::u16string text = u"FROM m\nSYSTEM h\u00e9\U0001F600";
  std::string little = "\xFF\xFE", big = "\xFE\xFF";
  for (const char16_t unit : text) {
    little += {static_cast<char>(unit & 0xFF), static_cast<char>(unit >> 8)};
    big += {static_cast<char>(unit >> 8), static_cast<char>(unit & 0xFF)};
  }
  for (const std::string& bytes : {little, big}) {
    EXPECT_EQ(Modelfile::parse(bytes).system, "h\xC3\xA9\xF0\x9F\x98\x80");
  }
  EXPECT_EQ(Modelfile::parse("\xEF\xBB\xBF"
                             "FROM m")
                .from.front(),
            "m");
}

TEST(Modelfile, PrintsWhatItCanReadAgain) {
  Modelfile file;
  file.from = {"/blobs/sha256-00"};
  file.prompt_template = "{{ .Prompt }}\n\"quoted\"\n";
  file.system = " outer blank";
  file.parameters = {{"stop", "\"</s>\""}, {"temperature", "0.5"}, {"stop", ""}};
  file.licenses = {"line\nline", "one"};
  file.messages = {{"user", "hi"}, {"assistant", "\n"}};
  EXPECT_EQ(
      file.print(),
      "FROM /blobs/sha256-00\nTEMPLATE \"\"\"{{ .Prompt }}\n\"quoted\"\n\"\"\"\nSYSTEM \" outer blank\"\n"
      "PARAMETER stop \"\"\"\"</s>\"\"\"\"\nPARAMETER temperature 0.5\nPARAMETER stop \"\"\n"
      "LICENSE \"line\nline\"\nLICENSE one\nMESSAGE user hi\nMESSAGE assistant \"\n\"\n");
  const Modelfile again = Modelfile::parse(file.print());
  EXPECT_EQ(again.prompt_template, file.prompt_template);
  EXPECT_EQ(again.parameters[0].value, file.parameters[0].value);
  EXPECT_EQ(again.licenses, file.licenses);
  EXPECT_EQ(again.print(), file.print());
}

TEST(Modelfile, ParametersAreTyped) {
  std::vector<std::string> warnings;
  const json::object typed = typed_parameters({{"num_ctx", "4096"},
                                               {"temperature", "0.7"},
                                               {"temperature", "1"},
                                               {"stop", "a"},
                                               {"stop", "1"},
                                               {"use_mmap", "False"},
                                               {"seed", "-1"},
                                               {"mirostat", "2"}},
                                              warnings);
  EXPECT_EQ(json::value(typed),
            json::parse(R"({"num_ctx":4096,"temperature":1.0,"stop":["a","1"],"use_mmap":false,"seed":-1})"));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], HasSubstr("mirostat"));
  const struct {
    const char *name, *value, *message;
  } bad[] = {
      {"bogus", "1", "unknown parameter 'bogus'"},
      {"Temperature", "1", "unknown parameter 'Temperature'"},
      {"num_ctx", "4k", "invalid int value [4k]"},
      {"num_ctx", "1.5", "invalid int value [1.5]"},
      {"seed", "99999999999999999999", "invalid int value [99999999999999999999]"},
      {"top_p", "x", "invalid float value [x]"},
      {"top_p", "nan", "invalid float value [nan]"},
      {"top_p", "1e999", "invalid float value [1e999]"},
      {"use_mmap", "yes", "invalid bool value [yes]"},
  };
  for (const auto& one : bad) {
    try {
      typed_parameters({{one.name, one.value}}, warnings);
      ADD_FAILURE() << one.message;
    } catch (const Error& error) {
      EXPECT_EQ(error.message, one.message);
    }
  }
}

TEST(Modelfile, ParameterLinesAreWhatClientsParse) {
  const json::object parameters =
      json::parse(R"({"stop":["<|end|>","\"x\""],"temperature":0.7,"num_ctx":8192})").as_object();
  EXPECT_EQ(parameter_lines(parameters),
            "stop                           \"<|end|>\"\n"
            "stop                           \"\\\"x\\\"\"\n"
            "temperature                    0.7\n"
            "num_ctx                        8192");
  const auto list = untyped_parameters(parameters);
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].value, "<|end|>");
  EXPECT_EQ(list[2].value, "0.7");
}

TEST(Modelfile, FindsTheFilesOfAFolder) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(files_of_folder(folder.path()), Error);
  EXPECT_THROW(files_of_folder(folder.path() / "none"), Error);
  const auto leaves = [&] {
    std::vector<std::string> found;
    for (const auto& path : files_of_folder(folder.path()))
      found.push_back(path.lexically_relative(folder.path()));
    return found;
  };
  test::write_file(folder.path() / "a.bin", "not GGUF");
  EXPECT_THROW(leaves(), Error);
  test::write_file(folder.path() / "b.bin", "GGUF....");
  EXPECT_THAT(leaves(), ElementsAre("b.bin"));
  test::write_file(folder.path() / "c.gguf", "GGUF....");
  test::write_file(folder.path() / "fake.gguf", "no");
  test::write_file(folder.path() / "config.json", "{}");
  EXPECT_THAT(leaves(), ElementsAre("c.gguf", "config.json"));
  test::write_file(folder.path() / "model-00002-of-00002.safetensors", "x");
  test::write_file(folder.path() / "model-00001-of-00002.safetensors", "x");
  test::write_file(folder.path() / "text_encoder/model.safetensors", "x");
  test::write_file(folder.path() / "tokenizer.model", "x");
  EXPECT_THAT(leaves(), ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                    "text_encoder/model.safetensors", "config.json", "tokenizer.model"));
}

}  // namespace
}  // namespace hearth
