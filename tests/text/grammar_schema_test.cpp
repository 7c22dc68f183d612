#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar.h"

namespace hearth {

namespace {

struct Case {
  const char* schema;
  std::vector<std::string> valid, invalid;
};

void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    try {
      const Grammar grammar = Grammar::from_schema(json::parse(c.schema));
      for (const std::string& text : c.valid) EXPECT_TRUE(grammar.matches(text)) << c.schema << "\n" << text;
      for (const std::string& text : c.invalid)
        EXPECT_FALSE(grammar.matches(text)) << c.schema << "\n" << text;
    } catch (const Error& error) {
      ADD_FAILURE() << c.schema << "\n" << error.what();
    }
  }
}

TEST(GrammarSchema, AnyValue) {
  check({
      {"true",
       {"{}", "[]", "null", "true", "-1.5e-3", R"("a\n\u00e9\ud83d\ude00")",
        R"({"a": [1, {"b": null}],"c":""})", "[\n  1,\n  2\n]"},
       {"", "nul", "01", "+1", "1.", "\"a", "\"\x01\"", R"("\ud83d")", R"("\udc00")", "[1,]", "{1:2}",
        "[1,  2]", "\"\xff\"", " {}", "{} ", "-", "1e", "- 1", "[\n\n]"}},
      {"{}", {"1", "{}"}, {"x"}},
  });
  const Grammar json = Grammar::json();
  EXPECT_TRUE(json.matches(R"({"a": 1})"));
  EXPECT_FALSE(json.matches("1"));
  EXPECT_FALSE(json.matches("[]"));
}

TEST(GrammarSchema, Types) {
  check({
      {R"({"type": "null"})", {"null"}, {"0", "\"null\""}},
      {R"({"type": "boolean"})", {"true", "false"}, {"null", "True"}},
      {R"({"type": ["string", "null"], "maxLength": 1})", {"null", "\"a\"", "\"\""}, {"1", "\"ab\""}},
      {R"({"type": "integer"})",
       {"0", "-7", "123456789012345678"},
       {"1.0", "-0x", "00", "1e3", "1234567890123456789"}},
      {R"({"type": "number"})", {"0", "-0.5", "1e5", "2E-10"}, {"\"1\"", ".5", "1e400"}},
      {R"({"type": "string", "nullable": true})", {"null", "\"\""}, {"1"}},
      {R"({"enum": ["a", 1, null, {"x": [1.5, true]}]})",
       {"\"a\"", "1", "null", R"({"x":[1.5,true]})", R"({ "x": [ 1.5, true ] })"},
       {"\"b\"", "2", "{}", "1.0"}},
      {R"({"type": "string", "enum": ["a", 1]})", {"\"a\""}, {"1"}},
      {R"({"const": "x\"y", "type": "string", "title": "T", "default": "x"})", {R"("x\"y")"}, {"\"x\""}},
      {R"({"const": 1e-7})", {"1e-07"}, {"0"}},
  });
}

TEST(GrammarSchema, Strings) {
  check({
      {R"({"type": "string", "minLength": 2, "maxLength": 3})",
       {"\"ab\"", "\"\u00e9\U0001f600x\"", R"("\n\ud83d\ude00")"},
       {"\"a\"", "\"abcd\"", R"("\n")"}},
      {R"({"type": "string", "minLength": 2})", {"\"ab\"", "\"abcdef\""}, {"\"\"", "\"a\""}},
      {R"({"pattern": "^a[bc]+d?$"})", {"\"ab\"", "\"acbd\""}, {"\"a\"", "\"abdd\"", "\"xab\"", "1"}},
      {R"({"pattern": "b{2}"})", {"\"bb\"", "\"a\\nbbc\""}, {"\"b\"", "\"bab\""}},
      {R"({"pattern": "^(\\d{3}|x)-\\w*$|^$"})", {"\"123-a_9\"", "\"x-\"", "\"\""}, {"\"12-\"", "\"123-.\""}},
      {R"({"pattern": "^[\"\\\\\\n]$"})", {R"("\"")", R"("\\")", R"("\n")"}, {"\"a\"", "\"\n\""}},
      {R"({"pattern": "^[^a-y]$"})", {"\"z\"", "\"\u4e00\"", R"("\u0001")"}, {"\"a\"", "\"zz\""}},
      {R"({"pattern": "^(?:a|(?<n>b)|(?P<m>c))*?$", "maxLength": 2})",
       {"\"ab\"", "\"\"", "\"c\""},
       {"\"abc\"", "\"d\""}},
      {R"({"pattern": "^[a-z]+@[a-z]+$", "minLength": 5, "maxLength": 6})",
       {"\"a@bcd\"", "\"abc@de\""},
       {"\"a@bc\"", "\"abcd@ef\"", "\"abcdef\""}},
      {R"_({"pattern": "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$"})_",
       {"\"1\"", "\"-0.5\"", "\".5\"", "\"+1.\""},
       {"\"\"", "\"-\"", "\".\"", "\"1.2.3\""}},
      {R"({"pattern": "^a*$", "minLength": 3})", {"\"aaa\"", "\"aaaaa\""}, {"\"aa\""}},
  });
}

