#include "text/output.h"

#include <gtest/gtest.h>

#include <random>

namespace hearth {
namespace {

// The pieces as one line: neighbours of a kind joined.
std::string shown(const std::vector<OutputPiece>& pieces) {
  std::string out;
  char kind = 0;
  for (const OutputPiece& p : pieces) {
    if (const auto* t = std::get_if<OutputText>(&p)) {
      if (kind != 't') out += "|text:";
      kind = 't';
      out += t->text;
    } else if (const auto* th = std::get_if<OutputThought>(&p)) {
      if (kind != 'h') out += "|thought:";
      kind = 'h';
      out += th->text;
    } else {
      const auto& c = std::get<OutputCall>(p);
      kind = 'c';
      out += "|call:" + c.name + json::serialize(c.arguments);
    }
  }
  return out;
}

std::string parse(const OutputFormat& format, const OutputOptions& options,
                  const std::vector<std::string>& parts) {
  OutputParser parser(format, options);
  std::vector<OutputPiece> all;
  for (const std::string& part : parts) {
    for (OutputPiece& p : parser.push(part)) all.push_back(std::move(p));
  }
  for (OutputPiece& p : parser.finish()) all.push_back(std::move(p));
  return shown(all);
}

const OutputFormat qwen{"<think>", "</think>", CallStyle::tagged, "<tool_call>", "</tool_call>"};
const OutputFormat coder{"", "", CallStyle::functions, "<tool_call>", "</tool_call>"};
const OutputFormat mistral{"", "", CallStyle::tagged, "[TOOL_CALLS]", ""};
const OutputFormat mistral_named{"", "", CallStyle::named, "[TOOL_CALLS]", ""};
const OutputFormat bare{"", "", CallStyle::bare, "{", ""};

const OutputFormat harmony{"", "", CallStyle::channels, "", ""};
const OutputFormat deepseek = *format_of_parser("deepseek3");
const OutputFormat glm = *format_of_parser("glm-4.7");
const OutputFormat python = *format_of_parser("lfm2");

struct Sample {
  OutputFormat format;
  bool starts_thinking;
  std::string text, expected;
};

std::vector<Sample> samples() {
  return {
      {qwen, false, "Hello there", "|text:Hello there"},
      {qwen, false, "<think>\nhm, so\n</think>\n\nYes.", "|thought:hm, so|text:Yes."},
      {qwen, true, "still thinking</think> Yes.", "|thought:still thinking|text:Yes."},
      {qwen, true, "never ends", "|thought:never ends"},
      {qwen, false, "  <think></think>x", "|text:x"},
      {qwen, false, "a <think> in the middle", "|text:a <think> in the middle"},
      {qwen, false, "<thin air", "|text:<thin air"},
      {qwen, false,
       "Sure.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1, \"a\": \"}\"}}\n</tool_call>",
       R"(|text:Sure.|call:f{"b":1,"a":"}"})"},
      {qwen, false,
       "<tool_call>{\"name\":\"f\"}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":{}}</"
       "tool_call>done",
       "|call:f{}|call:g{}|text:done"},
      {qwen, false, "<tool_call>{\"name\":\"nosuch\",\"arguments\":{}}</tool_call>",
       "|text:<tool_call>{\"name\":\"nosuch\",\"arguments\":{}}</tool_call>"},
      {qwen, false, "<tool_call>{\"name\":\"f\",", "|text:<tool_call>{\"name\":\"f\","},
      {qwen, false, "<think>x</think><tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"q\\\":2}\"}</tool_call>",
       R"(|thought:x|call:f{"q":2})"},
      {coder, false,
       "Ok <tool_call>\n<function=f>\n<parameter=path>\na "
       "b\n</parameter>\n<parameter=n>\n3\n</parameter>\n</function>\n</tool_call>",
       R"(|text:Ok|call:f{"path":"a b","n":3})"},
      {mistral, false,
       "[TOOL_CALLS][{\"name\":\"f\",\"arguments\":{\"x\":[1,2]}},{\"name\":\"g\",\"arguments\":{}}]",
       R"(|call:f{"x":[1,2]}|call:g{})"},
      {mistral_named, false, "[TOOL_CALLS]f[ARGS]{\"x\": 1}[TOOL_CALLS]g[ARGS]{}",
       R"(|call:f{"x":1}|call:g{})"},
      {harmony, false,
       "<|channel|>analysis<|message|>hm "
       "<think><|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
       "|thought:hm <think>|text:Yes."},
      {harmony, false,
       "<|channel|>commentary<|message|>Let me see.<|end|><|start|>assistant<|channel|>commentary "
       "to=functions.f "
       "<|constrain|>json<|message|>{\"x\": 1}<|call|>",
       R"(|text:Let me see.|call:f{"x":1})"},
      {harmony, false, " to=functions.g<|channel|>commentary json<|message|>{}", "|call:g{}"},
      {harmony, false, "<|channel|>commentary to=functions.no<|message|>{\"x\": 1}<|call|>",
       R"(|text:{"x": 1})"},
      {harmony, false, "plain <|text", "|text:plain <|text"},
      {harmony, false, "<|channel|>final<|message|>cut <|en", "|text:cut <|en"},
      {deepseek, false,
       "<think>x</"
       "think>Two.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\":\"}\"}<｜tool▁call▁end｜>"
       "<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><"
       "｜tool▁calls▁end｜>",
       R"(|thought:x|text:Two.|call:f{"a":"}"}|call:g{})"},
      {glm, false,
       "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>b c</arg_value>\n<arg_key>n</arg_key>\n<arg_value>3</"
       "arg_value>\n</tool_call>",
       R"(|call:f{"a":"b c","n":3})"},
      {glm, false, "<tool_call>f<arg_key>a</tool_call>", "|text:<tool_call>f<arg_key>a</tool_call>"},
      {python, false,
       "<|tool_call_start|>[f(a='it\\'s', b=[1, None, {'k': True}]), g()]<|tool_call_end|>Done.",
       R"(|call:f{"a":"it's","b":[1,null,{"k":true}]}|call:g{}|text:Done.)"},
      {python, false, "<|tool_call_start|>[f(a=)]<|tool_call_end|>",
       "|text:<|tool_call_start|>[f(a=)]<|tool_call_end|>"},
      {bare, false, "{\"name\": \"f\", \"parameters\": {\"x\": 1}}", R"(|call:f{"x":1})"},
      {bare, false, "{\"colour\": \"red\"}", "|text:{\"colour\": \"red\"}"},
      {bare, false, "An object: {\"name\": \"f\"}", "|text:An object: {\"name\": \"f\"}"},
  };
}

