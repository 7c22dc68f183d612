#include "text/template/jinja/python.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

// Types, truth, length, iteration.
namespace hearth::tmpl::jinja {

const char* type_name(const Value& value) {
  if (value.is_none()) return "NoneType";
  if (value.is_bool()) return "bool";
  if (value.is_integer()) return "int";
  if (value.is_double()) return "float";
  if (value.is_text()) return "str";
  switch (value.object()->kind) {
    case Kind::undefined: return "Undefined";
    case Kind::big_integer: return "int";
    case Kind::list: return "list";
    case Kind::tuple: return "tuple";
    case Kind::dict: return "dict";
    case Kind::space: return "Namespace";
    case Kind::range: return "range";
    case Kind::iterator: return "generator";
    case Kind::dict_view: return "dict view";
    case Kind::function: return "function";
    case Kind::macro: return "Macro";
    case Kind::loop: return "LoopContext";
    case Kind::frame: break;
  }
  return "object";
}

const char* owner_name(const Value& value) {
  if (value.is_none()) return "None";
  if (value.is_bool()) return "bool object";
  if (value.is_integer()) return "int object";
  if (value.is_double()) return "float object";
  if (value.is_text()) return "str object";
  switch (value.object()->kind) {
    case Kind::big_integer: return "int object";
    case Kind::list: return "list object";
    case Kind::tuple: return "tuple object";
    case Kind::dict: return "dict object";
    case Kind::space: return "namespace object";
    case Kind::loop: return "loop object";
    default: return "object";
  }
}

void fail_missing(const Undefined& value) {
  if (!value.words.empty()) fail_undefined(value.words);
  if (!value.owner) fail_undefined(fmt::format("'{}' is undefined", value.name.view()));
  if (value.name.is_text()) {
    fail_undefined(fmt::format("'{}' has no attribute '{}'", value.owner, value.name.view()));
  }
  fail_undefined(fmt::format("{} has no element {}", value.owner, value.name.integer()));
}

void require_defined(const Value& value) {
  if (const auto* missing = value.as<Undefined>()) fail_missing(*missing);
}

bool truth(const Value& value) {
  if (value.is_none()) return false;
  if (value.is_bool()) return value.boolean();
  if (value.is_integer()) return value.integer() != 0;
  if (value.is_double()) return value.floating() != 0;
  return length(value).value_or(1) != 0;
}

std::optional<size_t> length(const Value& value) {
  if (value.is_text()) return value.text().length();
  if (!value.is_object()) return std::nullopt;
  switch (value.object()->kind) {
    case Kind::undefined: return 0;
    case Kind::list:
    case Kind::tuple: return sequence_of(value)->items.size();
    case Kind::dict: return value.as<Dict>()->items.size();
    case Kind::range: return static_cast<size_t>(value.as<Range>()->size);
    case Kind::dict_view: return value.as<DictView>()->dict->items.size();
    case Kind::loop: return value.as<Loop>()->items.size();
    default: return std::nullopt;
  }
}

size_t length_or_fail(const Value& value) {
  const auto size = length(value);
  if (!size) fail_type(fmt::format("object of type '{}' has no len()", type_name(value)));
  return *size;
}

std::vector<Value> characters(Evaluator& evaluator, const Text& text) {
  std::vector<Value> out;
  evaluator.meter().expect(text.length() * (sizeof(Value) + sizeof(Text)));
  out.reserve(text.length());
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    while (end < text.size() && continues(text.view()[end])) ++end;
    out.push_back(substring(evaluator, text, at, end));
    at = end;
  }
  return out;
}

bool is_iterable(const Value& value) {
  if (value.is_text()) return true;
  if (!value.is_object()) return false;
  switch (value.object()->kind) {
    case Kind::big_integer:
    case Kind::space:
    case Kind::function:
    case Kind::macro:
    case Kind::frame: return false;
    default: return true;
  }
}

namespace {

std::vector<Value> keys_of(const Dict& dict) {
  std::vector<Value> out;
  out.reserve(dict.items.size());
  for (const auto& member : dict.items) out.push_back(member.first);
  return out;
}

std::vector<Value> view_of(Evaluator& evaluator, const DictView& view) {
  if (view.what == DictView::What::keys) return keys_of(*view.dict);
  std::vector<Value> out;
  out.reserve(view.dict->items.size());
  for (const auto& [key, value] : view.dict->items) {
    out.push_back(view.what == DictView::What::values ? value : evaluator.tuple({key, value}));
  }
  return out;
}

std::vector<Value> numbers_of(const Range& range) {
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(range.size));
  for (int64_t i = 0; i < range.size; ++i) out.emplace_back(range.start + i * range.step);
  return out;
}

std::vector<Value> all_of(Evaluator& evaluator, const Value& value) {
  if (value.is_text()) return characters(evaluator, value.text());
  if (!is_iterable(value)) fail_type(fmt::format("'{}' object is not iterable", type_name(value)));
  switch (value.object()->kind) {
    case Kind::list:
    case Kind::tuple: return sequence_of(value)->items;
    case Kind::dict: return keys_of(*value.as<Dict>());
    case Kind::dict_view: return view_of(evaluator, *value.as<DictView>());
    case Kind::range: return numbers_of(*value.as<Range>());
    case Kind::iterator: return std::exchange(value.as<Iterator>()->items, {});
    default: return {};
  }
}

}  // namespace

std::vector<Value> elements(Evaluator& evaluator, const Value& value) {
  std::vector<Value> out = all_of(evaluator, value);
  evaluator.meter().step(out.size());
  return out;
}

}  // namespace hearth::tmpl::jinja
