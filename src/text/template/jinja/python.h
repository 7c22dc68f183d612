#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/evaluator.h"

// Python's rules for values, as far as templates can see them.
namespace hearth::tmpl::jinja {

const char* type_name(const Value& value);  // 'str', 'NoneType', ...
const char* owner_name(
    const Value& value);  // what Jinja says of an object without an attribute: "str object"
[[noreturn]] void fail_missing(const Undefined& value);

// Throws when the value is undefined, for what undefined values cannot do.
void require_defined(const Value& value);

bool truth(const Value& value);

// str(value), appended to `out`; text keeps its origin.
void print(Evaluator& evaluator, const Value& value, Marked& out);
// repr(value). What is neither text nor container has the origin `punctuation`.
void represent(Evaluator& evaluator, const Value& value, Origin punctuation, Marked& out);
// str(value) as a value: the value itself if it is text.
Value string_of(Evaluator& evaluator, const Value& value);
std::string float_text(double value);

bool equal(Evaluator& evaluator, const Value& left, const Value& right);
// left < right, by the operator `op`, which is named in errors.
bool ordered(Evaluator& evaluator, CompareOp op, const Value& left, const Value& right);
bool contains(Evaluator& evaluator, const Value& container, const Value& item);
bool compare(Evaluator& evaluator, CompareOp op, const Value& left, const Value& right);

// len(value); absent if it has none.
std::optional<size_t> length(const Value& value);
size_t length_or_fail(const Value& value);

// Everything that iterating gives; an iterator is used up. Throws for what is not iterable.
std::vector<Value> elements(Evaluator& evaluator, const Value& value);
bool is_iterable(const Value& value);
std::vector<Value> characters(Evaluator& evaluator, const Text& text);

// Integers and booleans that fit 64 bits.
std::optional<int64_t> small_integer(const Value& value);
bool is_integral(const Value& value);  // int or bool of any size
bool is_number(const Value& value);    // int, bool or float
double as_double(const Value& value);  // of a number; throws when an integer is too large
Value unary(Evaluator& evaluator, UnaryOp op, const Value& value);
Value binary(Evaluator& evaluator, BinaryOp op, const Value& left, const Value& right);

Value attribute(Evaluator& evaluator, const Value& of, const TextRef& name);
Value item(Evaluator& evaluator, const Value& of, const Value& key);
Value slice(Evaluator& evaluator, const Value& of, const Value& start, const Value& stop, const Value& step);
// A part of a text by characters; clamps.
Value substring(Evaluator& evaluator, const Text& text, size_t from_byte, size_t to_byte);

// "%s and %d" % values
Value format_percent(Evaluator& evaluator, const Text& format, const Value& values);
// "{} and {name}".format(...)
Value format_braces(Evaluator& evaluator, const Text& format, const Args& args);

// Builtins by name; null when there is none.
Native method(const Value& of, std::string_view name);
Native text_method(std::string_view name);
Native collection_method(const Value& of, std::string_view name);
Native filter(std::string_view name);
Native test(std::string_view name);
Native function(std::string_view name);

}  // namespace hearth::tmpl::jinja
