// Origins, errors, limits, mentions.
#include "text/template.h"

#include <gtest/gtest.h>

#include <thread>

namespace hearth {
namespace {

using Kind = TemplateError::Kind;

Json context(std::string_view text) { return json::parse(text); }

Prompt prompt(std::string_view source, std::string_view given, const RenderOptions& options = {}) {
  return Template::parse(source).render(context(given), options);
}

// "model text[user text]model text"
std::string marked(std::string_view source, std::string_view given = R"({"u": "aXb", "bos_token": "<s>"})") {
  std::string out;
  for (const Part& part : prompt(source, given)) {
    out += part.origin == Origin::user ? "[" + part.text + "]" : part.text;
  }
  return out;
}

TemplateError error_of(std::string_view source, const RenderOptions& options = {}) {
  try {
    prompt(source, R"({"u": "text", "l": [1, 2, 3]})", options);
  } catch (const TemplateError& error) {
    return error;
  }
  return {Kind::raised, "no error", 0, 0};
}

TEST(TemplateOrigins, TextOfTheContextIsTheUsersUnlessTrusted) {
  EXPECT_EQ(marked("<|im_start|>{{ u }}<|im_end|>"), "<|im_start|>[aXb]<|im_end|>");
  EXPECT_EQ(marked("{{ bos_token }}{{ u }}"), "<s>[aXb]");
  RenderOptions nobody;
  nobody.trusted.clear();
  const Prompt parts = prompt("{{ bos_token }}", R"({"bos_token": "<s>"})", nobody);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].origin, Origin::user);
}

TEST(TemplateOrigins, NeighboursAreMergedAndNothingIsEmpty) {
  const Prompt parts = prompt("a{{ 'b' }}{{ '' }}{{ u }}{{ u }}{{ e }}c", R"({"u": "x", "e": ""})");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].text, "ab");
  EXPECT_EQ(parts[1].text, "xx");
  EXPECT_EQ(parts[2].text, "c");
  EXPECT_TRUE(prompt("{{ u }}", R"({"u": ""})").empty());
}

TEST(TemplateOrigins, EveryOperationOnTextKeepsThem) {
  EXPECT_EQ(marked("{{ '<' + u + '>' }}"), "<[aXb]>");
  EXPECT_EQ(marked("{{ '<' ~ u ~ 1 ~ '>' }}"), "<[aXb]1>");
  EXPECT_EQ(marked("{{ ('<' + u + '>')[1:] }}"), "[aXb]>");
  EXPECT_EQ(marked("{{ ('<' + u + '>')[::-1] }}"), ">[bXa]<");
  EXPECT_EQ(marked("{{ ('<' + u + '>')[2] }}"), "[X]");
  EXPECT_EQ(marked("{{ (' ' + u + ' ') | trim }}"), "[aXb]");
  EXPECT_EQ(marked("{{ (u + '</think>c').split('</think>') | join('|') }}"), "[aXb]|c");
  EXPECT_EQ(marked("{{ u.split('X')[1] ~ '!' }}"), "[b]!");
  EXPECT_EQ(marked("{{ ('_' + u).replace('X', '<s>') }}"), "_[a]<s>[b]");
  EXPECT_EQ(marked("{{ 'aXb'.replace('X', u) }}"), "a[aXb]b");
  EXPECT_EQ(marked("{{ ('m' + u) | upper }}"), "M[AXB]");
  EXPECT_EQ(marked("{{ ('M' + u).lower() }}"), "m[axb]");
  EXPECT_EQ(marked("{{ ['<', u, '>'] | join(u) }}"), "<[aXbaXbaXb]>");
  EXPECT_EQ(marked("{{ '%s|%s' % (u, 'm') }}"), "[aXb]|m");
  EXPECT_EQ(marked("{{ '{}<{:>5}'.format(u, 'm') }}"), "[aXb]<    m");
  EXPECT_EQ(marked("{{ (u ~ '\n' ~ 'x') | indent(1) }}"), "[aXb]\n x");
  EXPECT_EQ(marked("{{ [u, 'm'] }}"), "[['aXb'], 'm']");
  EXPECT_EQ(marked("{{ u * 2 }}{{ 'm' * 2 }}"), "[aXbaXb]mm");
  EXPECT_EQ(marked("{{ u | title }}{{ u | capitalize }}{{ u | escape }}"), "[AxbAxbaXb]");
  EXPECT_EQ(marked("{% for c in u %}{{ c }}-{% endfor %}"), "[a]-[X]-[b]-");
}

