#include "text/grammar/json_rules.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

namespace hearth::grammar {

namespace {

constexpr uint32_t most_indent = 32;

const CodepointSet& hex_digits() {
  static const CodepointSet set({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
  return set;
}

}  // namespace

std::string json_string(std::string_view text) { return json::serialize(json::string(text)); }

std::string json_number(const Json& value) {
  if (!value.is_double()) return json::serialize(value);
  const double number = value.get_double();
  if (number == 0) return "0";
  std::string text = fmt::format("{}", number);
  if (text.find_first_not_of("-0123456789.e+") != std::string::npos) return json::serialize(value);
  return text;
}

// The rule is made when it is first used; it may use itself.
template <class Make>
NodeId JsonRules::once(std::optional<RuleId>& rule, const char* name, bool own, const Make& make) {
  if (!rule) {
    rule = tree_.declare(name, own);
    tree_.define(*rule, make());
  }
  return tree_.use(*rule);
}

NodeId JsonRules::space() {
  return once(space_, "space", true, [&] {
    const NodeId indent = tree_.repeat(tree_.set(CodepointSet({{' ', ' '}, {'\t', '\t'}})), 0, most_indent);
    return tree_.optional(tree_.choice({tree_.literal(" "), tree_.sequence({tree_.literal("\n"), indent})}));
  });
}

NodeId JsonRules::string() {
  return once(string_, "string", true, [&] {
    return tree_.sequence(
        {tree_.literal("\""), tree_.repeat(any_character(), 0, unbounded), tree_.literal("\"")});
  });
}

NodeId JsonRules::any_character() {
  const CodepointSet raw = CodepointSet({{0x20, 0x10FFFF}}).minus(CodepointSet({{'"', '"'}, {'\\', '\\'}}));
  const NodeId hex = tree_.set(hex_digits());
  const auto set = [&](const std::vector<CodepointRange>& ranges) { return tree_.set(CodepointSet(ranges)); };
  // \uXXXX: no half of a surrogate pair alone.
  const NodeId d = set({{'d', 'd'}, {'D', 'D'}});
  const NodeId plain = tree_.sequence(
      {tree_.set(hex_digits().minus(CodepointSet({{'d', 'd'}, {'D', 'D'}}))), tree_.repeat(hex, 3, 3)});
  const NodeId below = tree_.sequence({d, set({{'0', '7'}}), hex, hex});
  const NodeId pair = tree_.sequence({d, set({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), hex, hex,
                                      tree_.literal("\\u"), d, set({{'c', 'f'}, {'C', 'F'}}), hex, hex});
  const NodeId code = tree_.sequence({tree_.literal("u"), tree_.choice({plain, below, pair})});
  const NodeId letter =
      set({{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}});
  return tree_.choice({tree_.set(raw), tree_.sequence({tree_.literal("\\"), tree_.choice({letter, code})})});
}

NodeId JsonRules::character(const CodepointSet& set) {
  const CodepointSet must({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
  std::vector<NodeId> ways;
  if (const CodepointSet raw = set.minus(must); !raw.empty()) ways.push_back(tree_.set(raw));
  const CodepointSet escaped = set.intersected(must);
  for (const CodepointRange& range : escaped.ranges()) {
    for (char32_t c = range.first; c <= range.last; ++c) {
      const std::string quoted = json_string(std::string(1, static_cast<char>(c)));
      ways.push_back(tree_.literal(quoted.substr(1, quoted.size() - 2)));
    }
  }
  return tree_.choice(std::move(ways));
}

NodeId JsonRules::digits(uint32_t min, uint32_t max) {
  return tree_.repeat(tree_.set(CodepointSet({{'0', '9'}})), min, max);
}

NodeId JsonRules::integer() {
  return once(integer_, "integer", false, [&] {
    const NodeId positive = tree_.sequence({tree_.set(CodepointSet({{'1', '9'}})), digits(0, 17)});
    return tree_.sequence({tree_.optional(tree_.literal("-")), tree_.choice({tree_.literal("0"), positive})});
  });
}

NodeId JsonRules::number() {
  return once(number_, "number", true, [&] {
    const NodeId sign = tree_.optional(tree_.set(CodepointSet({{'+', '+'}, {'-', '-'}})));
    return tree_.sequence({integer(), tree_.optional(tree_.sequence({tree_.literal("."), digits(1, 17)})),
                           tree_.optional(tree_.sequence(
                               {tree_.set(CodepointSet({{'e', 'e'}, {'E', 'E'}})), sign, digits(1, 2)}))});
  });
}

NodeId JsonRules::boolean() { return tree_.choice({tree_.literal("true"), tree_.literal("false")}); }

NodeId JsonRules::null() { return tree_.literal("null"); }

NodeId JsonRules::value() {
  return once(value_, "value", true, [&] {
    return tree_.choice({object(), array(), string(), number(), boolean(), null()});
  });
}

NodeId JsonRules::object() {
  return once(object_, "object", true,
              [&] { return list('{', member(string(), value()), 0, unbounded, '}'); });
}

NodeId JsonRules::array() {
  return once(array_, "array", true, [&] { return list('[', value(), 0, unbounded, ']'); });
}

NodeId JsonRules::comma() { return tree_.sequence({tree_.literal(","), space()}); }

NodeId JsonRules::member(NodeId key, NodeId value) {
  return tree_.sequence({key, tree_.literal(":"), tree_.optional(tree_.literal(" ")), value});
}

NodeId JsonRules::enclosed(char open, NodeId inner, bool may_be_empty, char close) {
  const NodeId filled = tree_.sequence({inner, space()});
  return tree_.sequence({tree_.literal(std::string(1, open)), space(),
                         may_be_empty ? tree_.optional(filled) : filled,
                         tree_.literal(std::string(1, close))});
}

NodeId JsonRules::list(char open, NodeId item, uint32_t min, uint32_t max, char close) {
  if (max == 0) return tree_.literal({open, close});
  const NodeId more = tree_.sequence({comma(), item});
  const NodeId items = tree_.sequence(
      {item, tree_.repeat(more, min == 0 ? 0 : min - 1, max == unbounded ? unbounded : max - 1)});
  return enclosed(open, items, min == 0, close);
}

NodeId JsonRules::constant(const Json& value) {
  if (const auto* text = value.if_string()) return tree_.literal(json_string(*text));
  if (const auto* list = value.if_array()) {
    if (list->empty()) return tree_.literal("[]");
    std::vector<NodeId> parts;
    for (const Json& item : *list) {
      if (!parts.empty()) parts.push_back(comma());
      parts.push_back(constant(item));
    }
    return enclosed('[', tree_.sequence(std::move(parts)), false, ']');
  }
  if (const auto* object = value.if_object()) {
    if (object->empty()) return tree_.literal("{}");
    std::vector<NodeId> parts;
    for (const auto& [key, item] : *object) {
      if (!parts.empty()) parts.push_back(comma());
      parts.push_back(member(tree_.literal(json_string(key)), constant(item)));
    }
    return enclosed('{', tree_.sequence(std::move(parts)), false, '}');
  }
  return tree_.literal(value.is_number() ? json_number(value) : json::serialize(value));
}

}  // namespace hearth::grammar
