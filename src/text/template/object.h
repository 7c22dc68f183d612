#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/template/value.h"

namespace hearth::tmpl {

class Evaluator;
struct Args;
struct Body;
struct Frame;
struct MacroStatement;

enum class Kind : uint8_t {
  undefined,
  big_integer,
  list,
  tuple,
  dict,
  space,
  range,
  iterator,
  dict_view,
  function,
  macro,
  frame,
  loop,
};

// Everything that lives on a rendering's heap until the rendering ends. Cycles are therefore harmless.
struct Object {
  explicit Object(Kind object_kind) : kind(object_kind) {}
  virtual ~Object() = default;
  const Kind kind;
};

// Something that is not there; remembers what was looked for, in words or as an owner and a name.
struct Undefined : Object {
  static constexpr Kind tag = Kind::undefined;
  explicit Undefined(std::string text) : Object(tag), words(std::move(text)) {}
  Undefined(const char* type_of_owner, Value looked_for)
      : Object(tag), owner(type_of_owner), name(std::move(looked_for)) {}
  std::string words;
  const char* owner = nullptr;  // null: `name` is a variable
  Value name;                   // text, or an integer index
};

// Punctuation printed for a container has the origin of the container.
struct Sequence : Object {
  Sequence(Kind sequence_kind, std::vector<Value> values, Origin made_by)
      : Object(sequence_kind), items(std::move(values)), origin(made_by) {}
  std::vector<Value> items;
  Origin origin;
};

struct List : Sequence {
  static constexpr Kind tag = Kind::list;
  explicit List(std::vector<Value> values, Origin made_by = Origin::model)
      : Sequence(tag, std::move(values), made_by) {}
};

struct Tuple : Sequence {
  static constexpr Kind tag = Kind::tuple;
  explicit Tuple(std::vector<Value> values) : Sequence(tag, std::move(values), Origin::model) {}
  bool group = false;  // of groupby: has .grouper and .list
};

// Insertion-ordered. Keys are compared by the caller's rules; here they are found by hash and `equal`.
struct Dict : Object {
  static constexpr Kind tag = Kind::dict;
  explicit Dict(Origin made_by = Origin::model) : Object(tag), origin(made_by) {}

  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  Value* find(const Value& key);
  void set(Value key, Value value);
  bool erase(const Value& key);
  void clear();

  std::vector<std::pair<Value, Value>> items;
  Origin origin;

 private:
  static constexpr size_t npos = static_cast<size_t>(-1);
  template <class Same>
  size_t index_of(size_t hash, Same same) const;
  void rebuild();

  // Hash to position, kept only when linear search would be slow.
  std::unordered_multimap<size_t, size_t> index_;
};

// namespace(): the one thing whose members can be assigned.
struct Space : Object {
  static constexpr Kind tag = Kind::space;
  Space() : Object(tag) {}
  Dict members;
};

struct Range : Object {
  static constexpr Kind tag = Kind::range;
  Range(int64_t first, int64_t step_by, int64_t count)
      : Object(tag), start(first), step(step_by), size(count) {}
  int64_t start;
  int64_t step;
  int64_t size;
};

// A sequence that can be gone through once and has no length: what map, select, reverse, ... return.
struct Iterator : Object {
  static constexpr Kind tag = Kind::iterator;
  explicit Iterator(std::vector<Value> values) : Object(tag), items(std::move(values)) {}
  std::vector<Value> items;
  size_t next = 0;
};

// d.keys(), d.values(), d.items().
struct DictView : Object {
  static constexpr Kind tag = Kind::dict_view;
  enum class What : uint8_t { keys, values, items };
  DictView(Dict* of, What which) : Object(tag), dict(of), what(which) {}
  Dict* dict;
  What what;
};

using Native = Value (*)(Evaluator&, const Value& self, Args& args);

// A builtin function, or a method bound to its object.
struct Function : Object {
  static constexpr Kind tag = Kind::function;
  Function(std::string_view function_name, Native code, Value bound = {})
      : Object(tag), name(function_name), call(code), self(std::move(bound)) {}
  std::string_view name;  // static text
  Native call;
  Value self;
};

struct Macro : Object {
  static constexpr Kind tag = Kind::macro;
  Macro(const MacroStatement& macro, Frame* frame) : Object(tag), definition(macro), defined_in(frame) {}
  const MacroStatement& definition;
  Frame* defined_in;
};

// The variable `loop`.
struct Loop : Object {
  static constexpr Kind tag = Kind::loop;
  Loop() : Object(tag) {}
  std::vector<Value> items;
  size_t index = 0;
  size_t depth = 0;
  const struct ForStatement* statement = nullptr;  // recursive loops can be called
  Frame* frame = nullptr;
  std::vector<Value> changed;
  bool has_changed = false;
};

template <class T>
T* Value::as() const {
  Object* const* held = std::get_if<Object*>(&data_);
  return held && (*held)->kind == T::tag ? static_cast<T*>(*held) : nullptr;
}

// A list or tuple, else null.
inline Sequence* sequence_of(const Value& value) {
  if (!value.is_object()) return nullptr;
  const Kind kind = value.object()->kind;
  return kind == Kind::list || kind == Kind::tuple ? static_cast<Sequence*>(value.object()) : nullptr;
}

inline bool is_undefined(const Value& value) { return value.as<Undefined>() != nullptr; }

// Equality and hash of dictionary keys: 1, 1.0 and true are one key; strings by bytes, tuples by members.
// Only values that is_key accepts may be given to them and to Dict.
bool is_key(const Value& value);
bool same_key(const Value& a, const Value& b);
size_t hash_key(const Value& key);

}  // namespace hearth::tmpl