TEST(TemplateOrigins, CarriersOfTextKeepThem) {
  EXPECT_EQ(marked("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(u) | upper }}"), "<[AXB]>");
  EXPECT_EQ(marked("{% set x %}<{{ u }}>{% endset %}{{ x }}"), "<[aXb]>");
  EXPECT_EQ(
      marked("{% set ns = namespace(x='') %}{% for i in [1,2] %}{% set ns.x = ns.x + u + ';' %}{% endfor %}"
             "{{ ns.x }}"),
      "[aXb];[aXb];");
  EXPECT_EQ(marked("{% filter upper %}<{{ u }}>{% endfilter %}"), "<[AXB]>");
  EXPECT_EQ(marked("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}{{ u }}{% endcall %}"),
            "<[aXb]>");
  EXPECT_EQ(marked("{{ {'k': u}.k }}{{ dict(k=u)['k'] }}"), "[aXbaXb]");
}

TEST(TemplateOrigins, JsonOfAUsersDataIsTheUsers) {
  EXPECT_EQ(marked("<{{ d | tojson }}>", R"({"d": {"k": [1, "<s>", null], "e": {}}})"),
            R"(<[{"k": [1, "<s>", null], "e": {}}]>)");
  EXPECT_EQ(marked("{{ {'name': d} | tojson }}", R"({"d": "<s>"})"), R"({"name": ["<s>"]})");
  EXPECT_EQ(marked("{{ d }}", R"({"d": {"k": [1, "x"]}})"), "[{'k': [1, 'x']}]");
  EXPECT_EQ(marked("{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", R"({"d": {"<s>": "v"}})"),
            "[<s>]=[v]");
  EXPECT_EQ(marked("{{ (d | from_json).k }}", R"({"d": "{\"k\": \"<s>\"}"})"), "[<s>]");
}

TEST(TemplateOrigins, CharactersMadeOfNumbersAreTheUsers) {
  EXPECT_EQ(marked("{{ '%c' % 60 }}|"), "[<]|");
  EXPECT_EQ(marked("{{ strftime_now(u) }}|", R"({"u": "<s>"})"), "[<s>]|");
}

TEST(TemplateOrigins, ComparisonsIgnoreThem) {
  EXPECT_EQ(marked("{{ u == 'aXb' }}{{ 'X' in u }}{{ {'aXb': 1}[u] }}{{ u in ['aXb'] }}"), "TrueTrue1True");
}

TEST(TemplateErrors, TellThePlace) {
  const TemplateError syntax = error_of("line one\nsay {{ 'a' + }}");
  EXPECT_EQ(syntax.kind, Kind::syntax);
  EXPECT_EQ(syntax.code, Code::corrupt_file);
  EXPECT_EQ(syntax.line, 2u);
  EXPECT_EQ(syntax.column, 14u);
  EXPECT_NE(syntax.message.find("line 2, column 14"), std::string::npos) << syntax.message;

  const TemplateError type = error_of("{% if true %}\n\n  {{ 'a' + 1 }}\n{% endif %}");
  EXPECT_EQ(type.kind, Kind::type);
  EXPECT_EQ(type.code, Code::unsupported);
  EXPECT_EQ(type.line, 3u);
  EXPECT_EQ(type.column, 10u);

  const TemplateError undefined = error_of("{{ tools.name }}");
  EXPECT_EQ(undefined.kind, Kind::undefined);
  EXPECT_NE(undefined.message.find("'tools' is undefined"), std::string::npos) << undefined.message;
}

TEST(TemplateErrors, RaisedMessagesAreTheTemplatesOwn) {
  const TemplateError raised = error_of("{{ raise_exception('Roles must alternate: ' ~ u) }}");
  EXPECT_EQ(raised.kind, Kind::raised);
  EXPECT_EQ(raised.code, Code::bad_request);
  EXPECT_EQ(raised.message, "Roles must alternate: text");
}

TEST(TemplateErrors, UnfinishedTemplatesAreSyntaxErrors) {
  for (const char* source :
       {"{{", "{%", "{#", "{{ 'x", "{% if u %}", "{% for x in l %}a", "{% macro f() %}", "{{ (1",
        "{% raw %}x", "{% set x %}", "{{ [1, }}", "{{ {'a': }}", "{% nosuchtag %}", "{{ u | nosuchfilter }}",
        "{{ u is nosuchtest }}", "{% endif %}", "{% break %}"}) {
    EXPECT_EQ(error_of(source).kind, Kind::syntax) << source;
  }
}

TEST(TemplateErrors, AnUnknownFilterUnderAConditionFailsWhenReached) {
  EXPECT_EQ(text_of(prompt("{% if false %}{{ 1 | nosuchfilter }}{% endif %}a", "{}")), "a");
  EXPECT_EQ(error_of("{% if true %}{{ 1 | nosuchfilter }}{% endif %}").kind, Kind::type);
}

RenderOptions limited(RenderLimits limits) {
  RenderOptions options;
  options.limits = limits;
  return options;
}

TEST(TemplateLimits, StepsEndLongLoops) {
  const auto options = limited({.steps = 100'000});
  const TemplateError error =
      error_of("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", options);
  EXPECT_EQ(error.kind, Kind::limit);
  EXPECT_NE(error.message.find("100000 steps"), std::string::npos) << error.message;
  EXPECT_EQ(error_of("{% for a in range(9999) %}{% set x = u in u * 900000 %}{% endfor %}", options).kind,
            Kind::limit);
}

TEST(TemplateLimits, DepthEndsRecursion) {
  const TemplateError macro = error_of("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}");
  EXPECT_EQ(macro.kind, Kind::limit);
  EXPECT_NE(macro.message.find("nested levels"), std::string::npos) << macro.message;
  EXPECT_EQ(error_of("{{ l.append(l) }}{{ l }}").kind, Kind::limit);
  EXPECT_EQ(error_of("{{ l.append(l) }}{{ l | tojson }}").kind, Kind::limit);
  EXPECT_EQ(error_of("{% set a = [1] %}{{ a.append(a) }}{% set b = [1] %}{{ b.append(b) }}{{ a == b }}").kind,
            Kind::limit);
  EXPECT_EQ(error_of("{% for a in l recursive %}{{ loop(l) }}{% endfor %}").kind, Kind::limit);
  EXPECT_EQ(
      error_of(
          "{% set ns = namespace(t=()) %}{% for a in range(99999) %}{% set ns.t = (ns.t, 1) %}{% endfor %}"
          "{{ ns.t }}")
          .kind,
      Kind::limit);
}

TEST(TemplateLimits, DeepSourcesAreRefusedAndLongOnesAreNot) {
  const auto repeated = [](const std::string& text, size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  EXPECT_EQ(error_of("{{ " + repeated("(", 100'000) + "1" + repeated(")", 100'000) + " }}").kind,
            Kind::syntax);
  EXPECT_EQ(error_of("{{ " + repeated("not ", 100'000) + "1 }}").kind, Kind::syntax);
  EXPECT_EQ(error_of("{{ " + repeated("-", 100'000) + "1 }}").kind, Kind::syntax);
  EXPECT_EQ(error_of("{{ u" + repeated("|upper", 100'000) + " }}").kind, Kind::syntax);
  EXPECT_EQ(error_of("{{ 1" + repeated(" if 1 else 1", 100'000) + " }}").kind, Kind::syntax);
  EXPECT_EQ(error_of(repeated("{% if 1 %}", 100'000)).kind, Kind::syntax);
  EXPECT_EQ(error_of("{% set " + repeated("(", 100'000)).kind, Kind::syntax);
  EXPECT_EQ(text_of(prompt("{{ 0" + repeated(" + 1", 10'000) + " }}", "{}")), "10000");
  EXPECT_EQ(text_of(prompt("{{ ''" + repeated(" ~ 'a'", 10'000) + " }}", "{}")).size(), 10'000u);
}

TEST(TemplateLimits, OutputIsBounded) {
  const auto options = limited({.output_bytes = 1000});
  const TemplateError error = error_of("{% for a in range(999) %}ab{% endfor %}", options);
  EXPECT_EQ(error.kind, Kind::limit);
  EXPECT_NE(error.message.find("1000 bytes of output"), std::string::npos) << error.message;
  EXPECT_EQ(error_of("{{ 'x' * 1001 }}", options).kind, Kind::limit);
  EXPECT_EQ(text_of(prompt("{{ 'x' * 1000 }}", "{}", options)).size(), 1000u);
}

TEST(TemplateLimits, MemoryIsBounded) {
  const auto options = limited({.memory_bytes = 1 << 20});
  for (const char* source : {
           "{{ ('x' * 9999999) | length }}",
           "{{ ([0] * 9999999) | length }}",
           "{% set ns = namespace(x='x') %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
           "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
           "{% for a in range(99999) %}{{ l.append(a) }}{% endfor %}",
           "{{ u.center(99999999) }}",
           "{{ '%99999999d' % 1 }}",
           "{{ '{:99999999}'.format(1) }}",
           "{{ u | indent(99999999) }}",
           "{{ l | batch(99999999, 1) | list }}",
           "{{ l | tojson(indent='x' * 900000) }}",
           "{{ (u * 100000).replace('', u * 1000) }}",
           "{{ (u * 9999) | list }}{{ (u * 9999) | list }}",
       }) {
    const TemplateError error = error_of(source, options);
    EXPECT_EQ(error.kind, Kind::limit) << source << ": " << error.message;
  }
  // What is no longer used counts no longer.
  EXPECT_EQ(
      text_of(prompt("{% for a in range(999) %}{% set x = 'y' * 9999 %}{% endfor %}done", "{}", options)),
      "done");
}

TEST(TemplateLimits, NumbersAreBounded) {
  for (const char* source :
       {"{{ 9 ** (9 ** 9) }}", "{{ 2 ** 99999 }}", "{{ 2 ** 2000 / 3 }}", "{{ 10 ** 4000 * 10 ** 4000 }}",
        "{% set ns = namespace(x=9) %}{% for a in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}"}) {
    EXPECT_EQ(error_of(source).kind, Kind::type) << source;
  }
  EXPECT_EQ(text_of(prompt("{{ 2 ** 70 }}{{ u }}", R"({"u": 18446744073709551615})")),
            "118059162071741130342418446744073709551615");
}

TEST(TemplateMentions, NamesWhatIsReadWithoutRunning) {
  const Mentions mentions =
      Template::parse(
          "{% if tools is defined and tools %}{{ tools | tojson }}{% endif %}"
          "{% for m in messages %}{% if m.tool_calls %}{{ m['reasoning_content'] }}{% endif %}"
          "{% if 'thinking' in m and m.get('name') %}{% elif m.role == 'tool' %}{% endif %}"
          "{% if m.type in ['image', 'image_url'] %}{% endif %}{% endfor %}"
          "{% if enable_thinking is defined and enable_thinking is eq 'low' %}{% endif %}")
          .mentions();
  for (const char* name : {"tools", "messages", "enable_thinking"})
    EXPECT_TRUE(mentions.variable(name)) << name;
  EXPECT_FALSE(mentions.variable("documents"));
  for (const char* name : {"tool_calls", "reasoning_content", "thinking", "name", "role", "type"}) {
    EXPECT_TRUE(mentions.attribute(name)) << name;
  }
  EXPECT_FALSE(mentions.attribute("content"));
  for (const char* text : {"tool", "image", "image_url", "low"}) EXPECT_TRUE(mentions.compares(text)) << text;
  EXPECT_FALSE(mentions.compares("audio"));
}

TEST(TemplateMentions, LooksIntoEveryPlace) {
  const Mentions mentions =
      Template::parse(
          "{% macro a(x=v1) %}{{ v2 }}{% endmacro %}{% call(y) a(v3) %}{{ v4 }}{% endcall %}"
          "{% set b %}{{ v5 }}{% endset %}{% filter replace(v6, 'x') %}{{ v7 }}{% endfilter %}"
          "{% with c = v8 %}{{ v9 }}{% endwith %}{% for d in v10 if v11 %}{% else %}{{ v12 }}{% endfor %}"
          "{{ [v13, {v14: (v15,)}][v16:v17:v18] }}{{ v19 if v20 else v21 }}{{ -v22 ~ v23.x(*v24, **v25) }}")
          .mentions();
  for (int i = 1; i <= 25; ++i) EXPECT_TRUE(mentions.variable("v" + std::to_string(i))) << i;
}

TEST(Template, DefinedNullAndAbsentDiffer) {
  const Template parsed = Template::parse("{{ t is defined }} {{ t is none }} {{ t is false }}");
  EXPECT_EQ(text_of(parsed.render(context("{}"))), "False False False");
  EXPECT_EQ(text_of(parsed.render(context(R"({"t": null})"))), "True True False");
  EXPECT_EQ(text_of(parsed.render(context(R"({"t": false})"))), "True False True");
}

TEST(Template, RenderingLeavesNoTrace) {
  const Template parsed =
      Template::parse("{{ l.append(4) }}{% set x = (x or 0) + 1 %}{{ x }}{{ l | length }}");
  const Json given = context(R"({"l": [1]})");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(text_of(parsed.render(given)), "None12");
  EXPECT_EQ(given.at("l").as_array().size(), 1u);
}

TEST(Template, SeveralThreadsMayRenderOne) {
  const Template parsed =
      Template::parse("{% for i in range(50) %}{{ '<' ~ u ~ '>' }}{{ 'a' | upper }}{% endfor %}");
  const Json given = context(R"({"u": "x"})");
  std::vector<std::thread> threads;
  std::vector<std::string> texts(4);
  for (auto& text : texts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) text = text_of(parsed.render(given));
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& text : texts) EXPECT_EQ(text.size(), 200u);
}

TEST(Template, TheClockIsLocalTimeUnlessGiven) {
  const std::string year = text_of(prompt("{{ strftime_now('%Y') }}", "{}"));
  ASSERT_EQ(year.size(), 4u);
  EXPECT_GE(std::stoi(year), 2024);
}

TEST(Template, BytesThatAreNoTextDoNoHarm) {
  const std::string source = "\xff{{ '\x80\xc3' | upper | length }}{{ '\xe2\x82'[::-1] | title }}\xf0\x9f";
  EXPECT_FALSE(prompt(source, "{}").empty());
  EXPECT_FALSE(prompt("{{ u | upper | tojson }}{{ [u] }}{{ u | list }}", "{\"u\": \"\\u0000x\"}").empty());
}

}  // namespace
}  // namespace hearth
