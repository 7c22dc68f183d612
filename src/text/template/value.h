#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "text/template/text.h"

namespace hearth::tmpl {

struct Object;

struct None {};

// A value of the evaluator: small things inline, text counted, everything else owned by the rendering's heap.
class Value {
 public:
  // None. Not defaulted: GCC 12 leaves the variant of a defaulted one unset in `c ? x : Value()`.
  Value() noexcept : data_(None{}) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(TextRef value) : data_(std::move(value)) {}
  template <class T>
  Value(T* object) : data_(static_cast<Object*>(object)) {}

  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(data_); }
  bool is_double() const { return std::holds_alternative<double>(data_); }
  bool is_text() const { return std::holds_alternative<TextRef>(data_); }
  bool is_object() const { return std::holds_alternative<Object*>(data_); }

  // The caller knows the type.
  bool boolean() const { return *std::get_if<bool>(&data_); }
  int64_t integer() const { return *std::get_if<int64_t>(&data_); }
  double floating() const { return *std::get_if<double>(&data_); }
  const Text& text() const { return **std::get_if<TextRef>(&data_); }
  const TextRef& text_ref() const { return *std::get_if<TextRef>(&data_); }
  std::string_view view() const { return text().view(); }
  Object* object() const { return *std::get_if<Object*>(&data_); }

  // The object if it is a T, else null.
  template <class T>
  T* as() const;

 private:
  std::variant<None, bool, int64_t, double, TextRef, Object*> data_;
};

}  // namespace hearth::tmpl
