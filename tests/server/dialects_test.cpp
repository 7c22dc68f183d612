// OpenAI's and Anthropic's dialects: bodies become requests, pieces become events.
#include <gtest/gtest.h>

#include "server/dialects/anthropic/anthropic.h"
#include "server/dialects/fields.h"
#include "server/dialects/openai/openai.h"

namespace hearth {
namespace {

const Stamp stamp{"abc", std::chrono::system_clock::from_time_t(1'700'000'000)};

Call chat(const std::string& body) { return openai::parse_chat(fields::parse_body(body), stamp); }
Call messages(const std::string& body) { return anthropic::parse_messages(fields::parse_body(body), stamp); }

template <class F>
std::string refused(F&& call) {
  try {
    call();
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::bad_request);
    return e.message;
  }
  return "accepted";
}

constexpr const char* tools =
    R"([{"type":"function","function":{"name":"sum","parameters":{}}},{"type":"function","function":{"name":"say"}}])";

TEST(OpenAiChat, EveryFieldArrives) {
  const Call call =
      chat(std::string(R"({"model":"m","messages":[
    {"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":null,"reasoning":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"sum","arguments":"{\"a\":1}"}}]},
    {"role":"tool","tool_call_id":"c1","content":"2"}],"tools":)") +
           tools +
           R"(,"max_completion_tokens":9,"temperature":0.5,"seed":4,"stop":["x",7],"n":2,"logprobs":true,
    "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},
    "reasoning_effort":"low","logit_bias":{"5":-1}})");
  ASSERT_EQ(call.requests.size(), 2U);
  const Request& r = call.requests[0];
  EXPECT_EQ(r.messages[0].role, "system");
  EXPECT_EQ(r.messages[1].content, "ab");
  EXPECT_EQ(r.messages[2].thinking, "hm");
  EXPECT_EQ(r.messages[2].tool_calls[0].arguments.at("a"), 1);
  EXPECT_EQ(r.messages[3].tool_name, "sum");
  EXPECT_EQ(r.tools.as_array().size(), 2U);
  EXPECT_EQ(r.max_tokens, 9U);
  EXPECT_EQ(r.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(r.format.at("type"), "object");
  EXPECT_TRUE(r.think.on && r.think.if_able);
  EXPECT_EQ(r.logprobs, 0U);
  EXPECT_EQ(r.sampling.options.at("seed"), 4);
  EXPECT_EQ(call.requests[1].sampling.options.at("seed"), 5);
  EXPECT_FALSE(call.stream);
}

TEST(OpenAiChat, TheChoiceOfToolsIsObeyed) {
  const auto with = [](const char* choice) {
    return chat(std::string(R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":)") + tools +
                ",\"tool_choice\":" + choice + "}");
  };
  EXPECT_TRUE(with("\"none\"").requests[0].tools.is_null());
  EXPECT_EQ(with("\"auto\"").requests[0].tools.as_array().size(), 2U);
  const Call named = with(R"({"type":"function","function":{"name":"say"}})");
  ASSERT_EQ(named.requests[0].tools.as_array().size(), 1U);
  EXPECT_EQ(named.requests[0].tools.at(0).at("function").at("name"), "say");
  EXPECT_NE(refused([&] { with(R"({"type":"function","function":{"name":"no"}})"); }), "accepted");
  EXPECT_TRUE(named.requests[0].calls.must);
  EXPECT_FALSE(with("\"auto\"").requests[0].calls.must);
  EXPECT_TRUE(with("\"required\"").requests[0].calls.must);
  EXPECT_NE(refused([&] { with("\"sometimes\""); }), "accepted");
  const Call some = with(R"({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":
    [{"type":"function","function":{"name":"say"}}]}})");
  EXPECT_EQ(some.requests[0].tools.as_array().size(), 1U);
  EXPECT_TRUE(some.requests[0].calls.must);
  EXPECT_EQ(some.fallback.at("temperature"), 1.0);
}

TEST(OpenAiChat, WhatIsWrongIsNamed) {
  EXPECT_EQ(refused([] { chat(R"({"messages":[]})"); }), "model is required");
  EXPECT_NE(refused([] { chat(R"({"model":"m","messages":[]})"); }).find("messages"), std::string::npos);
  EXPECT_NE(
      refused([] { chat(R"({"model":"m","messages":[{"role":"user","content":7}]})"); }).find("content type"),
      std::string::npos);
  EXPECT_NE(
      refused([] {
        chat(
            R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"x"}]}]})");
      }).find("image"),
      std::string::npos);
  EXPECT_NE(
      refused([] {
        chat(
            R"({"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}]})");
      }).find("arguments"),
      std::string::npos);
}

