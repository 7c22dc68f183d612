// The worker's requests, from the message that starts one to its last event.
#include "worker/session.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>

#include "convert/synth.h"
#include "reference.h"
#include "session_driver.h"
#include "support/data.h"
#include "support/models.h"

namespace hearth {
namespace {

TEST(Session, ManyRequestsRunTogetherAndEachEndsOnce) {
  Driver driver(small_context(256, 4));
  std::vector<RequestId> ids;
  const std::string texts[] = {"What is 3 + 4?", "How do I see which models are loaded?", "Who are you?"};
  for (int i = 0; i < 12; ++i) ids.push_back(driver.start(question(texts[i % 3])));
  driver.drain();
  for (size_t i = 0; i < ids.size(); ++i) {
    const Heard& h = driver.heard[ids[i].value];
    EXPECT_EQ(h.ends, 1);
    EXPECT_FALSE(h.text.empty());
    EXPECT_EQ(h.text, driver.heard[ids[i % 3].value].text) << "an answer depends on its neighbours";
  }
}

TEST(Session, ASecondRequestTakesOverWhatBothBeginWith) {
  Driver driver(small_context(512));
  const std::string stem(200, 'a');
  const Heard first = driver.run(question(stem + " What is 1 + 1?"));
  const Heard second = driver.run(question(stem + " What is 2 + 3?"));
  EXPECT_EQ(first.statistics.cached_tokens, 0U);
  EXPECT_GT(second.statistics.cached_tokens, 32U);
  Driver fresh(small_context(512));
  EXPECT_EQ(fresh.run(question(stem + " What is 2 + 3?")).text, second.text);
}

// Pages run out while sequences grow: those that must wait come back and say the same in the end.
void expect_the_same_after_waiting(const json::object& options) {
  Driver narrow(small_context(128, 2)), wide(small_context(128, 8));
  std::vector<RequestId> a, b;
  for (int i = 0; i < 6; ++i) {
    Request r = question("What is " + std::to_string(i) + " + 5? " + std::string(20, 'x'), 60);
    r.sampling.options = options;
    a.push_back(narrow.start(r));
    b.push_back(wide.start(r));
  }
  narrow.drain();
  wide.drain();
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_FALSE(narrow.heard[a[i].value].error.has_value());
    EXPECT_EQ(narrow.heard[a[i].value].text, wide.heard[b[i].value].text);
  }
}

TEST(Session, RequestsThatFindNoPageWaitAndGoOn) {
  expect_the_same_after_waiting({});
  expect_the_same_after_waiting({{"temperature", 1.2}, {"seed", 4}, {"repeat_penalty", 1.1}});
  expect_the_same_after_waiting({{"temperature", 1.0}, {"seed", 5}, {"mirostat", 2}});
}

// What an earlier request left in the cache does not change a text: it is taken over in whole blocks of the
// prompt.
TEST(Session, WhoAskedBeforeDoesNotChangeAText) {
  const std::string stem(45, 'a');
  for (const size_t more : {0UL, 1UL, 5UL, 9UL, 20UL}) {
    const Request r = question(stem + std::string(more, 'b') + " What is 2 + 3?", 60);
    Driver fresh(small_context(256)), warm(small_context(256));
    const std::string wanted = fresh.run(r).text;
    warm.run(question(stem + " Who are you?", 60));
    EXPECT_EQ(warm.run(r).text, wanted) << more;
    EXPECT_EQ(warm.run(r).text, wanted) << more << ", asked again";
  }
}

TEST(Session, AnAnswerThatFillsTheContextShiftsOrEnds) {
  Driver driver(small_context(64));
  Request r;
  r.raw = "one two three four five six seven eight";
  r.max_tokens = 200;
  json::object bias;  // an answer that does not end by itself
  const OpenModel model = OpenModel::open("");
  for (const TokenId t : model.tokenizer->end_tokens()) bias[std::to_string(t.value)] = -1e9;
  r.sampling.options = {{"logit_bias", bias}, {"temperature", 0}};
  r.shift = false;
  const Heard ended = driver.run(r);
  ASSERT_FALSE(ended.error.has_value());
  EXPECT_EQ(ended.reason, "length");
  EXPECT_EQ(ended.statistics.prompt_tokens + ended.statistics.generated_tokens, 64U);
  r.shift = true;
  const Heard shifted = driver.run(r);
  EXPECT_GT(shifted.statistics.generated_tokens, ended.statistics.generated_tokens);
  EXPECT_EQ(shifted.text.substr(0, ended.text.size()), ended.text);
}

TEST(Session, ALongConversationLosesItsOldestMessagesAndSaysHowMuch) {
  Driver driver(small_context(128));
  Request r = question("Who are you?");
  r.messages = {{"system", "You are ember."}};
  for (int i = 0; i < 40; ++i)
    r.messages.push_back({i % 2 == 0 ? "user" : "assistant", "some words " + std::to_string(i)});
  r.messages.push_back({"user", "Who are you?"});
  const Heard cut = driver.run(r);
  ASSERT_FALSE(cut.error.has_value());
  EXPECT_GT(cut.statistics.truncated_tokens, 0U);
  EXPECT_LT(cut.statistics.prompt_tokens, 128U);
  r.render_only = true;
  EXPECT_NE(driver.run(r).text.find("some words 0"), std::string::npos);
  r.render_only = false;
  r.truncate = false;
  const Heard refused = driver.run(r);
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_EQ(refused.error->code, Code::bad_request);
  EXPECT_NE(refused.error->message.find("context"), std::string::npos);
}

TEST(Session, ASinglePromptKeepsItsFrontAndItsEnd) {
  Driver driver(small_context(64));
  Request r;
  r.raw = "front " + std::string(300, 'm') + " end";
  r.max_tokens = 1;
  const Heard cut = driver.run(r);
  ASSERT_FALSE(cut.error.has_value());
  EXPECT_GT(cut.statistics.truncated_tokens, 0U);
  // Half of what is not kept: 64 − (64 − keep) / 2, with 4 or 5 tokens kept.
  EXPECT_NEAR(cut.statistics.prompt_tokens, 34, 1);
  r.shift = false;
  EXPECT_TRUE(driver.run(r).error.has_value());
}

TEST(Session, ProbabilitiesCoverEveryToken) {
  Driver driver;
  Request r = question("What is 2 + 2?");
  r.logprobs = 3;
  const Heard h = driver.run(r);
  // The end token is drawn but not told.
  EXPECT_EQ(h.tokens.size(), h.statistics.generated_tokens);
  for (const auto& t : h.tokens) {
    EXPECT_LE(t.logprob, 0);
    ASSERT_EQ(t.best.size(), 3U);
    EXPECT_EQ(t.best[0].second, t.logprob) << "at temperature 0 the likeliest is chosen";
    EXPECT_GE(t.best[0].second, t.best[1].second);
  }
}

TEST(Session, AnExchangeGoesOnFromItsTokens) {
  Driver driver;
  Request r = question("Who are you?");
  r.want_context = true;
  const Heard first = driver.run(r);
  EXPECT_EQ(first.context.size(), first.statistics.prompt_tokens + first.statistics.generated_tokens);
  Request next = question("What is 1 + 2?");
  next.context = first.context;
  const Heard second = driver.run(next);
  ASSERT_FALSE(second.error.has_value());
  EXPECT_GT(second.statistics.prompt_tokens, first.context.size());
}

TEST(Session, WhatTheModelCannotDoIsRefusedInTheWordsClientsLookFor) {
  Driver driver;
  Request tools = question("hi");
  tools.model = "house/model:tag";
  tools.tools = json::parse(R"([{"type":"function","function":{"name":"f"}}])");
  EXPECT_EQ(driver.run(tools).error->message, "house/model:tag does not support tools");
  Request think = question("hi");
  think.think = {true, true, "", false};
  EXPECT_NE(driver.run(think).error->message.find("does not support thinking"), std::string::npos);
  think.think.if_able = true;
  EXPECT_FALSE(driver.run(think).error.has_value());
  Request insert;
  insert.raw = "a";
  insert.suffix = "b";
  EXPECT_NE(driver.run(insert).error->message.find("does not support insert"), std::string::npos);
  Request embed;
  embed.embed = {"text"};
  EXPECT_EQ(driver.run(embed).error->code, Code::unsupported);
}

TEST(Session, AGoTemplateRendersWhereItIsWanted) {
  Driver driver;
  Request r = question("Hello there");
  r.render_only = true;
  r.template_text = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<answer>";
  EXPECT_EQ(driver.run(r).text, "<user>Hello there<answer>");
  r.template_text = "{{ if }}";
  const Heard broken = driver.run(r);
  ASSERT_TRUE(broken.error.has_value());
  EXPECT_NE(broken.error->message.find("template error"), std::string::npos);
  Request counted = question("Hello there");
  counted.count_only = true;
  const Heard count = driver.run(counted);
  EXPECT_GT(count.statistics.prompt_tokens, 2U);
  EXPECT_EQ(count.statistics.generated_tokens, 0U);
}

TEST(Session, WhereNothingCanBeDrawnOnlyThatRequestFails) {
  Driver driver(small_context(512, 4));
  const Heard alone = driver.run(question("What is 2 + 2?"));
  Request hopeless = question("What is 3 + 4?");
  json::object& bias = hopeless.sampling.options.as_object()["logit_bias"].emplace_object();
  for (int token = 0; token < 2048; ++token)
    bias[std::to_string(token)] = -std::numeric_limits<double>::infinity();
  const RequestId one = driver.start(question("What is 2 + 2?")), bad = driver.start(hopeless),
                  other = driver.start(question("What is 5 + 1?"));
  driver.drain();
  ASSERT_TRUE(driver.heard[bad.value].error);
  EXPECT_EQ(driver.heard[bad.value].error->message, "option logit_bias bans every token");
  EXPECT_EQ(driver.heard[one.value].text, alone.text);
  for (const RequestId id : {one, bad, other}) EXPECT_EQ(driver.heard[id.value].ends, 1);
  EXPECT_FALSE(driver.heard[other.value].error);
  EXPECT_EQ(driver.run(question("What is 2 + 2?")).text, alone.text);
}

TEST(Session, ACancelledRequestEndsAtOnceAndItsNeighbourGoesOn) {
  Driver driver(small_context(256, 2));
  const RequestId a = driver.start(question("How do I see which models are loaded?"));
  const RequestId b = driver.start(question("Who are you?"));
  driver.session().step();
  driver.session().cancel(a);
  EXPECT_EQ(driver.heard[a.value].reason, "cancelled");
  driver.drain();
  EXPECT_EQ(driver.heard[a.value].ends, 1);
  EXPECT_EQ(driver.heard[b.value].ends, 1);
  EXPECT_EQ(driver.heard[b.value].reason, "stop");
}

TEST(Session, AnAnswerHasTheFormatThatWasAskedFor) {
  Driver driver;
  Request r = question("Who are you?", 200);
  r.format = json::parse(R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},
    "age":{"type":"integer","minimum":0,"maximum":99},"kind":{"enum":["a","b"]}},
    "required":["name","age","kind"],"additionalProperties":false})");
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    r.sampling.options = {{"temperature", 1.5}, {"seed", seed}};
    const Heard h = driver.run(r);
    ASSERT_FALSE(h.error.has_value()) << h.error->message;
    EXPECT_EQ(h.reason, "stop");
    const Json answer = json::parse(h.text);
    EXPECT_LE(answer.at("name").as_string().size(), 48U);
    EXPECT_LE(answer.at("age").to_number<int>(), 99);
    EXPECT_TRUE(answer.at("kind") == "a" || answer.at("kind") == "b");
  }
  r.format = json::object{{"gbnf", "root ::= \"yes\" | \"no\""}};
  const Heard word = driver.run(r);
  EXPECT_TRUE(word.text == "yes" || word.text == "no") << word.text;
  r.format = json::parse(R"({"type":"number","multipleOf":3})");
  const Heard refused = driver.run(r);
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_EQ(refused.error->code, Code::bad_request);
  EXPECT_NE(refused.error->message.find("multipleOf"), std::string::npos);
}

