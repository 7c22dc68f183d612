#include "text/grammar/schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "text/grammar/schema_compiler.h"

namespace hearth::grammar {

namespace {

constexpr int most_depth = 128;

constexpr std::string_view annotations[] = {
    "title",     "description",   "default",         "examples",         "example",       "$schema",
    "$id",       "$comment",      "$defs",           "definitions",      "deprecated",    "readOnly",
    "writeOnly", "discriminator", "contentEncoding", "contentMediaType", "contentSchema", "$anchor",
    "id"};

constexpr std::string_view known[] = {"type",
                                      "properties",
                                      "required",
                                      "additionalProperties",
                                      "patternProperties",
                                      "propertyNames",
                                      "minProperties",
                                      "maxProperties",
                                      "items",
                                      "prefixItems",
                                      "additionalItems",
                                      "minItems",
                                      "maxItems",
                                      "uniqueItems",
                                      "enum",
                                      "const",
                                      "anyOf",
                                      "oneOf",
                                      "allOf",
                                      "$ref",
                                      "minLength",
                                      "maxLength",
                                      "pattern",
                                      "format",
                                      "minimum",
                                      "maximum",
                                      "exclusiveMinimum",
                                      "exclusiveMaximum",
                                      "nullable"};

// Keywords that tell a type where `type` is missing.
constexpr std::pair<std::string_view, std::string_view> hints[] = {{"properties", "object"},
                                                                   {"required", "object"},
                                                                   {"additionalProperties", "object"},
                                                                   {"patternProperties", "object"},
                                                                   {"propertyNames", "object"},
                                                                   {"minProperties", "object"},
                                                                   {"maxProperties", "object"},
                                                                   {"items", "array"},
                                                                   {"prefixItems", "array"},
                                                                   {"minItems", "array"},
                                                                   {"maxItems", "array"},
                                                                   {"uniqueItems", "array"},
                                                                   {"minLength", "string"},
                                                                   {"maxLength", "string"},
                                                                   {"pattern", "string"},
                                                                   {"format", "string"},
                                                                   {"minimum", "number"},
                                                                   {"maximum", "number"},
                                                                   {"exclusiveMinimum", "number"},
                                                                   {"exclusiveMaximum", "number"}};

template <class List>
bool contains(const List& list, std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

void check_keywords(const json::object& schema, const Place& place) {
  for (const auto& [key, value] : schema) {
    if (is_annotation(key) || contains(known, std::string_view(key))) continue;
    throw Error(
        Code::unsupported,
        fmt::format("the JSON Schema keyword \"{}\" at {} is not supported", std::string_view(key), place),
        "leave it out, or say the same with other keywords");
  }
}

}  // namespace

Place inside(const Place& place, std::string_view key) {
  Place result = place + "/";
  for (const char c : key) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result += c;
    }
  }
  return result;
}

bool is_annotation(std::string_view keyword) {
  return contains(annotations, keyword) || keyword.substr(0, 2) == "x-";
}

std::string_view type_of(const Json& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "boolean";
    case json::kind::string: return "string";
    case json::kind::array: return "array";
    case json::kind::object: return "object";
    case json::kind::double_: return to_decimal(value).fraction.empty() ? "integer" : "number";
    default: return "integer";
  }
}

std::vector<std::string> types_of(const json::object& schema, const Place& place) {
  static constexpr std::string_view names[] = {"object",  "array",   "string", "number",
                                               "integer", "boolean", "null"};
  std::vector<std::string> types;
  const auto add = [&](std::string_view name) {
    if (!contains(types, name)) types.emplace_back(name);
  };
  if (const Json* type = schema.if_contains("type")) {
    const json::array list = type->is_array() ? type->get_array() : json::array{*type};
    for (const Json& name : list) {
      if (!name.is_string() || !contains(names, std::string_view(name.get_string())))
        throw Error(Code::bad_request, fmt::format("the type {} at {} is none", json::serialize(name), place),
                    "use object, array, string, number, integer, boolean or null");
      add(name.get_string());
    }
    if (types.empty())
      throw Error(Code::bad_request, fmt::format("no type is left at {}", place), "allow at least one type");
    if (contains(types, "number")) std::erase(types, "integer");
    return types;
  }
  for (const auto& [keyword, type] : hints)
    if (schema.contains(keyword)) add(type);
  return types;
}

uint32_t count_of(const json::object& schema, std::string_view keyword, uint32_t otherwise,
                  const Place& place) {
  const Json* value = schema.if_contains(keyword);
  if (!value) return otherwise;
  const Decimal number = value->is_number() ? to_decimal(*value) : Decimal{true, "1", ""};
  if (number.negative || !number.fraction.empty() || number.digits.size() > 9)
    throw Error(Code::bad_request, fmt::format("{} at {} is {}", keyword, place, json::serialize(*value)),
                "use a whole number from 0 to 999999999");
  return static_cast<uint32_t>(std::stoul(number.digits));
}

