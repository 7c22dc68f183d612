// Ollama's dialect: bodies become requests, pieces become lines.
#include <gtest/gtest.h>

#include "server/dialects/fields.h"
#include "server/dialects/ollama/requests.h"

namespace hearth {
namespace {

const Stamp stamp{"abc", std::chrono::system_clock::from_time_t(1'700'000'000)};

Call chat(const char* body) { return ollama::parse_chat(fields::parse_body(body), stamp); }
Call generate(const char* body) { return ollama::parse_generate(fields::parse_body(body), stamp); }

template <class F>
std::string refused(F&& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.message;
  }
  return "accepted";
}

TEST(Body, IsTheFirstJsonValueWhateverFollows) {
  EXPECT_EQ(fields::parse_body(R"({"a":1} trailing)").at("a"), 1);
  EXPECT_EQ(refused([] { fields::parse_body(" \n"); }), "missing request body");
  EXPECT_NE(refused([] { fields::parse_body("{\"a\":"); }).find("invalid JSON"), std::string::npos);
  EXPECT_NE(refused([] { fields::parse_body("[1]"); }).find("object"), std::string::npos);
  EXPECT_NE(refused([] { fields::parse_body("{\"a\":\"\xff\"}"); }).find("invalid JSON"), std::string::npos);
  EXPECT_NE(refused([] { fields::parse_body(std::string(100000, '[')); }).find("invalid JSON"),
            std::string::npos);
}

TEST(KeepAliveField, TakesSecondsAndDurations) {
  const auto of = [](const char* v) {
    return fields::keep_alive(json::parse(std::string("{\"keep_alive\":") + v + "}"));
  };
  EXPECT_EQ(of("null"), std::nullopt);
  EXPECT_EQ(of("90"), std::chrono::seconds(90));
  EXPECT_EQ(of("0.5"), std::chrono::milliseconds(500));
  EXPECT_EQ(of("-1"), forever);
  EXPECT_EQ(of("\"-1m\""), forever);
  EXPECT_EQ(of("\"1h30m\""), std::chrono::minutes(90));
  EXPECT_EQ(of("\"0\""), std::chrono::seconds(0));
  for (const char* bad : {"\"5\"", "\"\"", "\"1d\"", "true", "{}"}) {
    EXPECT_NE(refused([&] { of(bad); }), "accepted") << bad;
  }
}

TEST(OllamaChat, EveryFieldArrives) {
  const Call call = chat(R"({"model":"m","messages":[{"role":"USER","content":"hi"},
    {"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]},
    {"role":"tool","content":"42","tool_name":"f"}],"tools":[{"type":"function"}],"format":"json","think":"high",
    "options":{"seed":1},"keep_alive":"5m","logprobs":true,"top_logprobs":3,"stream":false,"shift":false})");
  ASSERT_EQ(call.requests.size(), 1U);
  const Request& r = call.requests[0];
  EXPECT_EQ(r.messages[0].role, "user");
  EXPECT_EQ(r.messages[1].tool_calls[0].arguments.at("a"), 1);
  EXPECT_EQ(r.messages[2].tool_name, "f");
  EXPECT_EQ(r.format, "json");
  EXPECT_EQ(r.think.level, "high");
  EXPECT_EQ(r.logprobs, 3U);
  EXPECT_FALSE(call.stream);
  EXPECT_FALSE(r.shift);
  EXPECT_EQ(call.keep_alive, std::chrono::minutes(5));
}

TEST(OllamaChat, WhatIsWrongIsNamed) {
  EXPECT_EQ(refused([] { chat("{}"); }), "model is required");
  EXPECT_NE(
      refused([] { chat(R"({"model":"m","messages":[{"role":"user","content":[]}]})"); }).find("content"),
      std::string::npos);
  EXPECT_NE(refused([] { chat(R"({"model":"m","messages":{}})"); }).find("messages"), std::string::npos);
  EXPECT_NE(refused([] { chat(R"({"model":"m","think":"much"})"); }).find("invalid think value"),
            std::string::npos);
  EXPECT_NE(refused([] { chat(R"({"model":"m","format":"xml"})"); }).find("invalid format"),
            std::string::npos);
  EXPECT_EQ(refused([] { chat(R"({"model":"m","top_logprobs":21})"); }),
            "top_logprobs must be between 0 and 20");
  EXPECT_NE(refused([] {
              chat(R"({"model":"m","messages":[{"role":"user","content":"x","images":["aGk="]}]})");
            }).find("does not support vision"),
            std::string::npos);
}

TEST(OllamaChat, ThinkingHasABudget) {
  const auto budget = [](const char* more) {
    return chat((std::string(R"({"model":"m","messages":[],)") + more + "}").c_str())
        .requests[0]
        .think_budget;
  };
  EXPECT_EQ(budget(R"("thinking_budget_tokens":3)"), 3U);
  EXPECT_EQ(budget(R"("reasoning_budget_tokens":0)"), 0U);
  EXPECT_FALSE(budget(R"("think":true)").has_value());
  EXPECT_NE(refused([&] { budget(R"("thinking_budget_tokens":"x")"); }).find("thinking_budget_tokens"),
            std::string::npos);
}

TEST(OllamaGenerate, RawSuffixAndContext) {
  EXPECT_EQ(generate(R"({"model":"m","prompt":"p","raw":true})").requests[0].raw, "p");
  const Call fim = generate(R"({"model":"m","prompt":"a","suffix":"b"})");
  EXPECT_EQ(fim.requests[0].raw, "a");
  EXPECT_EQ(fim.requests[0].suffix, "b");
  const Call follow = generate(R"({"model":"m","prompt":"a","system":"s","context":[1,2]})");
  EXPECT_EQ(follow.requests[0].messages.size(), 2U);
  EXPECT_EQ(follow.requests[0].context, (std::vector<int32_t>{1, 2}));
  EXPECT_NE(
      refused([] { generate(R"({"model":"m","prompt":"p","raw":true,"system":"s"})"); }).find("raw mode"),
      std::string::npos);
}

TEST(OllamaReply, StreamsLinesThatEndWithStatistics) {
  Call call = chat(R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(call.reply->content_type(), "application/x-ndjson");
  const Json text = json::parse(call.reply->on(0, from_child::Text{{1}, "hel"}));
  EXPECT_EQ(text.at("message").at("content"), "hel");
  EXPECT_EQ(text.at("message").at("role"), "assistant");
  EXPECT_EQ(text.at("done"), false);
  const Json thought = json::parse(call.reply->on(0, from_child::Thinking{{1}, "hm"}));
  EXPECT_EQ(thought.at("message").at("thinking"), "hm");
  EXPECT_EQ(thought.at("message").at("content"), "");
  const Json tool =
      json::parse(call.reply->on(0, from_child::Called{{1}, {"call_1", "f", json::object{{"b", 1}}}}));
  EXPECT_EQ(tool.at("message").at("tool_calls").at(0).at("function").at("index"), 0);
  Statistics s;
  s.total = 1.5;
  s.prompt_tokens = 7;
  s.generated_tokens = 9;
  s.truncated_tokens = 3;
  const std::string last = call.reply->on(0, from_child::Done{{1}, "length", s});
  EXPECT_EQ(last.back(), '\n');
  const Json done = json::parse(last);
  EXPECT_EQ(done.at("done_reason"), "length");
  EXPECT_EQ(done.at("total_duration"), 1'500'000'000);
  EXPECT_EQ(done.at("prompt_eval_count"), 7);
  EXPECT_EQ(done.at("prompt_truncated"), 3);
  EXPECT_EQ(call.reply->close(), "");
  const Json failed = json::parse(call.reply->on(0, from_child::Failed{{1}, Code::io, "gone", "again"}));
  EXPECT_EQ(failed.at("error"), "gone");
}

TEST(OllamaReply, TellsTheProgressOfAPrompt) {
  Call call = chat(R"({"model":"m","return_progress":true,"messages":[{"role":"user","content":"x"}]})");
  EXPECT_TRUE(call.requests[0].progress);
  const std::string line = call.reply->on(0, from_child::PromptProgress{{1}, 900, 64, 128, 0.25});
  EXPECT_EQ(line.back(), '\n');
  const Json told = json::parse(line);
  EXPECT_EQ(told.at("prompt_progress"),
            (json::object{{"total", 900}, {"cache", 64}, {"processed", 128}, {"time_ms", 250.0}}));
  EXPECT_EQ(told.at("done"), false);
  EXPECT_EQ(told.at("message").at("content"), "");
  EXPECT_EQ(call.reply->idle(), "") << "every line is JSON";
  EXPECT_FALSE(chat(R"({"model":"m","messages":[]})").requests[0].progress);
  EXPECT_FALSE(
      generate(R"({"model":"m","prompt":"x","stream":false,"return_progress":true})").requests[0].progress);
}

TEST(OllamaReply, AWholeAnswerIsItsPiecesJoined) {
  Call call = generate(R"({"model":"m","prompt":"x","stream":false})");
  call.reply->on(0, from_child::Text{{1}, "hel"});
  call.reply->on(0, from_child::Text{{1}, "lo"});
  call.reply->on(0, from_child::Done{{1}, "stop", {}, {4, 5}});
  const Json whole = json::parse(call.reply->close());
  EXPECT_EQ(whole.at("response"), "hello");
  EXPECT_EQ(whole.at("created_at"), "2023-11-14T22:13:20.000000000Z");
  EXPECT_EQ(whole.at("context"), (json::array{4, 5}));
}

TEST(OllamaReply, AnEmptyRequestIsOneObjectEvenInAStream) {
  Call call = generate(R"({"model":"m"})");
  EXPECT_NE(call.reply->content_type(), "application/x-ndjson");
  call.reply->on(0, from_child::Done{{1}, "load", {}});
  const Json whole = json::parse(call.reply->close());
  EXPECT_EQ(whole.at("done_reason"), "load");
  EXPECT_EQ(whole.at("response"), "");
}

TEST(OllamaEmbed, InputsAndVectors) {
  const auto embed = [](const char* body) { return ollama::parse_embed(fields::parse_body(body), stamp); };
  EXPECT_TRUE(embed(R"({"model":"m"})").requests[0].embed.empty());
  EXPECT_TRUE(embed(R"({"model":"m","input":""})").requests[0].embed.empty());
  EXPECT_EQ(embed(R"({"model":"m","input":[""]})").requests[0].embed.size(), 1U);
  EXPECT_EQ(refused([&] { embed(R"({"model":"m","input":[1]})"); }), "invalid input type");
  EXPECT_EQ(refused([&] { embed(R"({"model":"m","input":7})"); }), "invalid input type");
  Call call = embed(R"({"model":"m","input":["a","b"],"dimensions":1})");
  call.reply->on(0, from_child::Vectors{{1}, {{0.6F, 0.8F}, {-1, 0}}});
  call.reply->on(0, from_child::Done{{1}, "stop", {}});
  const Json whole = json::parse(call.reply->close());
  EXPECT_EQ(whole.at("embeddings").as_array().size(), 2U);
  EXPECT_EQ(whole.at("embeddings").at(0).as_array().size(), 1U);
  EXPECT_NEAR(whole.at("embeddings").at(0).at(0).to_number<double>(), 1, 1e-6);
}

}  // namespace
}  // namespace hearth