// Tokens of a model's making, without a model: what the reply makes of them.
TEST(ReplyText, ThinkingAndCallsAreToldApart) {
  const OpenModel model = OpenModel::open("");
  std::vector<FromChild> told;
  Request request;
  request.tools = json::parse(R"([{"type":"function","function":{"name":"sum"}}])");
  const OutputFormat format{"<think>", "</think>", CallStyle::tagged, "<tool_call>", "</tool_call>"};
  AnswerWriter reply({7}, request, *model.tokenizer, format, false, [&](const FromChild& m) {
    told.push_back(m);
    return true;
  });
  reply.statistics.seed = 5;
  const std::string text =
      "<think>two numbers</think>Well. <tool_call>{\"name\":\"sum\",\"arguments\":{\"a\":1}}</tool_call>";
  for (const TokenId t : model.tokenizer->encode(text, {false, false})) reply.token(t, {});
  reply.finished(Finish::end_of_text);
  std::string thought, said;
  std::vector<ToolCall> calls;
  for (const FromChild& m : told) {
    if (const auto* t = std::get_if<from_child::Thinking>(&m)) thought += t->text;
    if (const auto* t = std::get_if<from_child::Text>(&m)) said += t->text;
    if (const auto* c = std::get_if<from_child::Called>(&m)) calls.push_back(c->call);
  }
  EXPECT_EQ(thought, "two numbers");
  EXPECT_EQ(said, "Well.");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].name, "sum");
  EXPECT_EQ(calls[0].arguments.at("a"), 1);
  EXPECT_TRUE(calls[0].id.starts_with("call_"));
  EXPECT_EQ(calls[0].id.size(), 13U);
  EXPECT_EQ(std::get<from_child::Done>(told.back()).reason, "stop");
}