Tree SchemaCompiler::compile() {
  tree_.root = tree_.declare("#");
  references_.emplace("#", tree_.root);
  waiting_.emplace_back("#", tree_.root);
  compile_waiting();
  return std::move(tree_);
}

Tree SchemaCompiler::join(const std::vector<Place>& places, const Join& put_together) {
  std::vector<NodeId> parts;
  parts.reserve(places.size());
  for (const Place& place : places) parts.push_back(reference(place, "#"));
  compile_waiting();
  tree_.root = tree_.declare("answer");
  tree_.define(tree_.root, put_together(tree_, rules_, parts));
  return std::move(tree_);
}

void SchemaCompiler::compile_waiting() {
  while (!waiting_.empty()) {
    const auto [target, rule] = waiting_.back();
    waiting_.pop_back();
    tree_.define(rule, value(find(target, "#"), target, 0));
  }
}

NodeId SchemaCompiler::value(const Json& schema, const Place& place, int depth) {
  if (depth > most_depth)
    throw Error(Code::bad_request,
                fmt::format("the schema at {} is nested more than {} deep", place, most_depth),
                "use $defs and $ref");
  if (schema.is_bool()) return schema.get_bool() ? rules_.value() : tree_.choice({});
  if (!schema.is_object())
    throw Error(Code::bad_request,
                fmt::format("the schema at {} is {}", place, json::serialize(schema).substr(0, 60)),
                "a schema is an object, true or false");
  const json::object& object = schema.get_object();
  check_keywords(object, place);
  const Json* nullable = object.if_contains("nullable");
  const NodeId node = keywords(object, place, depth);
  if (!nullable || *nullable != true) return node;
  return tree_.choice({node, rules_.null()});
}

NodeId SchemaCompiler::keywords(const json::object& schema, const Place& place, int depth) {
  if (schema.contains("$ref") || schema.contains("allOf")) return combined(schema, place, depth);
  const bool any = schema.contains("anyOf"), one = schema.contains("oneOf");
  if (any && one)
    throw Error(Code::unsupported,
                fmt::format("\"anyOf\" and \"oneOf\" together at {} are not supported", place),
                "use one of them");
  if (any || one) return alternatives(schema, any ? "anyOf" : "oneOf", place, depth);
  if (schema.contains("enum") || schema.contains("const")) return constants(schema, place);
  const std::vector<std::string> types = types_of(schema, place);
  if (types.empty()) return rules_.value();
  std::vector<NodeId> ways;
  ways.reserve(types.size());
  for (const std::string& type : types) ways.push_back(of_type(schema, type, place, depth));
  return tree_.choice(std::move(ways));
}

NodeId SchemaCompiler::of_type(const json::object& schema, std::string_view type, const Place& place,
                               int depth) {
  if (type == "object") return object(schema, place, depth);
  if (type == "array") return array(schema, place, depth);
  if (type == "string") return string(schema, place);
  if (type == "boolean") return rules_.boolean();
  if (type == "null") return rules_.null();
  return number(schema, type == "integer", place);
}

// The values that are listed; other keywords may only narrow them by type.
NodeId SchemaCompiler::constants(const json::object& schema, const Place& place) {
  for (const auto& [keyword, type] : hints) {
    if (schema.contains(keyword) && keyword != "format")
      throw Error(Code::unsupported,
                  fmt::format("the JSON Schema keyword \"{}\" at {} is not supported beside enum or const",
                              keyword, place),
                  "list only the values that are meant");
  }
  const Json* list = schema.if_contains("enum");
  const Json* one = schema.if_contains("const");
  if (list && !list->is_array())
    throw Error(Code::bad_request, fmt::format("enum at {} is not a list", place), "list the values");
  json::array values;
  if (list) values = list->get_array();
  if (one && (!list || std::find(values.begin(), values.end(), *one) != values.end())) values = {*one};
  if (one && list && (values.size() != 1 || values[0] != *one)) values.clear();
  const std::vector<std::string> types = types_of(schema, place);
  std::vector<NodeId> ways;
  for (const Json& value : values) {
    const std::string_view type = type_of(value);
    const bool fits =
        types.empty() || contains(types, type) || (type == "integer" && contains(types, "number"));
    if (fits) ways.push_back(rules_.constant(value));
  }
  if (ways.empty())
    throw Error(Code::bad_request, fmt::format("no value is left at {}", place),
                "list at least one of the type");
  return tree_.rule(place, tree_.choice(std::move(ways)));
}

Tree json_object_tree() {
  Tree tree;
  JsonRules rules(tree);
  tree.root = tree.declare("root");
  tree.define(tree.root, rules.object());
  return tree;
}

Tree schema_tree(const Json& schema) { return SchemaCompiler(schema).compile(); }

}  // namespace hearth::grammar
