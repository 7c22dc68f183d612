// Calls of tools held to a grammar, in every spelling, and read back by the parser of answers.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar.h"
#include "text/output.h"

namespace hearth {
namespace {

const char* const tools_text = R"([
  {"type":"function","function":{"name":"weather","parameters":{"type":"object",
    "properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}}},
  {"type":"function","function":{"name":"paint","parameters":{"type":"object",
    "properties":{"color":{"type":"string","enum":["red","blue"]},"at":{"$ref":"#/$defs/point"}},
    "required":["color","at"],
    "$defs":{"point":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]}}}}},
  {"type":"function","function":{"name":"now"}}])";

Json tools() { return json::parse(tools_text); }

std::string calls_in(const OutputFormat& format, const std::string& text, bool starts_thinking = false) {
  OutputOptions options{starts_thinking, {"weather", "paint", "now"}, json::object()};
  OutputParser parser(format, options);
  auto pieces = parser.push(text);
  for (auto& p : parser.finish()) pieces.push_back(std::move(p));
  std::string out;
  for (const auto& p : pieces) {
    if (const auto* c = std::get_if<OutputCall>(&p)) out += c->name + json::serialize(c->arguments);
    if (const auto* t = std::get_if<OutputText>(&p)) out += "text:" + t->text;
  }
  return out;
}

struct Spelling {
  const char* parser;  // the name of its format
  std::string good, read, bad;
};

std::vector<Spelling> spellings() {
  const std::string weather = R"(weather{"city":"Rome","days":2})";
  return {
      {"qwen3",
       "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\", \"days\": 2}}\n</tool_call>",
       weather, "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"days\": 2}}\n</tool_call>"},
      {"qwen3",
       "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": "
       "\"paint\", "
       "\"arguments\": {\"color\": \"red\", \"at\": {\"x\": 1.5}}}\n</tool_call>",
       R"(now{}paint{"color":"red","at":{"x":1.5E0}})",
       "<tool_call>\n{\"name\": \"nosuch\", \"arguments\": {}}\n</tool_call>"},
      {"qwen3-coder",
       "<tool_call>\n<function=weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=days>\n2\n</"
       "parameter>\n"
       "</function>\n</tool_call>",
       weather,
       "<tool_call>\n<function=weather>\n<parameter=days>\ntwo\n</parameter>\n</function>\n</tool_call>"},
      {"ministral", "[TOOL_CALLS]weather[ARGS]{\"city\": \"Rome\", \"days\": 2}", weather,
       "[TOOL_CALLS]weather[ARGS]{\"city\": 7}"},
      {"deepseek3",
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"city\": \"Rome\", \"days\": "
       "2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       weather, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{}<｜tool▁call▁end｜>"},
      {"deepseek3",
       "<｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{\"city\": \"Rome\", \"days\": "
       "2}\n```<｜tool▁call▁end｜>",
       weather, "<｜tool▁call▁begin｜>function<｜tool▁sep｜>rain\n```json\n{}\n```<｜tool▁call▁end｜>"},
      {"glm-4.7",
       "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n<arg_key>days</arg_key>\n"
       "<arg_value>2</arg_value>\n</tool_call>",
       weather, "<tool_call>weather\n<arg_key>town</arg_key>\n<arg_value>Rome</arg_value>\n</tool_call>"},
      {"lfm2", "<|tool_call_start|>[weather(city=\"Rome\", days=2)]<|tool_call_end|>", weather,
       "<|tool_call_start|>[weather(days=2)]<|tool_call_end|>"},
      {"olmo3", "<function_calls>paint(color=\"blue\", at={\"x\": 0})</function_calls>",
       R"(paint{"color":"blue","at":{"x":0}})",
       "<function_calls>paint(color=\"green\", at={\"x\": 0})</function_calls>"},
      {"cohere",
       "<|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": \"weather\", \"parameters\": {\"city\": "
       "\"Rome\", "
       "\"days\": 2}}]<|END_ACTION|>",
       weather, "<|START_ACTION|>[{\"tool_name\": \"weather\"}]<|END_ACTION|>"},
      {"harmony",
       "<|channel|>analysis<|message|>It asks for weather.<|end|><|start|>assistant<|channel|>commentary "
       "to=functions.weather <|constrain|>json<|message|>{\"city\": \"Rome\", \"days\": 2}",
       weather, "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{\"days\": 2}"},
      {"harmony", " to=functions.now<|channel|>commentary json<|message|>{}", "now{}",
       " to=functions.then<|channel|>commentary json<|message|>{}"},
  };
}

TEST(GrammarCalls, DemandedCallsAreCallsAndNothingElse) {
  for (const Spelling& s : spellings()) {
    const OutputFormat format = *format_of_parser(s.parser);
    GrammarFrame frame;
    frame.channels = format.calls == CallStyle::channels;
    const auto must = Grammar::of_calls(format, tools(), {true, true}, frame);
    ASSERT_TRUE(must.has_value()) << s.parser;
    EXPECT_TRUE(must->matches(s.good)) << s.parser << ": " << s.good;
    EXPECT_FALSE(must->matches(s.bad)) << s.parser << ": " << s.bad;
    EXPECT_FALSE(must->matches("")) << s.parser;
    EXPECT_FALSE(must->begins("Well, the weather")) << s.parser;
    EXPECT_EQ(calls_in(format, s.good), s.read) << s.good;
  }
}

TEST(GrammarCalls, OfferedCallsLeaveTextFree) {
  for (const Spelling& s : spellings()) {
    const OutputFormat format = *format_of_parser(s.parser);
    if (format.calls == CallStyle::channels) continue;
    const auto may = Grammar::of_calls(format, tools(), {false, true});
    ASSERT_TRUE(may.has_value()) << s.parser;
    EXPECT_TRUE(may->matches("")) << s.parser;
    EXPECT_TRUE(may->matches("It is < 5 degrees {\"in\": \"Rome\"} [today].")) << s.parser;
    EXPECT_TRUE(may->matches("Let me look.\n" + s.good)) << s.parser << ": " << s.good;
    EXPECT_FALSE(may->matches("Let me look.\n" + s.bad)) << s.parser << ": " << s.bad;
  }
  GrammarFrame frame;
  frame.channels = true;
  const auto may = Grammar::of_calls(*format_of_parser("harmony"), tools(), {false, true}, frame);
  EXPECT_TRUE(may->matches("<|channel|>final<|message|>Hello."));
  EXPECT_TRUE(may->matches(
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Hello."));
  EXPECT_FALSE(may->matches("<|channel|>commentary to=functions.rain<|message|>{}"));
}

TEST(GrammarCalls, OneCallOnlyWhereSeveralAreNotWanted) {
  const OutputFormat format = *format_of_parser("qwen3");
  const std::string call = "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>";
  const auto several = Grammar::of_calls(format, tools(), {true, true});
  const auto one = Grammar::of_calls(format, tools(), {true, false});
  EXPECT_TRUE(several->matches(call + call));
  EXPECT_TRUE(one->matches(call));
  EXPECT_FALSE(one->matches(call + call));
}

TEST(GrammarCalls, ABareObjectIsHeldOnlyWhenDemanded) {
  const OutputFormat bare{"", "", CallStyle::bare, "{", ""};
  EXPECT_FALSE(Grammar::of_calls(bare, tools(), {false, true}).has_value());
  OutputFormat llama = bare;
  llama.arguments_key = "parameters";
  const auto must = Grammar::of_calls(llama, tools(), {true, true});
  EXPECT_TRUE(must->matches(R"({"name": "now", "parameters": {}})"));
  EXPECT_FALSE(must->matches(R"({"name": "now", "arguments": {}})"));
}

TEST(GrammarCalls, ThinkingMayComeFirst) {
  const OutputFormat format = *format_of_parser("qwen3");
  const std::string call = "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>";
  GrammarFrame frame{"<think>", "</think>", false, false};
  const auto must = Grammar::of_calls(format, tools(), {true, true}, frame);
  EXPECT_TRUE(must->matches(call));
  EXPECT_TRUE(must->matches("<think>\nUse <tool_call>? {\"no\"}\n</think>\n\n" + call));
  EXPECT_FALSE(must->matches("<think>\nthen\n</think>\n\nIt is noon."));
  frame.opened = true;
  const auto opened = Grammar::of_calls(format, tools(), {true, true}, frame);
  EXPECT_TRUE(opened->matches("well</think>" + call));
  EXPECT_FALSE(opened->matches(call));
  // A format holds for the answer behind the thinking, and without any thinking too.
  const Grammar json = Grammar::json({"<think>", "</think>", false, false});
  EXPECT_TRUE(json.matches("{}"));
  EXPECT_TRUE(json.matches("<think>not json</think>\n\n{\"a\": 1}"));
  EXPECT_FALSE(json.matches("<think>not json</think>\n\nnor this"));
  EXPECT_FALSE(json.begins("not json"));
}

TEST(GrammarCalls, ASchemaThatCannotBeKeptAllowsAnyObjectUnlessItIsStrict) {
  const std::string tool =
      R"([{"type":"function","function":{"name":"f","strict":%,"parameters":{"type":"object","properties":
      {"n":{"type":"integer","multipleOf":3}}}}}])";
  const OutputFormat format = *format_of_parser("qwen3");
  const auto with = [&](const char* strict) {
    std::string text = tool;
    return json::parse(text.replace(text.find('%'), 1, strict));
  };
  const auto loose = Grammar::of_calls(format, with("false"), {true, true});
  EXPECT_TRUE(loose->matches("<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": []}}</tool_call>"));
  try {
    Grammar::of_calls(format, with("true"), {true, true});
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::bad_request);
    EXPECT_NE(e.message.find("multipleOf"), std::string::npos) << e.message;
  }
}

}  // namespace
}  // namespace hearth
