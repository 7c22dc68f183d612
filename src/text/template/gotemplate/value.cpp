#include "text/template/gotemplate/value.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace hearth::gotmpl {
namespace {

size_t size_of(const Object& object) {
  switch (object.kind) {
    case Object::Kind::list: return static_cast<const List&>(object).items.size();
    case Object::Kind::map: return static_cast<const Map&>(object).entries.size();
    case Object::Kind::record: break;
  }
  return 1;
}

}  // namespace

const Value* Map::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key->view() == key) return &entry.value;
  }
  return nullptr;
}

const Value* Record::find(std::string_view field) const {
  for (size_t i = 0; i < type.fields.size(); ++i) {
    if (type.fields[i].name == field) return &values[i];
  }
  return nullptr;
}

bool truth(const Value& value) {
  struct Truth {
    bool operator()(Nil) const { return false; }
    bool operator()(bool held) const { return held; }
    bool operator()(int64_t held) const { return held != 0; }
    bool operator()(double held) const { return held != 0; }
    bool operator()(const TextRef& held) const { return !held->empty(); }
    bool operator()(const ObjectRef& held) const { return size_of(*held) != 0; }
  };
  return std::visit(Truth{}, value);
}

std::string_view type_name(const Value& value) {
  struct Name {
    std::string_view operator()(Nil) const { return "<nil>"; }
    std::string_view operator()(bool) const { return "bool"; }
    std::string_view operator()(int64_t) const { return "int"; }
    std::string_view operator()(double) const { return "float64"; }
    std::string_view operator()(const TextRef&) const { return "string"; }
    std::string_view operator()(const ObjectRef& held) const {
      switch (held->kind) {
        case Object::Kind::list: return "[]interface {}";
        case Object::Kind::map: return "map[string]interface {}";
        case Object::Kind::record: break;
      }
      return static_cast<const Record&>(*held).type.name;
    }
  };
  return std::visit(Name{}, value);
}

Value Maker::import_number(const Json& json, Numbers numbers) const {
  if (json.is_int64() && numbers == Numbers::natural) return json.get_int64();
  if (json.is_uint64() && numbers == Numbers::natural && json.get_uint64() <= INT64_MAX)
    return static_cast<int64_t>(json.get_uint64());
  return json.to_number<double>();
}

Value Maker::import(const Json& json, Numbers numbers, Style style, Origin origin) const {
  std::optional<Meter::Level> level;
  if (meter_) {
    level.emplace(*meter_);
    meter_->step();
  }
  switch (json.kind()) {
    case json::kind::null: return {};
    case json::kind::bool_: return json.get_bool();
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: return import_number(json, numbers);
    case json::kind::string: return text(std::string_view(json.get_string()), origin);
    case json::kind::array: {
      std::vector<Value> items;
      items.reserve(json.get_array().size());
      for (const Json& item : json.get_array()) items.push_back(import(item, numbers, style, origin));
      return list(std::move(items), style, origin);
    }
    case json::kind::object: break;
  }
  std::vector<Map::Entry> entries;
  entries.reserve(json.get_object().size());
  for (const auto& member : json.get_object()) {
    entries.push_back({TextRef(new Text(Marked(std::string(member.key()), origin), meter_)),
                       import(member.value(), numbers, style, origin)});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Map::Entry& a, const Map::Entry& b) { return a.key->view() < b.key->view(); });
  return map(std::move(entries), style, origin);
}

}  // namespace hearth::gotmpl
