// The Go template engine: cases that travel with the project (filled in by
// tests/cases/text/gotemplate/make.go), origins, bounds and places of errors.
#include <gtest/gtest.h>
#include <pthread.h>

#include "support/data.h"
#include "support/sanitized.h"
#include "text/chat_template.h"

namespace hearth {
namespace {

using Kind = TemplateError::Kind;

// A sanitizer makes frames several times as large.
#ifdef HEARTH_SANITIZED
constexpr size_t stack_size = size_t{8} << 20;
#else
constexpr size_t stack_size = size_t{1} << 20;
#endif

RenderOptions options() {
  RenderOptions made;
  std::tm now{};
  now.tm_year = 126;
  now.tm_mday = 24;
  made.now = now;
  return made;
}

TEST(GoTemplateCases, Engine) {
  const Json file = test::read_json(test::case_file("text/gotemplate/engine.json"));
  const json::array& cases = file.at("cases").as_array();
  ASSERT_GT(cases.size(), 150u);
  for (const Json& each : cases) {
    const std::string source(each.at("template").as_string());
    const Json* expected = each.as_object().if_contains("expected");
    try {
      const std::string text = text_of(GoTemplate::parse(source).render_data(file.at("data"), options()));
      EXPECT_TRUE(expected) << source << " should fail, but is " << text;
      EXPECT_EQ(text, std::string(expected ? expected->as_string() : "")) << source;
    } catch (const TemplateError& error) {
      EXPECT_FALSE(expected) << source << ": " << error.message;
      EXPECT_GT(error.line, 0u) << source;
      EXPECT_GT(error.column, 0u) << source;
    }
  }
}

// Parts as text with the users' in [].
std::string marked(const std::string& source, const Json& data) {
  std::string out;
  for (const Part& part : GoTemplate::parse(source).render_data(data, options()))
    out += part.origin == Origin::user ? "[" + part.text + "]" : part.text;
  return out;
}

TEST(GoTemplate, OriginsSurviveFunctions) {
  const Json data = {{"u", "a<b"}, {"l", {"x", 1}}, {"m", {{"k", "v"}}}};
  EXPECT_EQ(marked("<s>{{ .u }}</s>", data), "<s>[a<b]</s>");
  EXPECT_EQ(marked("{{ print \"<\" .u \">\" }}", data), "<[a<b]>");
  EXPECT_EQ(marked("{{ printf \"<%s|%5s>\" .u \"m\" }}", data), "<[a<b]|    m>");
  EXPECT_EQ(marked("{{ slice (print \"<s>\" .u) 2 4 }}", data), ">[a]");
  EXPECT_EQ(marked("{{ json .u }}{{ json \"m\" }}", data), "[\"a\\u003cb\"]\"m\"");
  EXPECT_EQ(marked("{{ html .u }}<{{ urlquery .u }}", data), "[a&lt;b]<[a%3Cb]");
  EXPECT_EQ(marked("{{ .l }}!{{ json .m }}", data), "[[x 1]]![{\"k\":\"v\"}]");
  EXPECT_EQ(marked("{{ range $k, $v := .m }}<{{ $k }}={{ $v }}>{{ end }}", data), "<[k]=[v]>");
  EXPECT_EQ(marked("{{ $s := \"\" }}{{ range .l }}{{ $s = print $s . \";\" }}{{ end }}{{ $s }}", data),
            "[x];1;");
  EXPECT_EQ(marked("{{ len .u }}{{ printf \"%q\" .u }}", data), "3[\"a<b\"]");
}

void expect_error(const std::string& source, Kind kind, size_t line, size_t column,
                  const RenderOptions& with = options()) {
  try {
    const Prompt prompt = GoTemplate::parse(source).render_data({{"s", "x"}, {"l", {1, 2, 3}}}, with);
    ADD_FAILURE() << source << " gave " << text_of(prompt);
  } catch (const TemplateError& error) {
    EXPECT_EQ(error.kind, kind) << error.message;
    EXPECT_EQ(error.line, line) << source << ": " << error.message;
    EXPECT_EQ(error.column, column) << source << ": " << error.message;
  }
}

TEST(GoTemplate, ErrorsNameTheirPlace) {
  expect_error("a\n{{ nosuch }}", Kind::syntax, 2, 4);
  expect_error("a\nb {{ if .s }}\nc", Kind::syntax, 3, 2);
  expect_error("{{ $x }}", Kind::syntax, 1, 4);
  expect_error("\n\n {{ template \"no\" . }}", Kind::syntax, 3, 2);
  expect_error("{{ .s }}\n{{ .s.x }}", Kind::type, 2, 4);
  expect_error("{{ .no.x }}", Kind::undefined, 1, 4);
  expect_error("{{ print 1\n (index .l 7) }}", Kind::type, 2, 3);
  expect_error("{{ define \"t\" }}\n{{ len 1 }}{{ end }}{{ template \"t\" }}", Kind::type, 2, 4);
}

RenderOptions bounded(uint64_t steps, size_t output, size_t memory) {
  RenderOptions made = options();
  made.limits.steps = steps;
  made.limits.output_bytes = output;
  made.limits.memory_bytes = memory;
  return made;
}

TEST(GoTemplate, RenderingIsBounded) {
  const RenderOptions tight = bounded(100'000, 10'000, 1'000'000);
  expect_error("{{ range 1000000000 }}{{ end }}", Kind::limit, 1, 1, tight);
  expect_error("{{ range 1000000 }}{{ .. }}{{ end }}", Kind::syntax, 1, 24, tight);
  expect_error("{{ range 1000000 }}0123456789{{ end }}", Kind::limit, 1, 20, tight);
  expect_error("{{ $s := \"ab\" }}{{ range 100 }}{{ $s = print $s $s }}{{ end }}", Kind::limit, 1, 40, tight);
  expect_error("{{ printf \"%1000000d%1000000d\" 1 2 }}", Kind::limit, 1, 4, tight);
  expect_error("{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" }}", Kind::limit, 1, 17);
}

// The deepest rendering that the default limits allow needs less than 1 MiB of stack (a sanitizer more).
TEST(GoTemplate, TheDeepestRenderingFitsTheStack) {
  std::string block = "{{ template \"r\" . }}";
  for (size_t i = 0; i < 90; ++i) block = "{{ if (not (not (index .l 0))) }}" + block + "{{ end }}";
  std::string call = ".";
  for (size_t i = 0; i < 90; ++i) call = "(index (print " + call + ") 0)";
  struct Job {
    std::string source;
    bool bounded = false;
  };
  for (const std::string& body : {block, std::string("{{ template \"r\" }}"),
                                  "{{ with " + call + " }}{{ template \"r\" . }}{{ end }}"}) {
    Job job{"{{ define \"r\" }}" + body + "{{ end }}{{ template \"r\" . }}"};
    const auto run = [](void* given) -> void* {
      Job& its = *static_cast<Job*>(given);
      try {
        GoTemplate::parse(its.source).render_data({{"l", {1}}});
      } catch (const TemplateError& error) {
        its.bounded = error.kind == Kind::limit;
      }
      return nullptr;
    };
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, stack_size), 0);
    pthread_t thread{};
    ASSERT_EQ(pthread_create(&thread, &attributes, run, &job), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    EXPECT_TRUE(job.bounded) << job.source.size();
  }
}

