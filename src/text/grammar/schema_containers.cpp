#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "text/grammar/schema_compiler.h"

namespace hearth::grammar {

namespace {

const json::object& object_at(const json::object& schema, std::string_view keyword, const Place& place) {
  static const json::object none;
  const Json* value = schema.if_contains(keyword);
  if (!value) return none;
  if (!value->is_object())
    throw Error(Code::bad_request, fmt::format("{} at {} is not an object", keyword, place),
                "map names to schemas");
  return value->get_object();
}

[[noreturn]] void unsupported(std::string_view keyword, const Place& place, std::string_view why) {
  throw Error(Code::unsupported,
              fmt::format("the JSON Schema keyword \"{}\" at {} is not supported {}", keyword, place, why),
              "leave it out, or say the same with other keywords");
}

}  // namespace

NodeId SchemaCompiler::object(const json::object& schema, const Place& place, int depth) {
  const json::object& properties = object_at(schema, "properties", place);
  const Json* required = schema.if_contains("required");
  const bool names = required && required->is_array() && !required->get_array().empty();
  if (properties.empty() && !names) return map(schema, place, depth);
  for (const char* keyword : {"patternProperties", "propertyNames"})
    if (schema.contains(keyword)) unsupported(keyword, place, "beside properties");
  const Json* additional = schema.if_contains("additionalProperties");
  const bool open = additional && *additional != false;
  const std::vector<Member> known = members(schema, !additional || open, place, depth);
  const auto needed = static_cast<uint32_t>(
      std::count_if(known.begin(), known.end(), [](const Member& m) { return m.required; }));
  if (count_of(schema, "minProperties", 0, place) > needed)
    unsupported("minProperties", place, "above the number of required properties");
  if (const uint32_t most = count_of(schema, "maxProperties", unbounded, place);
      most != unbounded && (open || most < known.size()))
    unsupported("maxProperties", place, "below the number of properties");
  std::optional<NodeId> extra;
  if (open) extra = extra_member(schema, known, place, depth);
  return object_of(known, extra, place);
}

// The declared properties in their order, then required ones that have no schema.
std::vector<SchemaCompiler::Member> SchemaCompiler::members(const json::object& schema, bool open,
                                                            const Place& place, int depth) {
  std::set<std::string, std::less<>> required;
  std::vector<std::string> in_order;
  if (const Json* list = schema.if_contains("required")) {
    if (!list->is_array())
      throw Error(Code::bad_request, fmt::format("required at {} is not a list", place), "list the names");
    for (const Json& name : list->get_array()) {
      if (!name.is_string())
        throw Error(Code::bad_request, fmt::format("required at {} has an entry that is no name", place),
                    "list the names");
      if (required.emplace(name.get_string()).second) in_order.emplace_back(name.get_string());
    }
  }
  std::vector<Member> found;
  const auto add = [&](const std::string& name, NodeId node) {
    const Place here = inside(inside(place, "properties"), name);
    found.push_back({name, tree_.rule(here, rules_.member(tree_.literal(json_string(name)), node)),
                     required.count(name) > 0});
  };
  const json::object& properties = object_at(schema, "properties", place);
  for (const auto& [key, property] : properties) {
    if (property == false && required.count(std::string(key)) == 0) continue;
    if (property == false)
      throw Error(
          Code::bad_request,
          fmt::format("the property \"{}\" at {} is required and not allowed", std::string_view(key), place),
          "allow it or do not require it");
    add(std::string(key), value(property, inside(inside(place, "properties"), key), depth + 1));
  }
  for (const std::string& name : in_order) {
    if (properties.contains(name)) continue;
    if (!open)
      throw Error(Code::bad_request,
                  fmt::format("the property \"{}\" at {} is required and not declared", name, place),
                  "declare it under properties");
    const Json* additional = schema.if_contains("additionalProperties");
    add(name, additional && additional->is_object()
                  ? value(*additional, inside(place, "additionalProperties"), depth + 1)
                  : rules_.value());
  }
  return found;
}

// States: before each member, with nothing written yet (even) or something (odd).
NodeId SchemaCompiler::object_of(const std::vector<Member>& members, std::optional<NodeId> extra,
                                 const Place& place) {
  std::vector<GraphEdge> edges;
  const NodeId comma = rules_.comma(), nothing = tree_.empty();
  const auto count = static_cast<uint32_t>(members.size());
  for (uint32_t i = 0; i < count; ++i) {
    const Member& member = members[i];
    edges.push_back({2 * i, member.node, 2 * i + 3});
    edges.push_back({2 * i + 1, tree_.sequence({comma, member.node}), 2 * i + 3});
    if (member.required) continue;
    edges.push_back({2 * i, nothing, 2 * i + 2});
    edges.push_back({2 * i + 1, nothing, 2 * i + 3});
  }
  const uint32_t none = 2 * count, some = none + 1, end = none + 2;
  if (extra) {
    edges.push_back({none, *extra, some});
    edges.push_back({some, tree_.sequence({comma, *extra}), some});
  }
  edges.push_back({some, rules_.space(), end});
  const NodeId inner = tree_.graph(end + 1, std::move(edges), {none, end});
  return tree_.rule(place, tree_.sequence({tree_.literal("{"), rules_.space(), inner, tree_.literal("}")}));
}

std::optional<NodeId> SchemaCompiler::extra_member(const json::object& schema,
                                                   const std::vector<Member>& members, const Place& place,
                                                   int depth) {
  const Json& additional = schema.at("additionalProperties");
  const NodeId node = value(additional, inside(place, "additionalProperties"), depth + 1);
  return tree_.rule(place + "/*", rules_.member(other_key(members), node));
}

// A name that is none of the members', spelt without escapes. States: along the tree of the names'
// characters; the last two: a name that is none of them any more, and its end.
NodeId SchemaCompiler::other_key(const std::vector<Member>& members) {
  std::vector<std::map<char32_t, uint32_t>> next(1);
  std::vector<bool> is_name(1, false);
  for (const Member& member : members) {
    uint32_t at = 0;
    for (std::string_view rest = member.name; !rest.empty();) {
      const auto [it, fresh] = next[at].emplace(take_codepoint(rest), next.size());
      at = it->second;
      if (!fresh) continue;
      next.emplace_back();
      is_name.push_back(false);
    }
    is_name[at] = true;
  }
  const auto free = static_cast<uint32_t>(next.size());
  const CodepointSet plain = CodepointSet({{0x20, 0x10FFFF}}).minus(CodepointSet({{'"', '"'}, {'\\', '\\'}}));
  std::vector<GraphEdge> edges{{free, tree_.set(plain), free}};
  std::vector<uint32_t> finals{free};
  for (uint32_t at = 0; at < free; ++at) {
    std::vector<CodepointRange> taken;
    for (const auto& [c, to] : next[at]) {
      taken.push_back({c, c});
      if (plain.contains(c)) edges.push_back({at, tree_.set(CodepointSet::of(c)), to});
    }
    edges.push_back({at, tree_.set(plain.minus(CodepointSet(taken))), free});
    if (!is_name[at]) finals.push_back(at);
  }
  const NodeId quote = tree_.literal("\"");
  return tree_.sequence({quote, tree_.graph(free + 1, std::move(edges), std::move(finals)), quote});
}

// An object without declared properties. Names may come twice, which counts as one: a minimum above 1 cannot
// be promised.
NodeId SchemaCompiler::map(const json::object& schema, const Place& place, int depth) {
  const json::object& patterns = object_at(schema, "patternProperties", place);
  const Json* additional = schema.if_contains("additionalProperties");
  const uint32_t min = count_of(schema, "minProperties", 0, place);
  const uint32_t max = count_of(schema, "maxProperties", unbounded, place);
  if (min > 1) unsupported("minProperties", place, "above 1 without declared properties");
  if (min > max)
    throw Error(Code::bad_request, fmt::format("minProperties is above maxProperties at {}", place),
                "swap them");
  NodeId key = rules_.string();
  std::optional<NodeId> content;
  if (!patterns.empty()) {
    if (patterns.size() > 1) unsupported("patternProperties", place, "with more than one pattern");
    if (additional && *additional != false)
      unsupported("patternProperties", place, "beside additionalProperties");
    if (schema.contains("propertyNames")) unsupported("patternProperties", place, "beside propertyNames");
    const auto& [pattern, property] = *patterns.begin();
    const Place here = inside(inside(place, "patternProperties"), pattern);
    key = string({{"pattern", pattern}}, here);
    content = value(property, here, depth + 1);
  } else if (!additional || *additional != false) {
    if (const Json* names = schema.if_contains("propertyNames"))
      key = value(merged({{"type", "string"}}, resolved(*names, place), place, depth),
                  inside(place, "propertyNames"), depth + 1);
    content =
        additional ? value(*additional, inside(place, "additionalProperties"), depth + 1) : rules_.value();
  }
  if (!content && min > 0)
    throw Error(Code::bad_request, fmt::format("minProperties at {} asks for what is not allowed", place),
                "allow properties");
  if (!content) return tree_.literal("{}");
  return tree_.rule(place, rules_.list('{', rules_.member(key, *content), min, max, '}'));
}

NodeId SchemaCompiler::array(const json::object& schema, const Place& place, int depth) {
  const uint32_t min = count_of(schema, "minItems", 0, place);
  uint32_t max = count_of(schema, "maxItems", unbounded, place);
  if (min > max)
    throw Error(Code::bad_request, fmt::format("minItems is above maxItems at {}", place), "swap them");
  const Json* items = schema.if_contains("items");
  const Json* prefix = schema.if_contains("prefixItems");
  if (items && items->is_array()) {  // as the older drafts have it
    prefix = items;
    items = schema.if_contains("additionalItems");
  }
  if (prefix && !prefix->is_array())
    throw Error(Code::bad_request, fmt::format("prefixItems at {} is not a list", place), "list the schemas");
  if (const Json* unique = schema.if_contains("uniqueItems"); unique && *unique == true && max > 1)
    return distinct(schema, min, max, place);
  std::vector<NodeId> first;
  if (prefix)
    for (const Json& item : prefix->get_array())
      first.push_back(
          value(item, inside(inside(place, "prefixItems"), std::to_string(first.size())), depth + 1));
  if (first.empty()) {
    if (items && *items == false) max = 0;
    if (min > max)
      throw Error(Code::bad_request, fmt::format("minItems at {} asks for what is not allowed", place),
                  "allow items");
    const NodeId item = items && max > 0 ? value(*items, inside(place, "items"), depth + 1) : rules_.value();
    return tree_.rule(place, rules_.list('[', tree_.rule(inside(place, "items"), item), min, max, ']'));
  }
  // A tuple may end after minItems; what follows the prefix is a list of its own.
  const auto count = static_cast<uint32_t>(first.size());
  const bool more = max > count && !(items && *items == false) && (items || min > count);
  const NodeId comma = rules_.comma();
  std::vector<GraphEdge> edges;
  std::vector<uint32_t> finals;
  const uint32_t end = count + 1;
  for (uint32_t i = 0; i < count && i < max; ++i)
    edges.push_back({i, i == 0 ? first[0] : tree_.sequence({comma, first[i]}), i + 1});
  if (min == 0) finals.push_back(0);
  for (uint32_t i = std::max(min, 1U); i <= std::min(count, max); ++i)
    if (i < count || !more) edges.push_back({i, rules_.space(), end});
  if (more) {
    const NodeId item = items ? value(*items, inside(place, "items"), depth + 1) : rules_.value();
    const NodeId rest = tree_.repeat(tree_.sequence({comma, item}), min > count ? min - count : 0,
                                     max == unbounded ? unbounded : max - count);
    edges.push_back({count, tree_.sequence({rest, rules_.space()}), end});
  }
  finals.push_back(end);
  return tree_.rule(
      place, tree_.sequence({tree_.literal("["), rules_.space(),
                             tree_.graph(end + 1, std::move(edges), std::move(finals)), tree_.literal("]")}));
}

// Different items of a list of values: each is taken or left out, in the order of the list.
NodeId SchemaCompiler::distinct(const json::object& schema, uint32_t min, uint32_t max, const Place& place) {
  const Json* items = schema.if_contains("items");
  const json::object item = items ? resolved(*items, place) : json::object();
  const Json* list = item.if_contains("enum");
  if (!list || !list->is_array() || list->get_array().size() > 64 || schema.contains("prefixItems"))
    unsupported("uniqueItems", place, "unless the items are an enum of at most 64 values");
  const json::array& values = list->get_array();
  const auto count = static_cast<uint32_t>(values.size());
  const uint32_t most = std::min(max, count);
  if (min > most)
    throw Error(Code::bad_request, fmt::format("minItems at {} asks for more values than there are", place),
                "lower it");
  // State i · (most + 1) + n: the first i values are decided, n were taken.
  const auto state = [most](uint32_t i, uint32_t n) { return i * (most + 1) + n; };
  std::vector<GraphEdge> edges;
  const NodeId comma = rules_.comma(), nothing = tree_.empty();
  for (uint32_t i = 0; i < count; ++i) {
    const NodeId constant = tree_.rule(inside(place, "items"),
                                       value(json::object{{"const", values[i]}}, inside(place, "items"), 0));
    const NodeId next = tree_.sequence({comma, constant});
    for (uint32_t n = 0; n <= most; ++n) {
      edges.push_back({state(i, n), nothing, state(i + 1, n)});
      if (n < most) edges.push_back({state(i, n), n == 0 ? constant : next, state(i + 1, n + 1)});
    }
  }
  const uint32_t end = state(count, most) + 1;
  std::vector<uint32_t> finals{end};
  for (uint32_t n = std::max(min, 1U); n <= most; ++n)
    edges.push_back({state(count, n), rules_.space(), end});
  if (min == 0) finals.push_back(state(count, 0));
  return tree_.rule(
      place, tree_.sequence({tree_.literal("["), rules_.space(),
                             tree_.graph(end + 1, std::move(edges), std::move(finals)), tree_.literal("]")}));
}

}  // namespace hearth::grammar
