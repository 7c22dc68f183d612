// What a request may ask for beside its text: progress, a bound of its thinking, how it is drawn.
#include <gtest/gtest.h>

#include "session_driver.h"
#include "text/output.h"
#include "worker/answer_writer.h"
#include "worker/open_model.h"
#include "worker/thinking.h"

namespace hearth {
namespace {

TEST(Session, ALongPromptTellsHowMuchOfItIsRead) {
  LoadRequest load = small_context(512);
  load.wish.rows = 64;
  Driver driver(load);
  Request r;
  r.raw = "";
  for (int i = 0; i < 100; ++i) *r.raw += std::to_string(i) + " ";
  r.max_tokens = 3;
  EXPECT_TRUE(driver.run(r).progress.empty()) << "nobody asked";
  r.raw = "x" + *r.raw;
  r.progress = true;
  const Heard h = driver.run(r);
  ASSERT_GT(h.progress.size(), 2U);
  EXPECT_EQ(h.progress.front().processed, 0U);
  EXPECT_EQ(h.progress.back().processed, h.statistics.prompt_tokens);
  for (size_t i = 0; i < h.progress.size(); ++i) {
    EXPECT_EQ(h.progress[i].total, h.statistics.prompt_tokens);
    if (i == 0) continue;
    EXPECT_GT(h.progress[i].processed, h.progress[i - 1].processed);
    EXPECT_GE(h.progress[i].seconds, h.progress[i - 1].seconds);
  }
  const Heard again = driver.run(r);
  EXPECT_GT(again.progress.front().cached, 0U);
  EXPECT_EQ(again.progress.front().processed, again.progress.front().cached);
  EXPECT_EQ(again.progress.back().processed, again.statistics.prompt_tokens);
}

// A template whose prompt opens the thinking: what a model that never thought says then is taken for thoughts
// until the end of them.
Request thinker(std::optional<uint32_t> budget) {
  Request r = question("How do I see which models are loaded?", 24);
  r.template_text =
      "{{ range .Messages }}{{ .Role }}: {{ .Content }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ "
      "end "
      "}}\n{{ end }}<think>";
  r.think_budget = budget;
  r.want_context = true;
  r.sampling.options = {{"temperature", 0}, {"ignore_eos", true}};
  return r;
}

TEST(Session, AThinkingEndsWithItsBudget) {
  Driver driver;
  const OpenModel model = OpenModel::open("");
  const auto end = model.tokenizer->encode("</think>", {false, true});
  const Heard without = driver.run(thinker(std::nullopt));
  ASSERT_FALSE(without.error.has_value()) << without.error->what();
  EXPECT_TRUE(without.text.empty());
  ASSERT_FALSE(without.thought.empty());
  for (const uint32_t budget : {1U, 5U, 9U}) {
    const Heard h = driver.run(thinker(budget));
    ASSERT_FALSE(h.error.has_value()) << h.error->what();
    EXPECT_FALSE(h.text.empty()) << budget;
    EXPECT_TRUE(without.thought.starts_with(h.thought)) << h.thought;
    EXPECT_EQ(h.statistics.generated_tokens, 24U);
    EXPECT_EQ(h.statistics.thinking_tokens, budget + end.size());
    ASSERT_GE(h.context.size(), h.statistics.prompt_tokens + budget + end.size());
    for (size_t i = 0; i < end.size(); ++i)
      EXPECT_EQ(h.context[h.statistics.prompt_tokens + budget + i], end[i].value) << budget;
  }
  const Heard none = driver.run(thinker(0));
  EXPECT_EQ(none.thought, "");
  EXPECT_EQ(none.context[none.statistics.prompt_tokens], end[0].value);
  EXPECT_EQ(driver.run(thinker(1000)).thought, without.thought);
}

TEST(Session, ABudgetAndAFormatHoldTogether) {
  Driver driver;
  Request r = thinker(4);
  r.format = json::parse(R"({"type":"object","properties":{"n":{"type":"integer","maximum":9}}})");
  r.sampling.options = {{"temperature", 0}};
  r.max_tokens = 60;
  const Heard h = driver.run(r);
  ASSERT_FALSE(h.error.has_value()) << h.error->what();
  EXPECT_FALSE(h.thought.empty());
  EXPECT_TRUE(json::parse(h.text).is_object()) << h.text;
}

// The only token that may follow; none where several may.
std::optional<TokenId> forced(const TokenFilter& filter, size_t vocabulary) {
  std::vector<uint64_t> allowed((vocabulary + 63) / 64, ~uint64_t{0});
  filter.mask(allowed);
  std::optional<TokenId> only;
  for (size_t i = 0; i < vocabulary; ++i) {
    if (((allowed[i / 64] >> (i % 64)) & 1U) == 0) continue;
    if (only) return std::nullopt;
    only = TokenId{static_cast<int32_t>(i)};
  }
  return only;
}

TEST(ThinkingBudgetTest, EndsTheAnalysisThatLiesInAChannel) {
  const OpenModel model = OpenModel::open("");
  const Tokenizer& tokenizer = *model.tokenizer;
  const OutputFormat format = *format_of_parser("harmony");
  std::string thought, said;
  AnswerWriter reply({1}, {}, tokenizer, format, false, [&](const FromChild& m) {
    if (const auto* t = std::get_if<from_child::Thinking>(&m)) thought += t->text;
    if (const auto* t = std::get_if<from_child::Text>(&m)) said += t->text;
    return true;
  });
  ThinkingBudget budget(2, thinking_end(format, false, tokenizer), reply, nullptr);
  const auto feed = [&](TokenId t) { EXPECT_TRUE(reply.token(t, {})); };
  const auto free = [&](const std::string& text, size_t most) {
    for (const TokenId t : tokenizer.encode(text, {false, false})) {
      if (most-- == 0) return;
      EXPECT_EQ(forced(budget, tokenizer.size()), std::nullopt) << text;
      budget.accept(t);
      feed(t);
    }
  };
  free("<|channel|>analysis<|message|>", 1000);
  free("thinking about it", 2);
  EXPECT_TRUE(reply.thinking());
  std::string end;
  for (auto t = forced(budget, tokenizer.size()); t; t = forced(budget, tokenizer.size())) {
    end += tokenizer.piece(*t);
    budget.accept(*t);
    feed(*t);
    ASSERT_LT(end.size(), 200U);
  }
  EXPECT_EQ(end, "<|end|><|start|>assistant<|channel|>final<|message|>");
  free("the answer", 1000);
  reply.finish("stop");
  EXPECT_EQ(said, "the answer");
  EXPECT_FALSE(thought.empty());
  EXPECT_TRUE(std::string("thinking about it").starts_with(thought)) << thought;
}

TEST(Session, ABudgetSaysNothingToAModelThatDoesNotThink) {
  Driver driver;
  Request r = question("Who are you?");
  const std::string without = driver.run(r).text;
  r.think_budget = 0;
  EXPECT_EQ(driver.run(r).text, without);
}

TEST(Session, RepetitionsAndTheOrderOfSamplersAreOptions) {
  Driver driver;
  const OpenModel model = OpenModel::open("");
  const TokenId letter = model.tokenizer->encode("a", {false, false}).at(0);
  Request r;
  r.raw = "one two three";
  r.max_tokens = 30;
  const json::object bias{{std::to_string(letter.value), 100}};  // it would say nothing else
  r.sampling.options = {{"temperature", 0}, {"logit_bias", bias}};
  EXPECT_EQ(driver.run(r).text, std::string(30, 'a'));
  r.sampling.options = {{"temperature", 0},
                        {"logit_bias", bias},
                        {"dry_multiplier", 50},
                        {"dry_base", 2},
                        {"dry_allowed_length", 1},
                        {"dry_penalty_last_n", 400},
                        {"dry_sequence_breakers", json::array{"\n"}}};
  const std::string dry = driver.run(r).text;
  EXPECT_TRUE(dry.starts_with("aa")) << dry;
  EXPECT_EQ(dry.find("aaaaaa"), std::string::npos) << dry;
  EXPECT_EQ(driver.run(r).text, dry);
  r.sampling.options.as_object()["dry_sequence_breakers"] = json::array{"a"};
  EXPECT_EQ(driver.run(r).text, std::string(30, 'a')) << "no repetition reaches over a breaker";
  r.sampling.options = {
      {"seed", 3}, {"temperature", 5}, {"samplers", json::array{"top_k", "temp"}}, {"top_k", 1}};
  const std::string likeliest = driver.run(r).text;
  r.sampling.options = {{"temperature", 0}};
  EXPECT_EQ(driver.run(r).text, likeliest);
  r.sampling.options = {{"samplers", json::array{"top_k", "lucky_dip"}}};
  const Heard unknown = driver.run(r);
  ASSERT_TRUE(unknown.error.has_value());
  EXPECT_EQ(unknown.error->code, Code::bad_request);
  EXPECT_NE(unknown.error->message.find("lucky_dip"), std::string::npos);
  r.sampling.options = {{"dry_sequence_breakers", "x"}};
  EXPECT_NE(driver.run(r).error->message.find("dry_sequence_breakers"), std::string::npos);
}

}  // namespace
}  // namespace hearth
