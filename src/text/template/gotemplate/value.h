#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "text/template/meter.h"
#include "text/template/text.h"

// Values of Go templates. They are immutable and nothing in a template can build a container, so there are no
// cycles and counting references frees everything.
namespace hearth::gotmpl {

using tmpl::Marked;
using tmpl::Meter;
using tmpl::Text;
using tmpl::TextRef;

struct Object;
using ObjectRef = boost::intrusive_ptr<const Object>;

// nil, which is also what an absent member of a map is.
using Nil = std::monostate;
using Value = std::variant<Nil, bool, int64_t, double, TextRef, ObjectRef>;

// How a container prints outside of `json`.
enum class Style : uint8_t {
  plain,  // [a b], map[k:v]
  json,   // as its JSON
  lone,   // a list of one element prints as that element, also in JSON; an empty one as nothing
};

struct Object : boost::intrusive_ref_counter<Object> {
  enum class Kind : uint8_t { list, map, record };
  Object(Kind object_kind, Style object_style, Origin object_origin, Meter* counted_by, size_t bytes)
      : kind(object_kind), style(object_style), origin(object_origin), meter_(counted_by), bytes_(bytes) {
    if (meter_) meter_->hold(bytes_);
  }
  virtual ~Object() {
    if (meter_) meter_->release(bytes_);
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  const Kind kind;
  const Style style;
  const Origin origin;  // of the numbers in it and of the punctuation it is printed with

 private:
  Meter* meter_;
  size_t bytes_;
};

struct List : Object {
  static constexpr Kind tag = Kind::list;
  List(std::vector<Value> values, Style list_style, Origin list_origin, Meter* meter)
      : Object(tag, list_style, list_origin, meter, sizeof(List) + values.size() * sizeof(Value)),
        own(std::move(values)),
        items(own) {}
  // A part of another list, which stays alive with it.
  List(const List& list, std::span<const Value> part, Meter* meter)
      : Object(tag, list.style, list.origin, meter, sizeof(List)),
        base(list.base ? list.base : boost::intrusive_ptr<const List>(&list)),
        items(part) {}

  const std::vector<Value> own;
  const boost::intrusive_ptr<const List> base;
  const std::span<const Value> items;
};

struct Map : Object {
  static constexpr Kind tag = Kind::map;
  struct Entry {
    TextRef key;
    Value value;
  };
  Map(std::vector<Entry> members, Style map_style, Origin map_origin, Meter* meter)
      : Object(tag, map_style, map_origin, meter, sizeof(Map) + members.size() * sizeof(Entry)),
        entries(std::move(members)) {}
  const Value* find(std::string_view key) const;

  // In the order of printing and ranging: sorted by key unless the maker had a reason.
  const std::vector<Entry> entries;
};

// A field of a record type: its name in templates and in JSON.
struct Field {
  std::string_view name;
  std::string_view json;
  bool omit_empty = false;  // from the JSON
};

struct RecordType {
  std::string_view name;
  std::span<const Field> fields;
};

// What Go has as a struct: unlike in a map, asking for an unknown field is an error. Prints as its JSON.
struct Record : Object {
  static constexpr Kind tag = Kind::record;
  Record(const RecordType& record_type, std::vector<Value> field_values, Origin record_origin, Meter* meter)
      : Object(tag, Style::json, record_origin, meter, sizeof(Record) + field_values.size() * sizeof(Value)),
        type(record_type),
        values(std::move(field_values)) {}
  const Value* find(std::string_view field) const;

  const RecordType& type;
  const std::vector<Value> values;  // one for each field of the type
};

// The object if it is a T, else null.
template <class T>
const T* as(const Value& value) {
  const ObjectRef* object = std::get_if<ObjectRef>(&value);
  return object && (*object)->kind == T::tag ? static_cast<const T*>(object->get()) : nullptr;
}

inline bool is_nil(const Value& value) { return std::holds_alternative<Nil>(value); }

// The text if it is one, else null.
inline const Text* text_in(const Value& value) {
  const TextRef* text = std::get_if<TextRef>(&value);
  return text ? text->get() : nullptr;
}

// false, 0, nil and what is empty are false; a record is true.
bool truth(const Value& value);

// "int", "string", "[]interface {}", ...: the words of Go.
std::string_view type_name(const Value& value);

// Makes values that a meter counts; without a meter they are uncounted.
class Maker {
 public:
  explicit Maker(Meter* meter) : meter_(meter) {}

  Value text(std::string_view bytes, Origin origin) const { return text(Marked(std::string(bytes), origin)); }
  Value text(Marked marked) const { return TextRef(new Text(std::move(marked), meter_)); }
  Value list(std::vector<Value> items, Style style, Origin origin) const {
    return ObjectRef(new List(std::move(items), style, origin, meter_));
  }
  Value map(std::vector<Map::Entry> entries, Style style, Origin origin) const {
    return ObjectRef(new Map(std::move(entries), style, origin, meter_));
  }
  Value record(const RecordType& type, std::vector<Value> values, Origin origin) const {
    return ObjectRef(new Record(type, std::move(values), origin, meter_));
  }

  // What JSON numbers become: integers where they are whole, or always float64 as Go decodes them.
  enum class Numbers : uint8_t { natural, float64 };
  // Members of objects are sorted. Nested deeper than the limit fails.
  Value import(const Json& json, Numbers numbers, Style style, Origin origin) const;

  Meter* meter() const { return meter_; }

 private:
  Value import_number(const Json& json, Numbers numbers) const;
  Meter* meter_;
};

}  // namespace hearth::gotmpl
