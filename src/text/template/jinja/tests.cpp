#include <fmt/format.h>

#include <unordered_map>

#include "text/template/jinja/filters.h"
#include "text/template/jinja/given.h"

// What may follow `is`.
namespace hearth::tmpl::jinja {
namespace {

// A test without arguments.
template <bool (*holds)(const Value&)>
Value check(Evaluator&, const Value& self, Args& args) {
  const Given given("a test", args, {});
  return holds(self);
}

bool is_defined(const Value& value) { return !is_undefined(value); }
bool is_none(const Value& value) { return value.is_none(); }
bool is_boolean(const Value& value) { return value.is_bool(); }
bool is_true(const Value& value) { return value.is_bool() && value.boolean(); }
bool is_false(const Value& value) { return value.is_bool() && !value.boolean(); }
bool is_integer(const Value& value) { return is_integral(value) && !value.is_bool(); }
bool is_float(const Value& value) { return value.is_double(); }
bool is_string(const Value& value) { return value.is_text(); }
bool is_mapping(const Value& value) { return value.as<Dict>() != nullptr; }

// Has a length and can be indexed.
bool is_sequence(const Value& value) {
  return value.is_text() || sequence_of(value) || value.as<Dict>() || value.as<Range>() ||
         is_undefined(value);
}

bool is_callable(const Value& value) {
  return value.as<Function>() || value.as<Macro>() || value.as<Loop>() || is_undefined(value);
}

bool is_escaped(const Value&) { return false; }

template <CompareOp op>
Value compared(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("a comparing test", args, {"other"}, 1);
  return compare(evaluator, op, self, given[0]);
}

// number % divisor == rest
bool divides(Evaluator& evaluator, const Value& number, const Value& divisor, int64_t rest) {
  return equal(evaluator, binary(evaluator, BinaryOp::modulo, number, divisor), rest);
}

Value odd(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("odd", args, {});
  return divides(evaluator, self, int64_t{2}, 1);
}

Value even(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("even", args, {});
  return divides(evaluator, self, int64_t{2}, 0);
}

Value divisible(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("divisibleby", args, {"num"}, 1);
  return divides(evaluator, self, given[0], 0);
}

Value same_as(Evaluator&, const Value& self, Args& args) {
  const Given given("sameas", args, {"other"}, 1);
  const Value& other = given[0];
  if (self.is_object() || other.is_object()) {
    return self.is_object() && other.is_object() && self.object() == other.object();
  }
  if (std::string_view(type_name(self)) != type_name(other)) return false;
  return same_key(self, other);
}

// The operand in one case only.
template <bool upper>
Value in_case(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("upper or lower", args, {});
  const Value text = string_of(evaluator, self);
  Args none;
  return text_method(upper ? "isupper" : "islower")(evaluator, text, none);
}

Value filter_exists(Evaluator&, const Value& self, Args& args) {
  const Given given("filter", args, {});
  return self.is_text() && filter(self.view()) != nullptr;
}

Value test_exists(Evaluator&, const Value& self, Args& args) {
  const Given given("test", args, {});
  return self.is_text() && test(self.view()) != nullptr;
}

}  // namespace

Native test(std::string_view name) {
  static const std::unordered_map<std::string_view, Native> table{
      {"defined", check<is_defined>},
      {"undefined", check<is_undefined>},
      {"none", check<is_none>},
      {"boolean", check<is_boolean>},
      {"true", check<is_true>},
      {"false", check<is_false>},
      {"integer", check<is_integer>},
      {"float", check<is_float>},
      {"number", check<is_number>},
      {"string", check<is_string>},
      {"mapping", check<is_mapping>},
      {"sequence", check<is_sequence>},
      {"iterable", check<is_iterable>},
      {"callable", check<is_callable>},
      {"escaped", check<is_escaped>},
      {"odd", odd},
      {"even", even},
      {"divisibleby", divisible},
      {"sameas", same_as},
      {"upper", in_case<true>},
      {"lower", in_case<false>},
      {"filter", filter_exists},
      {"test", test_exists},
      {"in", compared<CompareOp::in>},
      {"==", compared<CompareOp::equal>},
      {"eq", compared<CompareOp::equal>},
      {"equalto", compared<CompareOp::equal>},
      {"!=", compared<CompareOp::not_equal>},
      {"ne", compared<CompareOp::not_equal>},
      {">", compared<CompareOp::greater>},
      {"gt", compared<CompareOp::greater>},
      {"greaterthan", compared<CompareOp::greater>},
      {">=", compared<CompareOp::greater_equal>},
      {"ge", compared<CompareOp::greater_equal>},
      {"<", compared<CompareOp::less>},
      {"lt", compared<CompareOp::less>},
      {"lessthan", compared<CompareOp::less>},
      {"<=", compared<CompareOp::less_equal>},
      {"le", compared<CompareOp::less_equal>}};
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace hearth::tmpl::jinja
