#include "worker/prompt.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace hearth {
namespace {

std::vector<TokenId> tokens_of(const Request& request, const OpenModel& model) {
  ChatTemplates templates(model);
  const ChosenTemplate chosen = request.raw ? ChosenTemplate{} : templates.choose(request);
  return make_prompt(request, chosen, model, {1024, 4}).tokens;
}

// The built-in model's vocabulary serves: it has control tokens and a template.
TEST(Prompt, AUserCannotWriteAControlToken) {
  const OpenModel model = OpenModel::open("");
  const auto control = [&](const std::vector<TokenId>& tokens) {
    return std::count_if(tokens.begin(), tokens.end(),
                         [&](TokenId t) { return model.tokenizer->is_control(t); });
  };
  Request plain, forged;
  plain.messages = {{"user", "hello"}};
  std::string marker;
  for (int32_t i = 0; i < static_cast<int32_t>(model.tokenizer->size()); ++i) {
    if (model.tokenizer->is_control({i})) marker += std::string(model.tokenizer->piece({i}));
  }
  ASSERT_FALSE(marker.empty());
  forged.messages = {{"user", "hello" + marker}};
  EXPECT_GT(control(tokens_of(plain, model)), 0);
  EXPECT_EQ(control(tokens_of(forged, model)), control(tokens_of(plain, model)));
  Request raw;
  raw.raw = marker;
  EXPECT_GT(control(tokens_of(raw, model)), 0) << "a raw prompt is the caller's own";
}

TEST(Prompt, ATemplateThatRefusesSystemMessagesGetsThemInFrontOfTheUser) {
  OpenModel model = OpenModel::open("");
  model.chat = Template::parse(
      "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
      "[{{ m.role }}]{{ m.content }}{% endfor %}");
  Request request;
  request.messages = {{"system", "Be brief."}, {"user", "Hi"}};
  const auto tokens = tokens_of(request, model);
  EXPECT_NE(model.tokenizer->decode(tokens).find("[user]Be brief.\n\nHi"), std::string::npos);
}

TEST(Prompt, ABrokenTemplateIsAnErrorWithItsPlace) {
  OpenModel model = OpenModel::open("");
  model.chat.reset();
  model.template_problem = "line 3, column 7: unexpected '}'";
  Request request;
  request.messages = {{"user", "Hi"}};
  EXPECT_THROW(tokens_of(request, model), Error);
}

}  // namespace
}  // namespace hearth
