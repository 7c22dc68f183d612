#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "text/grammar/formats.h"
#include "text/grammar/regex.h"
#include "text/grammar/schema_compiler.h"

namespace hearth::grammar {

namespace {

std::string text_of(const json::object& schema, std::string_view keyword, const Place& place) {
  const Json* value = schema.if_contains(keyword);
  if (!value) return {};
  if (!value->is_string())
    throw Error(Code::bad_request, fmt::format("{} at {} is not a string", keyword, place), "use a string");
  return std::string(value->get_string());
}

// The stricter of a bound there may be and the keyword's.
void tighten(std::optional<Bound>& bound, const json::object& schema, std::string_view keyword,
             bool exclusive, int side, const Place& place) {
  const Json* value = schema.if_contains(keyword);
  if (!value) return;
  if (!value->is_number())
    throw Error(Code::bad_request, fmt::format("{} at {} is not a number", keyword, place), "use a number");
  const Bound candidate{to_decimal(*value), exclusive};
  const int order = bound ? side * compare(candidate.value, bound->value) : 1;
  if (order > 0 || (order == 0 && exclusive)) bound = candidate;
}

}  // namespace

NodeId SchemaCompiler::string(const json::object& schema, const Place& place) {
  const uint32_t min = count_of(schema, "minLength", 0, place);
  const uint32_t max = count_of(schema, "maxLength", unbounded, place);
  if (min > max)
    throw Error(Code::bad_request, fmt::format("minLength is above maxLength at {}", place), "swap them");
  std::string pattern = text_of(schema, "pattern", place);
  const std::string format = text_of(schema, "format", place);
  if (!format.empty()) {
    const auto of_format = format_pattern(format);
    if (!of_format)
      throw Error(Code::unsupported,
                  fmt::format("the format \"{}\" at {} is not supported", format, inside(place, "format")),
                  "leave it out, or use a pattern");
    if (!of_format->empty() && !pattern.empty())
      throw Error(
          Code::unsupported,
          fmt::format("the keywords \"pattern\" and \"format\" together at {} are not supported", place),
          "use one of them");
    if (!of_format->empty()) pattern = *of_format;
  }
  const NodeId quote = tree_.literal("\"");
  const bool any_length = min == 0 && max == unbounded;
  if (pattern.empty()) {
    if (any_length) return rules_.string();
    return tree_.rule(place, tree_.sequence({quote, tree_.repeat(rules_.any_character(), min, max), quote}),
                      true);
  }
  try {
    const CharacterNode escaped = [&](const CodepointSet& set) { return rules_.character(set); };
    const CharacterNode plain = [&](const CodepointSet& set) { return tree_.set(set); };
    NodeId text = parse_regex(known_equivalent(pattern), tree_, any_length ? escaped : plain);
    if (!any_length) text = with_length(tree_, text, min, max, escaped);
    return tree_.rule(place, tree_.sequence({quote, text, quote}), true);
  } catch (const Error& error) {
    throw Error(error.code, fmt::format("{} at {}", error.message, inside(place, "pattern")), error.remedy);
  }
}

NodeId SchemaCompiler::number(const json::object& schema, bool whole, const Place& place) {
  std::optional<Bound> low, high;
  tighten(low, schema, "minimum", false, 1, place);
  tighten(low, schema, "exclusiveMinimum", true, 1, place);
  tighten(high, schema, "maximum", false, -1, place);
  tighten(high, schema, "exclusiveMaximum", true, -1, place);
  if (whole && text_of(schema, "format", place) == "int32") {
    if (!low) low = Bound{{true, "2147483648", ""}, false};
    if (!high) high = Bound{{false, "2147483647", ""}, false};
  }
  if (!low && !high) return whole ? rules_.integer() : rules_.number();
  if (low && high) {
    const int order = compare(low->value, high->value);
    if (order > 0 || (order == 0 && (low->exclusive || high->exclusive)))
      throw Error(Code::bad_request, fmt::format("no number is between the bounds at {}", place),
                  "correct the bounds");
  }
  return tree_.rule(place, whole ? integers_between(tree_, low, high) : numbers_between(tree_, low, high));
}

}  // namespace hearth::grammar
