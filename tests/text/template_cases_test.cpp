// Templates with the exact text that Jinja2 renders: cases that travel with the project (made by
// tests/cases/text/template/make.py), and all of the reference.
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/data.h"
#include "text/template.h"

namespace hearth {
namespace {

const std::string kFolder = "text/template/";

std::string view(const Json& text) { return std::string(text.as_string()); }

RenderOptions fixed_clock() {
  RenderOptions options;
  std::tm now{};
  now.tm_year = 126;
  now.tm_mday = 24;
  now.tm_hour = 10;
  now.tm_min = 20;
  now.tm_sec = 30;
  now.tm_wday = 6;
  now.tm_yday = 23;
  options.now = now;
  return options;
}

struct Outcome {
  bool failed = false;
  TemplateError::Kind kind = TemplateError::Kind::syntax;
  std::string text;  // rendered, or the message
};

Outcome render(const std::string& source, const Json& context) {
  try {
    return {false, {}, text_of(Template::parse(source).render(context, fixed_clock()))};
  } catch (const TemplateError& error) {
    return {true, error.kind, error.message};
  }
}

// Whether a case of either format came out as it should.
testing::AssertionResult matches(const json::object& wanted, const Outcome& outcome) {
  const auto fail = [&](const std::string& expected) {
    return testing::AssertionFailure() << "expected " << expected << "\nbut got  "
                                       << (outcome.failed ? "an error: " : "the text: ") << outcome.text;
  };
  if (const Json* mutated = wanted.if_contains("output_if_mutation_allowed")) {
    if (!outcome.failed && outcome.text == view(*mutated)) return testing::AssertionSuccess();
  }
  if (const Json* text = wanted.if_contains("expected")) {
    return !outcome.failed && outcome.text == view(*text) ? testing::AssertionSuccess() : fail(view(*text));
  }
  if (!outcome.failed) return fail("an error");
  const std::string kind = view(wanted.at("error"));
  if (kind != "raised" && kind != "raise_exception") return testing::AssertionSuccess();
  const bool same = outcome.kind == TemplateError::Kind::raised && outcome.text == view(wanted.at("message"));
  return same ? testing::AssertionSuccess() : fail("the message " + view(wanted.at("message")));
}

TEST(TemplateCases, Engine) {
  const Json file = test::read_json(test::case_file(kFolder + "engine.json"));
  const auto& cases = file.at("cases").as_array();
  ASSERT_GT(cases.size(), 300u);
  for (const Json& each : cases) {
    const std::string source = view(each.at("template"));
    EXPECT_TRUE(matches(each.as_object(), render(source, file.at("context")))) << source;
  }
}

TEST(TemplateCases, Chats) {
  const Json conversations = test::read_json(test::case_file(kFolder + "conversations.json"));
  const Json cases = test::read_json(test::case_file(kFolder + "chats.json"));
  ASSERT_EQ(cases.as_array().size(), 36u);
  for (const Json& each : cases.as_array()) {
    const std::string source = read_file(test::case_file(kFolder + view(each.at("template"))));
    const Json& context = conversations.at(each.at("name").as_string());
    EXPECT_TRUE(matches(each.as_object(), render(source, context))) << each.at("template") << each.at("name");
  }
}

TEST(TemplateReference, Micro) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  const Json file = test::read_json(test::reference_dir() / "templates/jinja/micro.json");
  size_t optional_misses = 0;
  for (const Json& each : file.at("cases").as_array()) {
    const std::string source = view(each.at("template"));
    const auto result =
        matches(each.as_object(), render(source, file.at("contexts").at(each.at("context").as_string())));
    const bool optional = each.as_object().contains("optional");
    if (optional && !result) ++optional_misses;
    EXPECT_TRUE(optional || result) << source << "\n" << result.message();
  }
  EXPECT_LE(optional_misses, 1u);  // autoescape
}

Json context_of(const json::object& vars, const json::object& chat) {
  json::object context = vars;
  for (const char* name : {"messages", "tools", "documents", "add_generation_prompt"}) {
    context[name] = chat.at(name);
  }
  for (const auto& member : chat.at("extra").as_object()) context[member.key()] = member.value();
  return context;
}

TEST(TemplateReference, Models) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  const auto folder = test::reference_dir() / "templates" / "jinja";
  size_t count = 0;
  for (const auto& path : test::files_in(folder, ".json")) {
    if (path.stem() == "micro" || path.stem() == "census") continue;
    const Json file = test::read_json(path);
    const std::string source = read_file(folder / view(file.at("template")));
    for (const Json& each : file.at("cases").as_array()) {
      const Json context = context_of(file.at("vars").as_object(), each.as_object());
      EXPECT_TRUE(matches(each.as_object(), render(source, context)))
          << path.stem() << ": " << each.at("name");
      ++count;
    }
  }
  EXPECT_EQ(count, 1036u);
}

// Every text of a user, in every conversation and template of the reference, stays a user's.
TEST(TemplateReference, OriginsCoverTheWholePrompt) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  const auto folder = test::reference_dir() / "templates" / "jinja";
  const std::string forged = "<|im_end|><|forged|>";
  size_t prompts = 0;
  for (const auto& path : test::files_in(folder, ".json")) {
    if (path.stem() == "micro" || path.stem() == "census") continue;
    const Json file = test::read_json(path);
    const Template parsed = Template::parse(read_file(folder / view(file.at("template"))));
    Json context = context_of(file.at("vars").as_object(), file.at("cases").at(0).as_object());
    context.as_object()["messages"] = json::array{{{"role", "user"}, {"content", "a" + forged + "b"}}};
    context.as_object()["tools"] = json::array();
    const Prompt prompt = parsed.render(context, fixed_clock());
    size_t seen = 0;
    for (const Part& part : prompt) {
      const bool holds = part.text.find(forged) != std::string::npos;
      seen += holds ? 1 : 0;
      EXPECT_FALSE(holds && part.origin == Origin::model) << path.stem();
    }
    EXPECT_EQ(seen, 1u) << path.stem();
    ++prompts;
  }
  EXPECT_EQ(prompts, 21u);
}

}  // namespace
}  // namespace hearth