TEST(GrammarSchema, Formats) {
  check({
      {R"({"format": "date"})",
       {"\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\""},
       {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-04-31\"", "\"2024-13-01\"", "\"2024-00-10\"",
        "\"2024-1-1\""}},
      {R"({"format": "time"})",
       {"\"23:59:59Z\"", "\"00:00:00.123+02:30\""},
       {"\"24:00:00Z\"", "\"12:00:00\""}},
      {R"({"format": "date-time"})",
       {"\"2024-02-29T12:00:00Z\""},
       {"\"2024-02-29 12:00:00Z\"", "\"2024-02-29\""}},
      {R"({"format": "duration"})",
       {"\"P1D\"", "\"PT5M\"", "\"P1Y2M3DT4H5M6S\"", "\"P3W\""},
       {"\"P\"", "\"PT\"", "\"1D\""}},
      {R"({"format": "uuid"})",
       {"\"123e4567-e89b-12d3-a456-426614174000\""},
       {"\"123e4567e89b12d3a456426614174000\""}},
      {R"({"format": "uuid4"})",
       {"\"123e4567-e89b-42d3-a456-426614174000\""},
       {"\"123e4567-e89b-12d3-a456-426614174000\""}},
      {R"({"format": "email"})", {"\"a.b+c@example.com\""}, {"\"a@b\"", "\"@b.c\"", "\"a b@c.d\""}},
      {R"({"format": "hostname"})", {"\"a-b.example\""}, {"\"-a\"", "\"a..b\""}},
      {R"({"format": "ipv4"})", {"\"0.10.199.255\""}, {"\"256.1.1.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
      {R"({"format": "ipv6"})",
       {"\"::\"", "\"::1\"", "\"2001:db8::8a2e:370:7334\"", "\"1:2:3:4:5:6:7:8\"", "\"1::\""},
       {"\"1:2:3\"", "\"1::2::3\"", "\"12345::\"", "\":\""}},
      {R"({"format": "ipv4network"})",
       {"\"10.0.0.0/8\"", "\"1.2.3.4/32\""},
       {"\"1.2.3.4/8\"", "\"1.2.3.4\""}},
      {R"({"format": "ipv6network"})",
       {"\"2001::/16\"", "\"::1/128\"", "\"a:b::/32\""},
       {"\"::1/16\"", "\"::1\""}},
      {R"({"format": "uri"})", {"\"https://example.com/a?b=c#d\""}, {"\"example.com\"", "\"http:// x\""}},
      {R"({"format": "password", "type": "string"})", {"\"anything\""}, {"1"}},
  });
}

TEST(GrammarSchema, Bounds) {
  const std::vector<std::pair<long, long>> ranges = {{0, 0},     {5, 17},    {-3, 4}, {-120, -99},
                                                     {99, 1001}, {-1005, 1}, {7, 7}};
  for (const auto& [low, high] : ranges) {
    const Grammar both = Grammar::from_schema({{"type", "integer"}, {"minimum", low}, {"maximum", high}});
    const Grammar open = Grammar::from_schema(
        {{"type", "integer"}, {"exclusiveMinimum", low - 1}, {"exclusiveMaximum", high + 1}});
    const Grammar above = Grammar::from_schema({{"type", "integer"}, {"minimum", low}});
    const Grammar below = Grammar::from_schema({{"type", "integer"}, {"maximum", high}});
    for (long n = -1300; n <= 1300; ++n) {
      const std::string text = std::to_string(n);
      EXPECT_EQ(both.matches(text), n >= low && n <= high) << text << " in " << low << " … " << high;
      EXPECT_EQ(open.matches(text), n >= low && n <= high) << text;
      EXPECT_EQ(above.matches(text), n >= low) << text;
      EXPECT_EQ(below.matches(text), n <= high) << text;
    }
    EXPECT_FALSE(both.matches("-0"));
    EXPECT_FALSE(both.matches("00"));
  }
  check({
      {R"({"type": "integer", "minimum": 0.5, "maximum": 2.5})", {"1", "2"}, {"0", "3"}},
      {R"({"type": "integer", "minimum": -9223372036854775808, "maximum": 18446744073709551615})",
       {"-9223372036854775808", "18446744073709551615", "0"},
       {"-9223372036854775809", "18446744073709551616"}},
      {R"({"type": "integer", "format": "int32"})",
       {"2147483647", "-2147483648"},
       {"2147483648", "-2147483649"}},
      {R"({"type": "number", "minimum": 0, "maximum": 1})",
       {"0", "1", "0.5", "1.0", "0.000"},
       {"1.01", "-0.1", "2", "-0", "1e0"}},
      {R"({"type": "number", "exclusiveMinimum": 0.25, "exclusiveMaximum": 10.5})",
       {"0.251", "0.2500001", "10.49", "3"},
       {"0.25", "0.250", "10.5", "10.50", "10.6", "0", "11"}},
      {R"({"type": "number", "minimum": -1.5, "exclusiveMaximum": 0})",
       {"-1.5", "-0.1", "-1"},
       {"0", "-1.51", "-0.0", "-2"}},
      {R"({"type": "number", "exclusiveMinimum": 0})", {"0.1", "12345"}, {"0", "0.0"}},
  });
}

TEST(GrammarSchema, Objects) {
  check({
      {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"type": "null"}},
           "required": ["b"]})",
       {R"({"b":true})", R"({"a":1,"b":true})", R"({"a": 1, "b": true, "c": null})", "{\n  \"b\": true\n}"},
       {"{}", R"({"a":1})", R"({"b":true,"a":1})", R"({"b":true,"d":1})", R"({"b":true,})",
        R"({,"b":true})"}},
      {R"({"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})",
       {"{}", R"({"a":1})", R"({"b":1})", R"({"a":1,"b":2})"},
       {R"({"a":1,"a":2})"}},
      {R"({"type": "object"})", {"{}", R"({"x":[1]})"}, {"[]"}},
      {R"({"type": "object", "additionalProperties": false})", {"{}"}, {R"({"x":1})"}},
      {R"({"type": "object", "additionalProperties": {"type": "integer"}})",
       {"{}", R"({"x":1,"y":2})"},
       {R"({"x":"1"})"}},
      {R"({"type": "object", "properties": {"ab": {"type": "integer"}}, "additionalProperties": {"type": "string"}})",
       {"{}", R"({"ab":1,"a":"","abc":"","b":"","":""})", R"({"a":""})"},
       {R"({"a":1})", R"({"ab":""})", R"({"\u0061b":""})", R"({"x":"","ab":1})"}},
      {R"({"type": "object", "properties": {"a": {}}, "additionalProperties": true})",
       {R"({"a":[],"z":{}})"},
       {"{\"a\"}"}},
      {R"({"type": "object", "required": ["q"]})", {R"({"q":{}})"}, {"{}"}},
      {R"({"type": "object", "propertyNames": {"enum": ["x", "y"]}, "additionalProperties": {"type": "integer"}})",
       {R"({"x":1,"y":2})"},
       {R"({"z":1})"}},
      {R"({"type": "object", "patternProperties": {"^k\\d$": {"type": "null"}}})",
       {R"({"k1":null})"},
       {R"({"k":null})"}},
      {R"({"type": "object", "minProperties": 1, "maxProperties": 2})",
       {R"({"a":1})", R"({"a":1,"b":2})"},
       {"{}", R"({"a":1,"b":2,"c":3})"}},
      {R"({"type": "object", "properties": {"a": false, "b": {"type": "null"}}})",
       {"{}", R"({"b":null})"},
       {R"({"a":1})"}},
  });
}