TEST(OpenAiChat, StreamsChunksAndTheirEnd) {
  Call call = chat(
      R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]})");
  const auto data = [](const std::string& event) {
    EXPECT_TRUE(event.starts_with("data: ") && event.ends_with("\n\n")) << event;
    return json::parse(event.substr(6));
  };
  EXPECT_EQ(call.reply->content_type(), "text/event-stream");
  EXPECT_EQ(data(call.reply->open()).at("choices").at(0).at("delta").at("role"), "assistant");
  const Json text = data(call.reply->on(0, from_child::Text{{1}, "hi"}));
  EXPECT_EQ(text.at("id"), "chatcmpl-abc");
  EXPECT_EQ(text.at("object"), "chat.completion.chunk");
  EXPECT_EQ(text.at("choices").at(0).at("delta").at("content"), "hi");
  EXPECT_TRUE(text.at("choices").at(0).at("finish_reason").is_null());
  const Json called =
      data(call.reply->on(0, from_child::Called{{1}, {"call_1", "f", json::object{{"a", 1}}}}));
  EXPECT_EQ(called.at("choices").at(0).at("delta").at("tool_calls").at(0).at("function").at("arguments"),
            "{\"a\":1}");
  Statistics s;
  s.prompt_tokens = 3;
  s.generated_tokens = 4;
  s.thinking_tokens = 2;
  s.cached_tokens = 1;
  s.prompt = 0.5;
  s.generation = 2;
  const Json end = data(call.reply->on(0, from_child::Done{{1}, "stop", s}));
  EXPECT_EQ(end.at("timings").at("prompt_n"), 2) << "what was in the cache was not read";
  EXPECT_EQ(end.at("timings").at("cache_n"), 1);
  EXPECT_EQ(end.at("timings").at("prompt_per_second"), 4.0);
  EXPECT_EQ(end.at("timings").at("predicted_per_token_ms"), 500.0);
  EXPECT_EQ(end.at("choices").at(0).at("finish_reason"), "tool_calls");
  const std::string closing = call.reply->close();
  EXPECT_NE(closing.find("\"total_tokens\":7"), std::string::npos);
  EXPECT_NE(closing.find("\"reasoning_tokens\":2"), std::string::npos);
  EXPECT_TRUE(closing.ends_with("data: [DONE]\n\n"));
}

constexpr const char* streamed =
    R"({"model":"m","stream":true,"return_progress":true,"messages":[{"role":"user","content":"x"}]})";

TEST(OpenAiChat, TellsTheProgressOfAPrompt) {
  Call call = chat(streamed);
  EXPECT_TRUE(call.requests[0].progress);
  const std::string event = call.reply->on(0, from_child::PromptProgress{{1}, 900, 64, 128, 0.25});
  const Json chunk = json::parse(event.substr(6));
  EXPECT_EQ(chunk.at("prompt_progress"),
            (json::object{{"total", 900}, {"cache", 64}, {"processed", 128}, {"time_ms", 250.0}}));
  EXPECT_EQ(chunk.at("choices").at(0).at("delta"), json::object());
  EXPECT_EQ(call.reply->idle(), ": keep-alive\n\n");
  Call whole = chat(R"({"model":"m","return_progress":true,"messages":[{"role":"user","content":"x"}]})");
  EXPECT_FALSE(whole.requests[0].progress) << "there is nothing to tell it in";
  EXPECT_EQ(whole.reply->idle(), "");
}

TEST(OpenAiChat, SamplersAndTheBudgetOfThinkingMayStandBesideTheOthers) {
  const auto with = [](const std::string& more) {
    return chat(R"({"model":"m","messages":[{"role":"user","content":"x"}],)" + more + "}");
  };
  const Call call = with(R"("dry_multiplier":0.8,"samplers":["dry","top_k"],"top_k":5,"min_p":null)");
  const json::object& options = call.requests[0].sampling.options.as_object();
  EXPECT_EQ(options.at("dry_multiplier"), 0.8);
  EXPECT_EQ(options.at("samplers").as_array().size(), 2U);
  EXPECT_EQ(options.at("top_k"), 5);
  EXPECT_FALSE(options.contains("min_p"));
  EXPECT_FALSE(call.requests[0].think_budget.has_value());
  EXPECT_EQ(with(R"("thinking_budget_tokens":7)").requests[0].think_budget, 7U);
  EXPECT_EQ(with(R"("reasoning_budget_tokens":0)").requests[0].think_budget, 0U);
  EXPECT_EQ(with(R"("reasoning":{"max_tokens":9})").requests[0].think_budget, 9U);
  EXPECT_FALSE(with(R"("thinking_budget_tokens":-1)").requests[0].think_budget.has_value());
  EXPECT_NE(refused([&] { with(R"("thinking_budget_tokens":"x")"); }).find("thinking_budget_tokens"),
            std::string::npos);
}

TEST(OpenAiCompletions, EveryChunkHasAUsageWhereItIsAskedFor) {
  Call call = openai::parse_completion(
      fields::parse_body(
          R"({"model":"m","prompt":"x","stream":true,"stream_options":{"include_usage":true}})"),
      stamp);
  const Json chunk = json::parse(call.reply->on(0, from_child::Text{{1}, "hi"}).substr(6));
  EXPECT_EQ(chunk.at("usage").at("total_tokens"), 0);
  EXPECT_EQ(chunk.at("choices").at(0).at("text"), "hi");
  Statistics s;
  s.prompt_tokens = 3;
  call.reply->on(0, from_child::Done{{1}, "stop", s});
  EXPECT_NE(call.reply->close().find("\"total_tokens\":3"), std::string::npos);
}

