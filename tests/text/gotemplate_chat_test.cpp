// Conversations in Go templates, and what templates tell about a model.
#include <gtest/gtest.h>

#include "text/chat_template.h"

namespace hearth {
namespace {

Json message(const char* role, const char* content) { return {{"role", role}, {"content", content}}; }

std::string render(const char* source, const Conversation& conversation) {
  return text_of(GoTemplate::parse(source).render(conversation));
}

Conversation conversation_of(std::vector<Json> messages) {
  Conversation conversation;
  conversation.messages = std::move(messages);
  return conversation;
}

TEST(GoConversation, NeighboursOfOneRoleMergeExceptTools) {
  const Conversation conversation =
      conversation_of({message("user", "a"), message("user", "b"), message("tool", "1"), message("tool", "2"),
                       message("system", "s"), message("assistant", "c"), message("system", "t")});
  EXPECT_EQ(render("{{ .System }}|{{ range .Messages }}{{ .Role }}={{ .Content }};{{ end }}", conversation),
            "s\n\nt|user=a\n\nb;tool=1;tool=2;system=s;assistant=c;system=t;");
}

TEST(GoConversation, ManyNeighboursMergeInLinearTime) {
  Conversation conversation;
  conversation.messages.assign(50'000, message("user", "0123456789"));
  EXPECT_EQ(render("{{ range .Messages }}{{ len .Content }}{{ end }}", conversation), "599998");
}

// Where the reference forgets the calls of the second message.
TEST(GoConversation, MergedMessagesKeepTheirCallsAndThoughts) {
  Json second = message("assistant", "");
  second.as_object()["thinking"] = "t";
  second.as_object()["tool_calls"] = json::array{{{"function", {{"name", "f"}, {"arguments", "{\"a\":1}"}}}}};
  EXPECT_EQ(
      render("{{ range .Messages }}{{ .Content }}{{ .Thinking }}{{ range .ToolCalls }}{{ .Function.Index }}"
             "{{ .Function.Name }}{{ .Function.Arguments }}{{ .Function.Arguments.a }}{{ end }}{{ end }}",
             conversation_of({message("assistant", "a"), second})),
      "a\n\nt0f{\"a\":1}1");
}

TEST(GoConversation, TheSystemOfTheRequestComesFirst) {
  Conversation conversation = conversation_of({message("user", "u")});
  conversation.system = "S";
  EXPECT_EQ(render("{{ .System }}{{ range .Messages }}{{ .Role }}{{ .Content }}{{ end }}", conversation),
            "SsystemSuseru");
  EXPECT_EQ(render("[{{ .System }}]{{ .Prompt }}", conversation), "[S]u");
}

TEST(GoConversation, ATemplateWithoutMessagesRunsInRounds) {
  const Conversation conversation =
      conversation_of({message("system", "s"), message("user", "a"), message("assistant", "b"),
                       message("user", "c"), message("assistant", "d")});
  const char* const source = "<{{ if .System }}{{ .System }}:{{ end }}{{ .Prompt }}>{{ .Response }}</s>";
  EXPECT_EQ(render(source, conversation), "<s:a>b</s><c>d");
  Conversation open = conversation;
  open.messages.pop_back();
  EXPECT_EQ(render(source, open), "<s:a>b</s><c>");
  // Without .Response it is appended.
  EXPECT_EQ(render("<{{ .System }}|{{ .Prompt }}>", conversation), "<s|a>b<|c>d");
  // A system message opens a round of its own.
  EXPECT_EQ(
      render(source, conversation_of({message("user", "a"), message("system", "s"), message("user", "b")})),
      "<a></s><s:b>");
  EXPECT_EQ(render(source, Conversation()), "<>");
}

TEST(GoConversation, TheLastRoundEndsBehindItsFirstResponse) {
  const Conversation conversation = conversation_of({message("user", "a"), message("assistant", "b")});
  EXPECT_EQ(render("{{ if .Response }}<{{ .Response }}>{{ else }}no{{ end }}|{{ .Response }}!", conversation),
            "<b");
  EXPECT_EQ(render("{{ .Prompt }}{{ if .Response }} {{ end }}{{ .Response }}</s>", conversation), "a b");
}

TEST(GoConversation, MentionsInDefinitionsThatNeverRunDoNotCount) {
  const Conversation conversation = conversation_of({message("user", "a")});
  EXPECT_EQ(render("{{ define \"x\" }}{{ .Messages }}{{ end }}{{ .Prompt }}", conversation), "a");
  EXPECT_EQ(render("{{ define \"x\" }}{{ len .Messages }}{{ end }}{{ template \"x\" . }}{{ .Prompt }}",
                   conversation),
            "1<no value>");
}

TEST(GoConversation, FillInTheMiddleLooksAtNothingElse) {
  Conversation conversation = conversation_of({message("user", "a")});
  conversation.prompt = "before";
  conversation.suffix = "after";
  EXPECT_EQ(
      render("{{ if .Suffix }}<P>{{ .Prompt }}<S>{{ .Suffix }}<M>{{ else }}{{ len .Messages }}{{ end }}{{ "
             "if .Messages }}no{{ end }}{{ .Response }}",
             conversation),
      "<P>before<S>after<M>");
}

TEST(GoConversation, ThinkSettings) {
  Conversation conversation = conversation_of({message("user", "a")});
  const char* const source = "{{ .Think }} {{ .ThinkLevel }} {{ .IsThinkSet }}{{ if .Messages }}{{ end }}";
  EXPECT_EQ(render(source, conversation), "false  false");
  conversation.think = false;
  EXPECT_EQ(render(source, conversation), "false  true");
  conversation.think = {};
  conversation.think_level = "high";
  EXPECT_EQ(render(source, conversation), "true high true");
}

TEST(GoConversation, OddShapesAreEmptyRatherThanErrors) {
  Conversation conversation;
  conversation.messages = {nullptr,
                           {{"role", 1}, {"content", nullptr}},
                           {{"role", "assistant"}, {"content", json::array()}, {"tool_calls", {nullptr, 1}}}};
  conversation.tools = {1, nullptr, {{"function", {{"name", "n"}, {"parameters", 3}}}}};
  EXPECT_EQ(
      render("{{ range .Messages }}[{{ .Role }}|{{ .Content }}|{{ len .ToolCalls }}]{{ end }}{{ range .Tools "
             "}}({{ .Function.Name }}{{ len .Function.Parameters.Properties }}){{ end }}",
             conversation),
      "[||0][assistant||2](0)(0)(n0)");
}

constexpr const char* thinker = R"({{ range .Messages }}{{ if eq .Role "assistant" }}<|assistant|>
{{ if and .Thinking $.Think }}
<think>
{{ .Thinking }}
</think>

{{ end }}{{ .Content }}{{ else if .ToolCalls }}
[CALLS] [{"name": {{ range .ToolCalls }}{{ .Function.Name }}{{ end }}{{ else if eq .Role "tool" }}{{ .Content }}
{{ end }}{{ end }}{{ .Tools }})";

TEST(GoAbilities, HintsComeFromTheTextAround) {
  const GoTemplate chat = GoTemplate::parse(thinker);
  EXPECT_EQ(chat.hints().thinking_open, "<think>");
  EXPECT_EQ(chat.hints().thinking_close, "</think>");
  EXPECT_EQ(chat.hints().tool_call, "[CALLS] [");
  const TemplateAbilities abilities = chat.abilities();
  EXPECT_TRUE(abilities.tools);
  EXPECT_TRUE(abilities.thinking);
  EXPECT_TRUE(abilities.replay);
  EXPECT_FALSE(abilities.insert);
}

TEST(GoAbilities, NoTagsWithoutARangeOverMessages) {
  const GoTemplate outside = GoTemplate::parse("<think>{{ .Thinking }}</think>{{ .Suffix }}");
  EXPECT_EQ(outside.hints().thinking_open, "");
  EXPECT_FALSE(outside.abilities().thinking);
  EXPECT_TRUE(outside.abilities().insert);
  EXPECT_EQ(outside.hints().tool_call, "{");
  const char* const bare =
      "{{ range .Messages }}{{ if .ToolCalls }}\n{\"name\": {{ end }}{{ .Thinking }}{{ end }}";
  EXPECT_EQ(GoTemplate::parse(bare).hints().tool_call, "{");
  EXPECT_FALSE(GoTemplate::parse(bare).abilities().thinking);
}

TEST(GoAbilities, OfJinja) {
  const std::string source =
      "{% for m in messages %}{% if m.role == 'tool' %}{{ m.content }}{% elif m.tool_calls %}{% endif %}"
      "{{ m.content.split('</think>')[-1] }}{% endfor %}{% if tools %}{% endif %}";
  const TemplateAbilities all = abilities_of(Template::parse(source), source);
  EXPECT_TRUE(all.tools && all.thinking && all.replay);
  EXPECT_FALSE(all.insert);
  const TemplateAbilities none = abilities_of(Template::parse("{{ messages }}"), "{{ messages }}");
  EXPECT_FALSE(none.tools || none.thinking || none.replay || none.insert);
}

TEST(GoAbilities, Choice) {
  using Choice = TemplateChoice;
  const TemplateAbilities plain, tools{true, false, false, false}, replays{true, false, false, true},
      thinks{false, true, false, false}, both{true, true, false, false}, all{true, true, false, true};
  const auto choose = [](const TemplateAbilities* go, const TemplateAbilities* jinja) {
    return choose_template(go, jinja, {});
  };
  EXPECT_EQ(choose(nullptr, nullptr), Choice::none);
  EXPECT_EQ(choose(&plain, nullptr), Choice::go);
  EXPECT_EQ(choose(nullptr, &plain), Choice::jinja);
  EXPECT_EQ(choose(&plain, &plain), Choice::go);
  EXPECT_EQ(choose(&tools, &both), Choice::jinja);
  EXPECT_EQ(choose(&replays, &both), Choice::go);  // only Go can replay
  EXPECT_EQ(choose(&replays, &all), Choice::jinja);
  EXPECT_EQ(choose(&tools, &replays), Choice::jinja);  // equal, but only Jinja can replay
  EXPECT_EQ(choose(&tools, &thinks), Choice::go);      // not more, but other
  EXPECT_EQ(choose(&both, &tools), Choice::go);
  EXPECT_EQ(choose_template(&plain, &all, true), Choice::go);
  EXPECT_EQ(choose_template(nullptr, &all, true), Choice::jinja);
  EXPECT_EQ(choose_template(&all, &plain, false), Choice::jinja);
  EXPECT_EQ(choose_template(&all, nullptr, false), Choice::none);
}

TEST(GoAbilities, ABosInTheTemplateIsSeen) {
  EXPECT_TRUE(begins_with({{"<s>[INST]", Origin::model}}, "<s>"));
  EXPECT_FALSE(begins_with({{"<s>", Origin::user}}, "<s>"));
  EXPECT_FALSE(begins_with({{"<s", Origin::model}}, "<s>"));
  EXPECT_FALSE(begins_with({}, "<s>"));
  EXPECT_FALSE(begins_with({{"x", Origin::model}}, ""));
}

}  // namespace
}  // namespace hearth