TEST(GrammarSchema, Arrays) {
  check({
      {R"({"type": "array"})", {"[]", "[1,\"a\"]"}, {"{}"}},
      {R"({"items": {"type": "integer"}})",
       {"[]", "[1]", "[1, 2,3]", "[\n  1,\n  2\n]"},
       {"[a]", "[1,]", "[,1]"}},
      {R"({"items": {"type": "integer"}, "minItems": 2, "maxItems": 3})",
       {"[1,2]", "[1,2,3]"},
       {"[]", "[1]", "[1,2,3,4]"}},
      {R"({"maxItems": 0, "type": "array"})", {"[]"}, {"[1]"}},
      {R"({"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false, "minItems": 2})",
       {"[1,\"a\"]"},
       {"[1]", "[1,\"a\",2]", "[\"a\",1]"}},
      {R"({"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {"type": "null"}})",
       {"[]", "[1]", "[1,\"a\"]", "[1, \"a\", null,null]"},
       {"[null]", "[1,null]"}},
      {R"({"prefixItems": [{"type": "integer"}], "items": {"type": "null"}, "minItems": 3, "maxItems": 4})",
       {"[1,null,null]", "[1,null,null,null]"},
       {"[1,null]", "[1]", "[]", "[1,null,null,null,null]"}},
      {R"({"items": [{"type": "integer"}], "additionalItems": false, "minItems": 1})",
       {"[1]"},
       {"[]", "[1,2]"}},
      {R"({"uniqueItems": true, "items": {"enum": ["a", "b", "c"]}, "minItems": 1, "maxItems": 2})",
       {"[\"a\"]", "[\"a\",\"c\"]", "[\"b\", \"c\"]"},
       {"[]", "[\"a\",\"a\"]", "[\"a\",\"b\",\"c\"]"}},
  });
}

