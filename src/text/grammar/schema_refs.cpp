#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "text/grammar/schema_compiler.h"

namespace hearth::grammar {

namespace {

constexpr int most_hops = 64;

std::string percent_decoded(std::string_view text) {
  std::string out;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  const auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && is_hex(text[i + 1]) && is_hex(text[i + 2])) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

[[noreturn]] void cannot_merge(std::string_view keyword, const Place& place) {
  throw Error(
      Code::unsupported,
      fmt::format("schemas that are joined at {} both have the keyword \"{}\", which cannot be joined", place,
                  keyword),
      "write one schema that says the same");
}

bool has_only_annotations(const json::object& schema) {
  return std::all_of(schema.begin(), schema.end(),
                     [](const auto& entry) { return is_annotation(entry.key()); });
}

bool closed(const json::object& schema) {
  const Json* additional = schema.if_contains("additionalProperties");
  return additional && *additional == false && !schema.contains("patternProperties");
}

const json::object* properties_of(const json::object& schema) {
  const Json* properties = schema.if_contains("properties");
  return properties ? properties->if_object() : nullptr;
}

bool requires_key(const json::object& schema, std::string_view key) {
  const Json* required = schema.if_contains("required");
  if (!required || !required->is_array()) return false;
  return std::any_of(required->get_array().begin(), required->get_array().end(),
                     [&](const Json& name) { return name.is_string() && name.get_string() == key; });
}

// The properties of both; where one schema is closed, only those it knows.
json::object joined_properties(const json::object& a, const json::object& b) {
  json::object result;
  const auto add = [&](const json::object& from, const json::object& other) {
    const json::object* mine = properties_of(from);
    const json::object* theirs = properties_of(other);
    if (!mine) return;
    for (const auto& [key, schema] : *mine) {
      if (result.contains(key)) continue;
      const Json* also = theirs ? theirs->if_contains(key) : nullptr;
      if (also && *also != schema) {
        result.emplace(key, json::object{{"allOf", json::array{schema, *also}}});
      } else if (also || !closed(other)) {
        result.emplace(key, schema);
      } else if (requires_key(from, key) || requires_key(other, key)) {
        result.emplace(key, false);
      }
    }
  };
  add(a, b);
  add(b, a);
  return result;
}

Json joined_types(const json::object& a, const json::object& b, const Place& place) {
  json::array types;
  const std::vector<std::string> left = types_of({{"type", a.at("type")}}, place);
  const std::vector<std::string> right = types_of({{"type", b.at("type")}}, place);
  for (const std::string& x : left) {
    for (const std::string& y : right) {
      if (x == y || (x == "integer" && y == "number")) types.emplace_back(x);
      if (x == "number" && y == "integer") types.emplace_back(y);
    }
  }
  return types;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

NodeId SchemaCompiler::reference(std::string_view target, const Place& place) {
  const auto [it, fresh] = references_.emplace(std::string(target), 0);
  if (fresh) {
    find(target, place);
    it->second = tree_.declare(std::string(target));
    waiting_.emplace_back(target, it->second);
  }
  return tree_.use(it->second);
}

const Json& SchemaCompiler::find(std::string_view target, const Place& place) const {
  const bool local = target == "#" || target.substr(0, 2) == "#/";
  if (!local)
    throw Error(Code::unsupported,
                fmt::format("the \"$ref\" to \"{}\" at {} is not supported", target, place),
                "refer to a place in the same schema: #/$defs/NAME");
  json::error_code error;
  const Json* found = root_.find_pointer(percent_decoded(target.substr(1)), error);
  if (!found)
    throw Error(Code::bad_request,
                fmt::format("the \"$ref\" at {} leads to \"{}\", which is not in the schema", place, target),
                "define it under $defs");
  return *found;
}

// The schema as an object that is no reference and joins nothing itself.
json::object SchemaCompiler::resolved(const Json& schema, const Place& place) const {
  const Json* at = &schema;
  json::object beside;
  for (int hops = 0;; ++hops) {
    if (hops > most_hops)
      throw Error(Code::bad_request, fmt::format("the references at {} go round in a circle", place),
                  "break the circle");
    if (at->is_bool()) return at->get_bool() ? beside : json::object{{"type", json::array{}}};
    if (!at->is_object())
      throw Error(Code::bad_request, fmt::format("a schema joined at {} is not an object", place),
                  "a schema is an object, true or false");
    json::object rest = at->get_object();
    const Json* ref = at->get_object().if_contains("$ref");
    if (!ref) return beside.empty() ? rest : merged(beside, rest, place, hops);
    if (!ref->is_string())
      throw Error(Code::bad_request, fmt::format("the \"$ref\" at {} is not a string", place),
                  "use a string");
    rest.stable_erase("$ref");
    if (!has_only_annotations(rest)) beside = beside.empty() ? rest : merged(beside, rest, place, hops);
    at = &find(std::string_view(ref->get_string()), place);
  }
}

NodeId SchemaCompiler::combined(const json::object& schema, const Place& place, int depth) {
  json::object rest;
  for (const auto& [key, value] : schema)
    if (key != "$ref" && key != "allOf" && key != "nullable" && !is_annotation(key)) rest.emplace(key, value);
  const Json* ref = schema.if_contains("$ref");
  const Json* all = schema.if_contains("allOf");
  if (all && (!all->is_array() || all->get_array().empty()))
    throw Error(Code::bad_request, fmt::format("allOf at {} is not a list of schemas", place),
                "list the schemas");
  if (ref && !ref->is_string())
    throw Error(Code::bad_request, fmt::format("the \"$ref\" at {} is not a string", place), "use a string");
  if (rest.empty() && ref && !all) return reference(std::string_view(ref->get_string()), place);
  if (rest.empty() && !ref && all->get_array().size() == 1)
    return value(all->get_array()[0], inside(inside(place, "allOf"), "0"), depth + 1);
  if (ref) rest = merged(rest, resolved(json::object{{"$ref", *ref}}, place), place, depth);
  if (all)
    for (const Json& part : all->get_array())
      rest = merged(rest, resolved(part, inside(place, "allOf")), place, depth);
  // A schema may join itself with others again further down: the same join is the same rule.
  const auto [known, fresh] = references_.emplace("join " + json::serialize(rest), 0);
  if (!fresh) return tree_.use(known->second);
  const RuleId rule = known->second = tree_.declare(place);
  tree_.define(rule, value(rest, place, depth + 1));
  return tree_.use(rule);
}

json::object SchemaCompiler::merged(const json::object& a, const json::object& b, const Place& place,
                                    int depth) const {
  if (depth > most_hops)
    throw Error(Code::bad_request,
                fmt::format("the schemas joined at {} refer to each other without end", place),
                "write one schema that says the same");
  json::object result;
  for (const auto& [key, value] : a)
    if (!is_annotation(key)) result.emplace(key, value);
  for (const auto& [key, value] : b) {
    if (is_annotation(key)) continue;
    const auto [it, fresh] = result.emplace(key, value);
    if (fresh || it->value() == value || key == "properties") continue;
    Json& mine = it->value();
    if (key == "type") {
      mine = joined_types(a, b, place);
    } else if (key == "required" && mine.is_array() && value.is_array()) {
      for (const Json& name : value.get_array()) mine.get_array().push_back(name);
    } else if (key == "enum" && mine.is_array() && value.is_array()) {
      json::array both;
      for (const Json& item : mine.get_array())
        if (std::find(value.get_array().begin(), value.get_array().end(), item) != value.get_array().end())
          both.push_back(item);
      mine = both;
    } else if (key == "additionalProperties" && (mine.is_bool() || value.is_bool())) {
      if (mine == true || value == false) mine = value;
    } else if (key == "allOf" && mine.is_array() && value.is_array()) {
      for (const Json& part : value.get_array()) mine.get_array().push_back(part);
      if (mine.get_array().size() > most_hops) cannot_merge(key, place);
    } else if (mine.is_number() && value.is_number() &&
               is_one_of(key, {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})) {
      if (compare(to_decimal(value), to_decimal(mine)) > 0) mine = value;
    } else if (mine.is_number() && value.is_number() &&
               is_one_of(key, {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})) {
      if (compare(to_decimal(value), to_decimal(mine)) < 0) mine = value;
    } else if (is_one_of(key, {"items", "propertyNames", "additionalProperties"})) {
      mine = json::object{{"allOf", json::array{mine, value}}};
    } else {
      cannot_merge(key, place);
    }
  }
  if (result.contains("properties")) result["properties"] = joined_properties(a, b);
  return result;
}

NodeId SchemaCompiler::alternatives(const json::object& schema, std::string_view keyword, const Place& place,
                                    int depth) {
  const Json& list = schema.at(keyword);
  if (!list.is_array() || list.get_array().empty())
    throw Error(Code::bad_request, fmt::format("{} at {} is not a list of schemas", keyword, place),
                "list the schemas");
  json::object base;
  for (const auto& [key, value] : schema)
    if (key != keyword && key != "nullable" && !is_annotation(key)) base.emplace(key, value);
  if (keyword == "oneOf") check_disjoint(list.get_array(), inside(place, keyword));
  std::vector<NodeId> ways;
  size_t index = 0;
  for (const Json& alternative : list.get_array()) {
    const Place here = inside(inside(place, keyword), std::to_string(index++));
    if (base.empty()) {
      ways.push_back(value(alternative, here, depth + 1));
    } else {
      ways.push_back(value(merged(base, resolved(alternative, here), here, depth), here, depth + 1));
    }
  }
  return tree_.rule(place, tree_.choice(std::move(ways)));
}

// A text must be valid under one alternative only; that is certain where no value is valid under two.
void SchemaCompiler::check_disjoint(const json::array& alternatives, const Place& place) const {
  for (size_t i = 0; i < alternatives.size(); ++i) {
    for (size_t j = i + 1; j < alternatives.size() && j < 256; ++j) {
      if (disjoint(alternatives[i], alternatives[j], place, 0)) continue;
      throw Error(
          Code::unsupported,
          fmt::format("the keyword \"oneOf\" at {}: alternatives {} and {} may both hold for one value",
                      place, i, j),
          "use anyOf, or give the alternatives a required property with different constants");
    }
  }
}

bool SchemaCompiler::disjoint(const Json& a, const Json& b, const Place& place, int depth) const {
  if (depth > 8) return false;
  const json::object left = resolved(a, place), right = resolved(b, place);
  const auto values = [](const json::object& schema) -> std::optional<json::array> {
    if (const Json* one = schema.if_contains("const")) return json::array{*one};
    if (const Json* list = schema.if_contains("enum"); list && list->is_array()) return list->get_array();
    return std::nullopt;
  };
  const auto types = [&](const json::object& schema) {
    std::vector<std::string> found =
        schema.contains("type") ? types_of(schema, place) : std::vector<std::string>{};
    if (const auto listed = values(schema); listed && found.empty())
      for (const Json& value : *listed) found.emplace_back(type_of(value));
    for (std::string& type : found)
      if (type == "integer") type = "number";
    return found;
  };
  const std::vector<std::string> left_types = types(left), right_types = types(right);
  const bool common = std::any_of(left_types.begin(), left_types.end(), [&](const std::string& type) {
    return std::find(right_types.begin(), right_types.end(), type) != right_types.end();
  });
  if (!left_types.empty() && !right_types.empty() && !common) return true;
  if (const auto x = values(left), y = values(right); x && y)
    return std::none_of(x->begin(), x->end(),
                        [&](const Json& v) { return std::find(y->begin(), y->end(), v) != y->end(); });
  if (left_types != std::vector<std::string>{"object"} || right_types != left_types) return false;
  const json::object* p = properties_of(left);
  const json::object* q = properties_of(right);
  const auto unknown_to = [](const json::object& schema, const json::object* known, std::string_view key) {
    return closed(schema) && !(known && known->contains(key));
  };
  if (p) {
    for (const auto& [key, schema] : *p) {
      const Json* other = q ? q->if_contains(key) : nullptr;
      if (requires_key(left, key) && unknown_to(right, q, key)) return true;
      const bool needed = requires_key(left, key) || requires_key(right, key);
      if (other && needed && disjoint(schema, *other, place, depth + 1)) return true;
    }
  }
  if (!q) return false;
  return std::any_of(q->begin(), q->end(), [&](const auto& entry) {
    return requires_key(right, entry.key()) && unknown_to(left, p, entry.key());
  });
}

}  // namespace hearth::grammar