TEST(OpenAiErrors, CarryATypeByStatus) {
  const auto type = [](Code code) {
    const ErrorReply reply = openai::error(Error(code, "m", "r"));
    return std::to_string(reply.status) + " " +
           std::string(json::parse(reply.body).at("error").at("type").as_string());
  };
  EXPECT_EQ(type(Code::bad_request), "400 invalid_request_error");
  EXPECT_EQ(type(Code::not_found), "404 not_found_error");
  EXPECT_EQ(type(Code::busy), "503 api_error");
}

TEST(OpenAiResponses, ItemsBecomeMessages) {
  const Call call = openai::parse_responses(fields::parse_body(R"({"model":"m","instructions":"i","input":[
    {"role":"user","content":[{"type":"input_text","text":"q"}]},{"type":"reasoning","encrypted_content":"hm"},
    {"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}"},
    {"type":"function_call_output","call_id":"c","output":"42"}],
    "tools":[{"type":"namespace","name":"ns","tools":[{"type":"function","name":"f","parameters":{}}]}]})"),
                                            stamp);
  const Request& r = call.requests[0];
  ASSERT_EQ(r.messages.size(), 4U);
  EXPECT_EQ(r.messages[0].content, "i");
  EXPECT_EQ(r.messages[2].thinking, "hm");
  EXPECT_EQ(r.messages[2].tool_calls[0].name, "f");
  EXPECT_EQ(r.messages[3].tool_name, "f");
  EXPECT_EQ(r.tools.at(0).at("function").at("name"), "ns.f");
}

TEST(AnthropicMessages, BlocksBecomeMessages) {
  const Call call =
      messages(R"({"model":"m","max_tokens":5,"system":[{"type":"text","text":"s"}],"stop_sequences":["x"],
    "tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web"}],
    "messages":[{"role":"user","content":"q"},
      {"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"42"}]},{"type":"text","text":"so?"}]}]})");
  const Request& r = call.requests[0];
  ASSERT_EQ(r.messages.size(), 5U);
  EXPECT_EQ(r.messages[0].content, "s");
  EXPECT_EQ(r.messages[2].tool_calls[0].arguments.at("a"), 1);
  EXPECT_EQ(r.messages[3].role, "tool");
  EXPECT_EQ(r.messages[3].tool_name, "f");
  EXPECT_EQ(r.messages[4].content, "so?");
  EXPECT_EQ(r.tools.as_array().size(), 1U);
  EXPECT_EQ(r.max_tokens, 5U);
  EXPECT_NE(refused([] {
              messages(R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
            }).find("max_tokens"),
            std::string::npos);
  EXPECT_NE(refused([] { messages(R"({"model":"m","max_tokens":1,"messages":[]})"); }).find("messages"),
            std::string::npos);
}

TEST(AnthropicMessages, ThinkingHasABudgetAndAPromptItsProgress) {
  const auto with = [](const std::string& more) {
    return messages(R"({"model":"m","max_tokens":5000,"messages":[{"role":"user","content":"x"}],)" + more +
                    "}");
  };
  const Call enabled = with(R"("thinking":{"type":"enabled","budget_tokens":1024})");
  EXPECT_EQ(enabled.requests[0].think_budget, 1024U);
  EXPECT_TRUE(enabled.requests[0].think.on);
  EXPECT_FALSE(
      with(R"("thinking":{"type":"adaptive","budget_tokens":5})").requests[0].think_budget.has_value());
  Call call = with(R"("stream":true,"return_progress":true)");
  EXPECT_TRUE(call.requests[0].progress);
  const std::string ping = call.reply->on(0, from_child::PromptProgress{{1}, 9, 1, 4, 0});
  EXPECT_TRUE(ping.starts_with("event: ping\ndata: ")) << ping;
  EXPECT_NE(ping.find("\"processed\":4"), std::string::npos) << ping;
  EXPECT_EQ(call.reply->idle(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

TEST(AnthropicMessages, StreamsBlocks) {
  Call call =
      messages(R"({"model":"m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"x"}]})");
  std::string all = call.reply->open();
  all += call.reply->on(0, from_child::Thinking{{1}, "hm"});
  all += call.reply->on(0, from_child::Text{{1}, "so"});
  all += call.reply->on(0, from_child::Called{{1}, {"c", "f", json::object{{"a", 1}}}});
  all += call.reply->on(0, from_child::Done{{1}, "stop", {}});
  all += call.reply->close();
  std::string order;
  for (size_t at = all.find("event: "); at != std::string::npos; at = all.find("event: ", at + 1)) {
    order += all.substr(at + 7, all.find('\n', at) - at - 7) + " ";
  }
  EXPECT_EQ(
      order,
      "message_start ping content_block_start content_block_delta content_block_stop content_block_start "
      "content_block_delta content_block_stop content_block_start content_block_delta content_block_stop "
      "message_delta message_stop ");
  EXPECT_NE(all.find("\"stop_reason\":\"tool_use\""), std::string::npos);
  EXPECT_NE(all.find("\"index\":2"), std::string::npos);
}

}  // namespace
}  // namespace hearth
