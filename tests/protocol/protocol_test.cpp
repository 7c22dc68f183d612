#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "protocol/channel.h"
#include "protocol/messages.h"

namespace hearth {
namespace {

ToChild trip(const ToChild& m) { return decode_to_child(json::parse(json::serialize(encode(m)))); }
FromChild trip(const FromChild& m) { return decode_from_child(json::parse(json::serialize(encode(m)))); }

TEST(Messages, LoadSurvives) {
  LoadRequest load{"a/b.gguf", {4096, 2, 128, {KvType::q8_0, KvType::f32}}, "avx2", 7, {"vulkan0", "cpu"},
                   "/opt"};
  load.environment = {{"HSA_OVERRIDE_GFX_VERSION", "10.3.0"}, {"CUDA_VISIBLE_DEVICES", ""}};
  load.avoid = {{"vulkan0", 256, KvType::q4_0, "wrong", true}};
  load.halvings = 1;
  load.vectors = true;
  load.two_pass_attention = true;
  const auto back = std::get<to_child::Load>(trip(ToChild(to_child::Load{load}))).request;
  EXPECT_EQ(back.path, load.path);
  EXPECT_EQ(back.wish.context, 4096U);
  EXPECT_EQ(back.wish.kv.k, KvType::q8_0);
  EXPECT_EQ(back.wish.kv.v, KvType::f32);
  EXPECT_EQ(back.cpu_set, "avx2");
  EXPECT_EQ(back.threads, 7U);
  EXPECT_EQ(back.devices, load.devices);
  EXPECT_EQ(back.backends, "/opt");
  EXPECT_EQ(back.environment, load.environment);
  ASSERT_EQ(back.avoid.size(), 1U);
  EXPECT_EQ(back.avoid[0].device, "vulkan0");
  EXPECT_EQ(back.avoid[0].head_size, 256U);
  EXPECT_EQ(back.avoid[0].type, KvType::q4_0);
  EXPECT_EQ(back.avoid[0].cause, "wrong");
  EXPECT_TRUE(back.avoid[0].two_pass);
  EXPECT_EQ(back.halvings, 1U);
  EXPECT_TRUE(back.vectors);
  EXPECT_TRUE(back.two_pass_attention);
}

TEST(Messages, RequestSurvives) {
  Request r;
  r.messages = {{"system", "be \"kind\"\n"}, {"user", "grüße \xF0\x9F\x94\xA5"}};
  r.raw = "";
  r.sampling.options = json::object{{"temperature", 0.5}};
  r.max_tokens = 9;
  r.stop = {"\n\n", "###"};
  const auto back = std::get<to_child::Start>(trip(ToChild(to_child::Start{{1ULL << 40}, r})));
  EXPECT_EQ(back.id.value, 1ULL << 40);
  EXPECT_EQ(back.request.messages[1].content, r.messages[1].content);
  EXPECT_EQ(back.request.raw, r.raw);
  EXPECT_EQ(back.request.stop, r.stop);
  EXPECT_EQ(back.request.sampling.options, r.sampling.options);
}

TEST(Messages, EveryFieldOfARequestSurvives) {
  Request r;
  r.messages = {{"assistant", "c", "why", {{"call_1", "f", json::object{{"x", 1}}}}}, {"tool", "42"}};
  r.messages[1].tool_name = "f";
  r.messages[1].tool_call_id = "call_1";
  r.tools = json::array{json::object{{"type", "function"}}};
  r.think = {true, true, "high", true};
  r.format = "json";
  r.suffix = "";
  r.template_text = "{{ .Prompt }}";
  r.logprobs = 3;
  r.render_only = true;
  r.embed = {"a", ""};
  r.truncate = false;
  r.shift = false;
  r.model = "m";
  r.go_template = "";
  r.prefer_go = false;
  r.count_only = true;
  r.context = {1, -2};
  r.want_context = true;
  r.progress = true;
  r.think_budget = 0;
  const Request back = std::get<to_child::Start>(trip(ToChild(to_child::Start{{1}, r}))).request;
  EXPECT_EQ(back.messages[0].thinking, "why");
  EXPECT_EQ(back.messages[0].tool_calls[0].arguments, r.messages[0].tool_calls[0].arguments);
  EXPECT_EQ(back.messages[1].tool_name, "f");
  EXPECT_EQ(back.messages[1].tool_call_id, "call_1");
  EXPECT_EQ(back.tools, r.tools);
  EXPECT_TRUE(back.think.set && back.think.on);
  EXPECT_EQ(back.think.level, "high");
  EXPECT_EQ(back.format, r.format);
  EXPECT_EQ(back.suffix, "");
  EXPECT_EQ(back.template_text, r.template_text);
  EXPECT_EQ(back.logprobs, 3U);
  EXPECT_TRUE(back.render_only);
  EXPECT_EQ(back.embed, r.embed);
  EXPECT_FALSE(back.truncate);
  EXPECT_FALSE(back.shift);
  EXPECT_EQ(back.model, "m");
  EXPECT_EQ(back.go_template, "");
  EXPECT_EQ(back.prefer_go, false);
  EXPECT_TRUE(back.count_only);
  EXPECT_EQ(back.context, r.context);
  EXPECT_TRUE(back.want_context);
  EXPECT_TRUE(back.think.if_able);
  EXPECT_TRUE(back.progress);
  EXPECT_EQ(back.think_budget, 0U);
  const Request plain = std::get<to_child::Start>(trip(ToChild(to_child::Start{{1}, {}}))).request;
  EXPECT_FALSE(plain.progress);
  EXPECT_FALSE(plain.think_budget.has_value());
}

TEST(Messages, PiecesSurvive) {
  const from_child::Text text{{5}, "hi", {{"hi", -0.5, {{"hi", -0.5}, {"ho", -1.25}}}}};
  const auto back = std::get<from_child::Text>(trip(FromChild(text)));
  EXPECT_EQ(back.tokens[0].best, text.tokens[0].best);
  EXPECT_EQ(back.tokens[0].logprob, -0.5);
  EXPECT_EQ(std::get<from_child::Thinking>(trip(FromChild(from_child::Thinking{{5}, "hm"}))).text, "hm");
  const from_child::Called called{{5}, {"", "f", json::object{{"b", 1}, {"a", 2}}}};
  const auto call = std::get<from_child::Called>(trip(FromChild(called))).call;
  EXPECT_EQ(json::serialize(call.arguments), R"({"b":1,"a":2})");
  const auto progress = std::get<from_child::PromptProgress>(
      trip(FromChild(from_child::PromptProgress{{5}, 900, 64, 128, 0.25})));
  EXPECT_EQ(progress.id.value, 5U);
  EXPECT_EQ(progress.total, 900U);
  EXPECT_EQ(progress.cached, 64U);
  EXPECT_EQ(progress.processed, 128U);
  EXPECT_EQ(progress.seconds, 0.25);
  const from_child::Vectors vectors{{5}, {{0.1F, -1e-30F}, {}}};
  EXPECT_EQ(std::get<from_child::Vectors>(trip(FromChild(vectors))).vectors, vectors.vectors);
}

TEST(Messages, EventsSurvive) {
  Statistics s;
  s.prompt = 0.25;
  s.generated_tokens = 12;
  s.truncated_tokens = 7;
  s.thinking_tokens = 5;
  s.seed = ~0ULL;
  const auto done = std::get<from_child::Done>(trip(FromChild(from_child::Done{{3}, "length", s, {4, 5}})));
  EXPECT_EQ(done.statistics.truncated_tokens, 7U);
  EXPECT_EQ(done.statistics.thinking_tokens, 5U);
  EXPECT_EQ(done.context, (std::vector<int32_t>{4, 5}));
  EXPECT_EQ(done.statistics.seed, ~0ULL);
  EXPECT_EQ(done.reason, "length");
  const auto failed =
      std::get<from_child::Failed>(trip(FromChild(from_child::Failed{{3}, Code::busy, "m", "r"})));
  EXPECT_EQ(failed.code, Code::busy);
  from_child::Ready ready;
  ready.held = {{"cpu", {{BufferKind::kv, 77, false}, {BufferKind::weights, 5, true}}, {3}, {}}};
  const auto back = std::get<from_child::Ready>(trip(FromChild(ready)));
  EXPECT_EQ(back.held.at(0).of(BufferKind::kv), 77U);
  EXPECT_EQ(back.held.at(0).anonymous(), 77U);
}

TEST(Messages, GarbageIsAnError) {
  EXPECT_THROW(decode_to_child(json::parse(R"({"is":"load"})")), Error);
  EXPECT_THROW(decode_to_child(json::parse(R"({"is":"dance"})")), Error);
  EXPECT_THROW(decode_from_child(json::parse(R"([1])")), Error);
}

class ChannelTest : public testing::Test {
 protected:
  ChannelTest() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0); }
  ~ChannelTest() override {
    for (const int end : ends_) {
      if (end >= 0) ::close(end);
    }
  }
  int ends_[2] = {-1, -1};
};