TEST(GrammarSchema, Combinations) {
  check({
      {R"({"anyOf": [{"type": "integer"}, {"type": "null"}]})", {"1", "null"}, {"\"\""}},
      {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
           "anyOf": [{"required": ["a"]}, {"required": ["b"]}]})",
       {R"({"a":1})", R"({"b":1})", R"({"a":1,"b":1})"},
       {"{}"}},
      {R"({"oneOf": [{"type": "object", "properties": {"k": {"const": "a"}, "x": {"type": "integer"}}, "required": ["k"]},
                     {"type": "object", "properties": {"k": {"const": "b"}}, "required": ["k"]}],
           "discriminator": {"propertyName": "k"}})",
       {R"({"k":"a","x":1})", R"({"k":"b"})"},
       {R"({"k":"b","x":1})", "{}"}},
      {R"({"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                     {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]})",
       {R"({"a":1,"b":2})"},
       {R"({"a":1})"}},
      {R"({"allOf": [{"$ref": "#/$defs/n"}], "description": "d", "$defs": {"n": {"type": "integer"}}})",
       {"1"},
       {"\"\""}},
      {R"({"$ref": "#/$defs/n", "maximum": 3, "$defs": {"n": {"type": "integer", "minimum": 2}}})",
       {"2", "3"},
       {"1", "4"}},
      {R"({"allOf": [{"properties": {"a": {"type": "integer", "minimum": 1}}}, {"properties": {"a": {"maximum": 2}}}],
           "type": "object", "required": ["a"]})",
       {R"({"a":1})", R"({"a":2})"},
       {R"({"a":3})", R"({"a":0})"}},
      {R"({"$ref": "#/definitions/a~1b%20c", "definitions": {"a/b c": {"type": "null"}}})", {"null"}, {"1"}},
  });
}

