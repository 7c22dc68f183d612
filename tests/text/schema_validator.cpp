#include "schema_validator.h"

#include <algorithm>
#include <cmath>
#include <regex>

namespace hearth::test {

namespace {

bool has_type(const Json& value, std::string_view type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_bool();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  if (type == "number") return value.is_number();
  return value.is_int64() || value.is_uint64() ||
         (value.is_double() && std::floor(value.get_double()) == value.get_double());
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// One element per character, as `.` in a pattern means it.
std::wstring wide(std::string_view text) {
  std::wstring out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) {
      out.back() = static_cast<wchar_t>(out.back() << 6 | (byte & 0x3F));
    } else {
      out += static_cast<wchar_t>(byte < 0x80 ? byte
                                              : byte & (byte < 0xE0   ? 0x1F
                                                        : byte < 0xF0 ? 0x0F
                                                                      : 0x07));
    }
  }
  return out;
}

std::string in_string(const json::string& text, const json::object& schema) {
  if (const Json* n = schema.if_contains("minLength"); n && characters(text) < n->to_number<size_t>())
    return "minLength";
  if (const Json* n = schema.if_contains("maxLength"); n && characters(text) > n->to_number<size_t>())
    return "maxLength";
  if (const Json* p = schema.if_contains("pattern");
      p && !std::regex_search(wide(text), std::wregex(wide(p->get_string()))))
    return "pattern";
  return {};
}

std::string in_number(double number, const json::object& schema) {
  const auto bound = [&](const char* key, auto wrong) {
    const Json* limit = schema.if_contains(key);
    return limit && wrong(number, limit->to_number<double>());
  };
  if (bound("minimum", std::less<>())) return "minimum";
  if (bound("maximum", std::greater<>())) return "maximum";
  if (bound("exclusiveMinimum", std::less_equal<>())) return "exclusiveMinimum";
  if (bound("exclusiveMaximum", std::greater_equal<>())) return "exclusiveMaximum";
  return {};
}

std::string in_object(const json::object& object, const json::object& schema, const Json& root) {
  if (const Json* required = schema.if_contains("required"))
    for (const Json& name : required->get_array())
      if (!object.contains(name.get_string())) return "required";
  const Json* properties = schema.if_contains("properties");
  const Json* additional = schema.if_contains("additionalProperties");
  for (const auto& [key, value] : object) {
    const Json* known = properties ? properties->get_object().if_contains(key) : nullptr;
    if (!known) known = additional;
    if (!known) continue;
    if (const std::string why = why_invalid(value, *known, root); !why.empty())
      return std::string(key) + ": " + why;
  }
  return {};
}

std::string in_array(const json::array& array, const json::object& schema, const Json& root) {
  if (const Json* n = schema.if_contains("minItems"); n && array.size() < n->to_number<size_t>())
    return "minItems";
  if (const Json* n = schema.if_contains("maxItems"); n && array.size() > n->to_number<size_t>())
    return "maxItems";
  const Json* prefix = schema.if_contains("prefixItems");
  const Json* items = schema.if_contains("items");
  const size_t first = prefix ? prefix->get_array().size() : 0;
  for (size_t i = 0; i < array.size(); ++i) {
    const Json* item = i < first ? &prefix->get_array()[i] : items;
    if (!item) continue;
    if (const std::string why = why_invalid(array[i], *item, root); !why.empty()) return "items: " + why;
  }
  return {};
}

}  // namespace

std::string why_invalid(const Json& value, const Json& schema, const Json& root) {
  if (schema.is_bool()) return schema.get_bool() ? "" : "false";
  const json::object& s = schema.get_object();
  if (const Json* ref = s.if_contains("$ref")) {
    const std::string pointer(ref->get_string().begin() + 1, ref->get_string().end());
    if (const std::string why = why_invalid(value, root.at_pointer(pointer), root); !why.empty()) return why;
  }
  if (const Json* all = s.if_contains("allOf"))
    for (const Json& part : all->get_array())
      if (const std::string why = why_invalid(value, part, root); !why.empty()) return "allOf: " + why;
  for (const char* key : {"anyOf", "oneOf"}) {
    const Json* list = s.if_contains(key);
    if (!list) continue;
    const auto valid =
        std::count_if(list->get_array().begin(), list->get_array().end(),
                      [&](const Json& part) { return why_invalid(value, part, root).empty(); });
    if (valid == 0 || (key[0] == 'o' && valid != 1)) return key;
  }
  if (const Json* list = s.if_contains("enum");
      list && std::find(list->get_array().begin(), list->get_array().end(), value) == list->get_array().end())
    return "enum";
  if (const Json* one = s.if_contains("const"); one && *one != value) return "const";
  if (const Json* type = s.if_contains("type")) {
    const json::array types = type->is_array() ? type->get_array() : json::array{*type};
    if (std::none_of(types.begin(), types.end(),
                     [&](const Json& t) { return has_type(value, t.get_string()); }))
      return "type";
  }
  if (const auto* text = value.if_string()) return in_string(*text, s);
  if (value.is_number()) return in_number(value.to_number<double>(), s);
  if (const auto* object = value.if_object()) return in_object(*object, s, root);
  if (const auto* array = value.if_array()) return in_array(*array, s, root);
  return {};
}

}  // namespace hearth::test