TEST(Output, SplitsAnswers) {
  for (const Sample& s : samples())
    EXPECT_EQ(parse(s.format, {s.starts_thinking, {"f", "g"}}, {s.text}), s.expected) << s.text;
}

TEST(Output, DoesNotDependOnTheCuts) {
  for (const Sample& s : samples()) {
    std::vector<std::string> bytes;
    for (const char c : s.text) bytes.emplace_back(1, c);
    EXPECT_EQ(parse(s.format, {s.starts_thinking, {"f", "g"}}, bytes), s.expected) << s.text;
    for (size_t cut = 1; cut < s.text.size(); ++cut) {
      EXPECT_EQ(parse(s.format, {s.starts_thinking, {"f", "g"}}, {s.text.substr(0, cut), s.text.substr(cut)}),
                s.expected)
          << s.text << " cut at " << cut;
    }
  }
}

TEST(Output, DigitsStayTextWhereTheSchemaSaysSo) {
  OutputOptions options{false, {"f"}, json::parse(R"({"f":{"properties":{"zip":{"type":"string"}}}})")};
  EXPECT_EQ(
      parse(coder, options,
            {"<tool_call><function=f><parameter=zip>00123</parameter><parameter=n>7</parameter></function>"
             "</tool_call>"}),
      R"(|call:f{"zip":"00123","n":7})");
}

TEST(Output, WithoutToolsNothingIsACall) {
  const std::string text = "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>";
  EXPECT_EQ(parse(qwen, {false, {}}, {text}), "|text:" + text);
  EXPECT_EQ(parse(bare, {false, {}}, {"{\"name\":\"f\"}"}), "|text:{\"name\":\"f\"}");
}