TEST(GrammarSchema, Recursion) {
  check({
      {R"({"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "object", "properties": {"v": {"type": "integer"},
           "l": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}}, "required": ["v", "l"], "additionalProperties": false}}})",
       {R"({"v":1,"l":null})", R"({"v":1,"l":{"v":2,"l":{"v":3,"l":null}}})"},
       {R"({"v":1})", R"({"v":1,"l":{}})"}},
      {R"({"type": "array", "items": {"$ref": "#"}})", {"[]", "[[],[[]]]"}, {"[1]"}},
      {R"({"$defs": {"A": {"properties": {"x": {"$ref": "#/$defs/A"}}, "type": "object"},
                     "B": {"properties": {"x": {"$ref": "#/$defs/B"}}, "type": "object"}},
           "allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]})",
       {"{}", R"({"x":{"x":{}}})"},
       {R"({"y":1})"}},
  });
}

TEST(GrammarSchema, ErrorsNameTheKeywordAndItsPlace) {
  struct Bad {
    const char* schema;
    Code code;
    std::vector<std::string> says;
  };
  const std::vector<Bad> cases = {
      {R"({"properties": {"a/b": {"not": {}}}})", Code::unsupported, {"\"not\"", "#/properties/a~1b"}},
      {R"({"items": {"type": "integer", "multipleOf": 3}})",
       Code::unsupported,
       {"\"multipleOf\"", "#/items"}},
      {R"({"if": {}, "then": {}})", Code::unsupported, {"\"if\"", "#"}},
      {R"({"$ref": "https://example.com/x"})", Code::unsupported, {"$ref", "https://example.com/x"}},
      {R"({"$ref": "#/$defs/none"})", Code::bad_request, {"#/$defs/none"}},
      {R"({"$ref": "#"})", Code::bad_request, {"begins with itself"}},
      {R"({"allOf": [{"$ref": "#"}, {"type": "object"}]})", Code::bad_request, {"begins with itself"}},
      {R"({"type": "strin"})", Code::bad_request, {"\"strin\"", "#"}},
      {R"_({"type": "string", "pattern": "(?=a)"})_", Code::unsupported, {"look-around", "#/pattern"}},
      {R"({"type": "string", "pattern": "(a)\\1"})", Code::unsupported, {"back reference"}},
      {R"_({"type": "string", "pattern": "(a"})_", Code::bad_request, {"does not end"}},
      {R"({"type": "string", "format": "shoe-size"})", Code::unsupported, {"shoe-size", "#/format"}},
      {R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})", Code::unsupported, {"oneOf", "#/oneOf"}},
      {R"({"uniqueItems": true, "items": {"type": "integer"}})", Code::unsupported, {"uniqueItems"}},
      {R"({"type": "integer", "minimum": 3, "maximum": 2})", Code::bad_request, {"no number"}},
      {R"({"type": "string", "minLength": -1})", Code::bad_request, {"minLength"}},
      {R"({"properties": {"a": 5}})", Code::bad_request, {"#/properties/a"}},
      {R"({"enum": []})", Code::bad_request, {"#"}},
      {R"(5)", Code::bad_request, {"#"}},
      {R"({"properties": {"a": {"$ref": "#"}}, "required": ["a"]})", Code::bad_request, {"no text matches"}},
      {R"({"allOf": [{"pattern": "a"}, {"pattern": "b"}]})", Code::unsupported, {"\"pattern\""}},
  };
  for (const Bad& c : cases) {
    try {
      Grammar::from_schema(json::parse(c.schema));
      ADD_FAILURE() << "accepted: " << c.schema;
    } catch (const Error& error) {
      EXPECT_EQ(error.code, c.code) << c.schema << ": " << error.what();
      for (const std::string& part : c.says)
        EXPECT_NE(error.message.find(part), std::string::npos) << c.schema << ": " << error.message;
      EXPECT_FALSE(error.remedy.empty());
    }
  }
}

}  // namespace

}  // namespace hearth
