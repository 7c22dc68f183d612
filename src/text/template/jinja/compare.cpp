#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/template/jinja/number.h"

// ==, <, in.
namespace hearth::tmpl::jinja {
namespace {

enum class Order { less, same, greater, none };

template <class T>
Order order_of(const T& left, const T& right) {
  if (left < right) return Order::less;
  if (right < left) return Order::greater;
  return left == right ? Order::same : Order::none;
}

Order reversed(Order order) {
  if (order == Order::less) return Order::greater;
  return order == Order::greater ? Order::less : order;
}

// Exact, as in Python: the integer is not rounded.
Order order_of_mixed(const Value& integral, double right) {
  if (std::isnan(right)) return Order::none;
  if (std::isinf(right)) return right > 0 ? Order::less : Order::greater;
  const BigInt left = big(integral);
  const double whole = std::trunc(right);
  const Order order = order_of(left, BigInt(whole));
  return order == Order::same ? order_of(0.0, right - whole) : order;
}

Order order_of_numbers(const Value& left, const Value& right) {
  if (left.is_double() && right.is_double()) return order_of(left.floating(), right.floating());
  if (left.is_double()) return reversed(order_of_mixed(right, left.floating()));
  if (right.is_double()) return order_of_mixed(left, right.floating());
  const auto a = small_integer(left);
  const auto b = small_integer(right);
  return a && b ? order_of(*a, *b) : order_of(big(left), big(right));
}

bool equal_dicts(Evaluator& evaluator, const Dict& left, const Dict& right) {
  if (left.items.size() != right.items.size()) return false;
  for (const auto& [key, value] : left.items) {
    const Value* other = right.find(key);
    if (!other || !equal(evaluator, value, *other)) return false;
  }
  return true;
}

bool equal_sequences(Evaluator& evaluator, const Sequence& left, const Sequence& right) {
  if (left.kind != right.kind || left.items.size() != right.items.size()) return false;
  for (size_t i = 0; i < left.items.size(); ++i) {
    if (!equal(evaluator, left.items[i], right.items[i])) return false;
  }
  return true;
}

bool equal_ranges(const Range& left, const Range& right) {
  if (left.size != right.size) return false;
  if (left.size == 0) return true;
  return left.start == right.start && (left.size == 1 || left.step == right.step);
}

// Only views of keys are compared by what they show.
bool equal_views(const DictView& left, const DictView& right) {
  if (left.what != DictView::What::keys || right.what != DictView::What::keys) return false;
  if (left.dict->items.size() != right.dict->items.size()) return false;
  const Dict& other = *right.dict;
  return std::all_of(left.dict->items.begin(), left.dict->items.end(),
                     [&](const auto& member) { return other.find(member.first) != nullptr; });
}

bool holds(CompareOp op, Order order) {
  switch (op) {
    case CompareOp::less: return order == Order::less;
    case CompareOp::less_equal: return order == Order::less || order == Order::same;
    case CompareOp::greater: return order == Order::greater;
    default: return order == Order::greater || order == Order::same;
  }
}

const char* spelling(CompareOp op) {
  switch (op) {
    case CompareOp::less: return "<";
    case CompareOp::less_equal: return "<=";
    case CompareOp::greater: return ">";
    default: return ">=";
  }
}

bool ordered_sequences(Evaluator& evaluator, CompareOp op, const Sequence& left, const Sequence& right) {
  const size_t common = std::min(left.items.size(), right.items.size());
  for (size_t i = 0; i < common; ++i) {
    if (!equal(evaluator, left.items[i], right.items[i])) {
      return ordered(evaluator, op, left.items[i], right.items[i]);
    }
  }
  return holds(op, order_of(left.items.size(), right.items.size()));
}

}  // namespace

bool equal(Evaluator& evaluator, const Value& left, const Value& right) {
  const Meter::Level level(evaluator.meter());
  evaluator.meter().step();
  if (left.is_text() || right.is_text()) {
    if (!left.is_text() || !right.is_text() || left.text().size() != right.text().size()) return false;
    evaluator.meter().scan(left.text().size());
    return left.view() == right.view();
  }
  if (is_number(left) && is_number(right)) return order_of_numbers(left, right) == Order::same;
  if (left.is_none() || right.is_none()) return left.is_none() && right.is_none();
  if (!left.is_object() || !right.is_object()) return false;
  if (left.object() == right.object()) return true;
  if (is_undefined(left) && is_undefined(right)) return true;
  const Sequence *a = sequence_of(left), *b = sequence_of(right);
  if (a && b) return equal_sequences(evaluator, *a, *b);
  const auto *dict = left.as<Dict>(), *other = right.as<Dict>();
  if (dict && other) return equal_dicts(evaluator, *dict, *other);
  const auto *view = left.as<DictView>(), *other_view = right.as<DictView>();
  if (view && other_view) return equal_views(*view, *other_view);
  const auto *range = left.as<Range>(), *other_range = right.as<Range>();
  return range && other_range && equal_ranges(*range, *other_range);
}

bool ordered(Evaluator& evaluator, CompareOp op, const Value& left, const Value& right) {
  const Meter::Level level(evaluator.meter());
  evaluator.meter().step();
  require_defined(left);
  require_defined(right);
  if (is_number(left) && is_number(right)) return holds(op, order_of_numbers(left, right));
  if (left.is_text() && right.is_text()) {
    evaluator.meter().scan(std::min(left.text().size(), right.text().size()));
    return holds(op, order_of(left.view(), right.view()));
  }
  const Sequence *a = sequence_of(left), *b = sequence_of(right);
  if (a && b && a->kind == b->kind) return ordered_sequences(evaluator, op, *a, *b);
  fail_type(fmt::format("'{}' not supported between instances of '{}' and '{}'", spelling(op),
                        type_name(left), type_name(right)));
}

bool contains(Evaluator& evaluator, const Value& container, const Value& item) {
  if (container.is_text()) {
    if (!item.is_text()) {
      fail_type(fmt::format("'in <string>' requires string as left operand, not {}", type_name(item)));
    }
    evaluator.meter().scan(container.text().size());
    return container.view().find(item.view()) != std::string_view::npos;
  }
  if (const auto* dict = container.as<Dict>()) {
    if (!is_key(item)) fail_type(fmt::format("unhashable type: '{}'", type_name(item)));
    return dict->find(item) != nullptr;
  }
  if (!is_iterable(container))
    fail_type(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  for (const Value& each : elements(evaluator, container)) {
    if (equal(evaluator, each, item)) return true;
  }
  return false;
}

bool compare(Evaluator& evaluator, CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case CompareOp::equal: return equal(evaluator, left, right);
    case CompareOp::not_equal: return !equal(evaluator, left, right);
    case CompareOp::in: return contains(evaluator, right, left);
    case CompareOp::not_in: return !contains(evaluator, right, left);
    default: return ordered(evaluator, op, left, right);
  }
}

}  // namespace hearth::tmpl::jinja