// Nothing that is no call is lost, whatever the model says.
TEST(Output, GarbageComesOutAsItIs) {
  std::mt19937 random(7);
  const char* words[] = {
      "<think>", "</think>", "<tool_call>", "</tool_call>", "{", "}", "\"name\"", ":", "a", " ", "[",
      "]",       "<"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += words[random() % std::size(words)];
    const OutputFormat format{"", "", round % 2 == 0 ? CallStyle::tagged : CallStyle::bare,
                              round % 2 == 0 ? "<tool_call>" : "{", round % 2 == 0 ? "</tool_call>" : ""};
    OutputParser parser(format, {false, {"f"}});
    std::string out;
    const auto take = [&](const std::vector<OutputPiece>& pieces) {
      for (const OutputPiece& p : pieces) out += std::get<OutputText>(p).text;
    };
    for (const char c : text) take(parser.push(std::string(1, c)));
    take(parser.finish());
    std::string a = text, b = out;  // blanks before a marker may go
    std::erase(a, ' ');
    std::erase(b, ' ');
    EXPECT_EQ(a, b);
  }
}

TEST(Output, TellsWhetherItThinks) {
  const OutputFormat tags = format_of_template("<think>{{ x }}</think>");
  EXPECT_EQ(tags.thinking_end(false), "</think>");
  EXPECT_EQ(tags.thinking_end(true), "</think>");
  OutputParser parser(tags, {});
  EXPECT_FALSE(parser.thinking());
  parser.push("<think>");
  EXPECT_TRUE(parser.thinking());
  parser.push("a</th");
  EXPECT_TRUE(parser.thinking()) << "it may be no end yet";
  parser.push("ink>b");
  EXPECT_FALSE(parser.thinking());
  OutputOptions opened;
  opened.starts_thinking = true;
  EXPECT_TRUE(OutputParser(tags, opened).thinking());
  EXPECT_FALSE(OutputParser({}, {}).thinking());
  EXPECT_EQ(OutputFormat().thinking_end(false), "");

  const OutputFormat channels = *format_of_parser("harmony");
  OutputParser messages(channels, {});
  messages.push("<|channel|>analysis<|message|>hm");
  EXPECT_TRUE(messages.thinking());
  messages.push(channels.thinking_end(false));
  EXPECT_FALSE(messages.thinking());
  const auto said = messages.push("so");
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(std::get<OutputText>(said[0]).text, "so");
}

TEST(Output, TheTemplateTellsTheFormat) {
  const auto of = [](const char* source) { return format_of_template(source); };
  EXPECT_EQ(of("{{ x }}").calls, CallStyle::none);
  EXPECT_EQ(of("{% if tools %}<tool_call>…</tool_call>{% endif %}</think>").think_open, "<think>");
  EXPECT_EQ(of("{% if tools %}<tool_call>…</tool_call>").call_close, "</tool_call>");
  EXPECT_EQ(of("{% if tools %}<tool_call><function=a>").calls, CallStyle::functions);
  EXPECT_EQ(of("{% if tools %}[TOOL_CALLS]").calls, CallStyle::tagged);
  EXPECT_EQ(of("{% if tools %}[TOOL_CALLS]x[ARGS]").calls, CallStyle::named);
  EXPECT_EQ(of("{% if tools %}{{ tools }}").calls, CallStyle::bare);
  EXPECT_EQ(of("<|start|>x<|channel|>analysis<|message|>").calls, CallStyle::channels);
  EXPECT_EQ(of("{% if tools %}<｜tool▁call▁begin｜>").calls, CallStyle::separated);
  EXPECT_EQ(of("{% if tools %}<tool_call><arg_key>").calls, CallStyle::keyed);
  EXPECT_EQ(of("{% if tools %}{\"name\": x, \"parameters\": y}").arguments_key, "parameters");
  EXPECT_FALSE(format_of_parser("no such parser").has_value());
}

}  // namespace
}  // namespace hearth