// The embedding model that travels with the project, with a vocabulary, as a file; `generating`: without the
// word that it is one.
std::filesystem::path embedding_file(bool generating = false) {
  Json recipe = test::with_byte_tokens(test::read_json(test::fixture("qwen3-embed")).at("gguf"));
  json::array& metadata = recipe.at("metadata").as_array();
  for (auto at = metadata.begin(); at != metadata.end(); ++at) {
    if (!generating || at->at(0) != "qwen3.pooling_type") continue;
    EXPECT_EQ(at->at(2), static_cast<int>(PoolKind::last));
    metadata.erase(at);
    break;
  }
  const auto image = build_recipe(recipe);
  const auto path = std::filesystem::temp_directory_path() / "hearth-session-embedding.gguf";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  return path;
}

TEST(Session, AModelThatMakesTextMakesVectorsWhereItIsLoadedForThem) {
  const auto vectors_of = [](bool generating, bool vectors) {
    const auto path = embedding_file(generating);
    LoadRequest load = small_context(64, 2);
    load.path = path;
    load.vectors = vectors;
    Driver driver(load);
    Request r;
    r.embed = {"a text", "another one", "a"};
    const Heard h = driver.run(r);
    std::filesystem::remove(path);
    return h;
  };
  const Heard asked = vectors_of(false, false);
  ASSERT_EQ(asked.vectors.size(), 3U);
  EXPECT_EQ(vectors_of(false, true).vectors, asked.vectors) << "an embedding model stays what it is";
  EXPECT_EQ(vectors_of(true, true).vectors, asked.vectors);
  const Heard refused = vectors_of(true, false);
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_EQ(refused.error->code, Code::unsupported);
}

TEST(Session, TextsBecomeNormalisedVectors) {
  const auto path = embedding_file();
  LoadRequest load = small_context(64, 2);
  load.path = path;
  Driver driver(load);
  Request r;
  for (int i = 0; i < 9; ++i) r.embed.push_back("text number " + std::to_string(i % 4));
  const Heard h = driver.run(r);
  std::filesystem::remove(path);
  ASSERT_FALSE(h.error.has_value()) << h.error->message;
  ASSERT_EQ(h.vectors.size(), 9U);
  for (size_t i = 0; i < 9; ++i) {
    double sum = 0;
    for (const float v : h.vectors[i]) sum += double{v} * v;
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_LE(test::max_difference(h.vectors[i], h.vectors[i % 4]), 1e-4);
  }
  EXPECT_GT(test::max_difference(h.vectors[0], h.vectors[1]), 1e-3);
  r.embed = {std::string(2000, 'x')};
  EXPECT_GT(driver.run(r).statistics.truncated_tokens, 0U);
  r.truncate = false;
  EXPECT_NE(driver.run(r).error->message.find("exceeds the context length"), std::string::npos);
}

}  // namespace
}  // namespace hearth