TEST_F(ChannelTest, MessagesArriveWholeAndInOrder) {
  Channel receiver(ends_[1]);
  EXPECT_EQ(receiver.receive(0).state, Channel::State::nothing);
  std::thread writer([&] {
    Channel sender(ends_[0]);
    for (int i = 0; i < 300; ++i)
      sender.send({{"n", i}, {"filling", std::string(static_cast<size_t>(i) * 97, 'x')}});
  });
  for (int i = 0; i < 300; ++i) {
    const auto got = receiver.receive(-1);
    ASSERT_EQ(got.state, Channel::State::message);
    ASSERT_EQ(got.message.at("n").as_int64(), i);
  }
  writer.join();
}

TEST_F(ChannelTest, WhatIsHeldTravelsTogetherAndInOrder) {
  Channel sender(ends_[0]), receiver(ends_[1]);
  sender.hold({{"n", 0}});
  sender.hold({{"n", 1}});
  EXPECT_EQ(receiver.receive(0).state, Channel::State::nothing);
  EXPECT_TRUE(sender.flush());
  EXPECT_TRUE(sender.flush());  // nothing is left
  sender.hold({{"n", 2}});
  EXPECT_TRUE(sender.send({{"n", 3}}));
  for (int i = 0; i < 4; ++i) {
    const auto got = receiver.receive(0);
    ASSERT_EQ(got.state, Channel::State::message);
    EXPECT_EQ(got.message.at("n").as_int64(), i);
  }
  EXPECT_EQ(receiver.receive(0).state, Channel::State::nothing);
}

TEST_F(ChannelTest, AGonePeerIsSeenOnBothSides) {
  Channel mine(ends_[0]);
  ::close(ends_[1]);
  ends_[1] = -1;
  EXPECT_EQ(mine.receive(-1).state, Channel::State::closed);
  EXPECT_FALSE(mine.send("x"));
  mine.hold("y");
  EXPECT_FALSE(mine.flush());
}

TEST_F(ChannelTest, AnAbsurdLengthIsAnError) {
  const uint32_t length = 0xffffffffU;
  ASSERT_EQ(::send(ends_[0], &length, sizeof length, 0), static_cast<ssize_t>(sizeof length));
  Channel receiver(ends_[1]);
  EXPECT_THROW(receiver.receive(-1), Error);
}

}  // namespace
}  // namespace hearth