TEST(GoTemplate, NestingInTheSourceIsBounded) {
  const auto nested = [](size_t depth, const std::string& open, const std::string& close) {
    std::string source;
    for (size_t i = 0; i < depth; ++i) source += open;
    source += "{{ .s }}";
    for (size_t i = 0; i < depth; ++i) source += close;
    return source;
  };
  EXPECT_EQ(text_of(GoTemplate::parse(nested(150, "{{ if 1 }}", "{{ end }}")).render_data({{"s", "x"}})),
            "x");
  EXPECT_THROW(GoTemplate::parse(nested(100'000, "{{ if 1 }}", "{{ end }}")), TemplateError);
  EXPECT_THROW(GoTemplate::parse("{{ " + std::string(100'000, '(')), TemplateError);
  // A chain of else ifs is not nesting.
  std::string chain = "{{ if .no }}";
  for (size_t i = 0; i < 20'000; ++i) chain += "{{ else if .no }}";
  EXPECT_EQ(text_of(GoTemplate::parse(chain + "{{ else }}y{{ end }}").render_data(json::object())), "y");
}

TEST(GoTemplate, AnUnknownFieldOfAMessageIsAnErrorAtTopLevelItIsNot) {
  Conversation conversation;
  conversation.messages = {{{"role", "user"}, {"content", "c"}}};
  const auto render = [&](const char* source) {
    return text_of(GoTemplate::parse(source).render(conversation));
  };
  EXPECT_EQ(render("{{ if .Nothing }}a{{ end }}{{ .Nothing }}{{ .Messages | len }}"), "<no value>1");
  EXPECT_EQ(render("{{ (index .Messages 0).Content }}"), "c");
  EXPECT_THROW(render("{{ range .Messages }}{{ .Nothing }}{{ end }}"), TemplateError);
}

}  // namespace
}  // namespace hearth
