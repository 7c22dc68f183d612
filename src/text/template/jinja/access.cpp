#include <fmt/format.h>

#include <algorithm>

#include "text/template/jinja/number.h"

// a.b, a[b], a[b:c:d].
namespace hearth::tmpl::jinja {
namespace {

// Attributes of `loop` that are not methods.
std::optional<Value> loop_attribute(Evaluator& evaluator, const Loop& loop, std::string_view name) {
  const auto index = static_cast<int64_t>(loop.index);
  const auto size = static_cast<int64_t>(loop.items.size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return size - index;
  if (name == "revindex0") return size - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == size;
  if (name == "length") return size;
  if (name == "depth") return static_cast<int64_t>(loop.depth) + 1;
  if (name == "depth0") return static_cast<int64_t>(loop.depth);
  const bool previous = name == "previtem";
  if (!previous && name != "nextitem") return std::nullopt;
  if (previous && index > 0) return loop.items[loop.index - 1];
  if (!previous && index + 1 < size) return loop.items[loop.index + 1];
  return evaluator.create<Undefined>(
      0, std::string(previous ? "there is no previous item" : "there is no next item"));
}

std::optional<Value> macro_attribute(Evaluator& evaluator, const Macro& macro, std::string_view name) {
  const MacroStatement& definition = macro.definition;
  if (name == "name") return evaluator.text(definition.name, Origin::model);
  if (name == "catch_kwargs") return definition.uses_kwargs;
  if (name == "catch_varargs") return definition.uses_varargs;
  if (name == "caller") return definition.uses_caller;
  if (name != "arguments") return std::nullopt;
  std::vector<Value> names;
  for (const Parameter& parameter : definition.parameters) {
    names.push_back(evaluator.text(parameter.name, Origin::model));
  }
  return evaluator.tuple(std::move(names));
}

// What Python's getattr finds, keys of a dictionary aside.
std::optional<Value> own_attribute(Evaluator& evaluator, const Value& of, std::string_view name) {
  if (const Native native = method(of, name)) {
    const std::string_view known = "method";
    return evaluator.create<Function>(0, known, native, of);
  }
  if (const auto* space = of.as<Space>()) {
    const Value* member = space->members.find(name);
    return member ? std::optional<Value>(*member) : std::nullopt;
  }
  if (const auto* loop = of.as<Loop>()) return loop_attribute(evaluator, *loop, name);
  if (const auto* macro = of.as<Macro>()) return macro_attribute(evaluator, *macro, name);
  if (const auto* range = of.as<Range>()) {
    if (name == "start") return range->start;
    if (name == "stop") return range->start + range->size * range->step;
    if (name == "step") return range->step;
  }
  const auto* tuple = of.as<Tuple>();
  if (tuple && tuple->group && name == "grouper") return tuple->items[0];
  if (tuple && tuple->group && name == "list") return tuple->items[1];
  return std::nullopt;
}

// The position that a[index] means, absent outside of the sequence.
std::optional<size_t> position(const Value& index, size_t size) {
  auto at = small_integer(index);
  if (!at) return std::nullopt;
  if (*at < 0) *at += static_cast<int64_t>(size);
  if (*at < 0 || *at >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<size_t>(*at);
}

std::optional<Value> element(Evaluator& evaluator, const Value& of, const Value& key) {
  if (const auto* dict = of.as<Dict>()) {
    const Value* found = is_key(key) ? dict->find(key) : nullptr;
    return found ? std::optional<Value>(*found) : std::nullopt;
  }
  const bool indexable = of.is_text() || sequence_of(of) || of.as<Range>();
  if (!indexable) return std::nullopt;
  const auto at = position(key, *length(of));
  if (!at) return std::nullopt;
  if (const Sequence* sequence = sequence_of(of)) return sequence->items[*at];
  if (const auto* range = of.as<Range>()) return range->start + static_cast<int64_t>(*at) * range->step;
  const Text& text = of.text();
  evaluator.meter().scan(text.size());
  const size_t from = text.offset(*at);
  size_t to = from + 1;
  while (to < text.size() && continues(text.view()[to])) ++to;
  return substring(evaluator, text, from, to);
}

// A slice's bounds as Python computes them: `count` elements from `start` by `step`.
struct Bounds {
  int64_t start;
  int64_t step;
  int64_t count;
};

std::optional<int64_t> slice_index(const Value& value) {
  require_defined(value);
  if (value.is_none()) return std::nullopt;
  if (const auto* huge = value.as<BigInteger>()) return huge->value < 0 ? INT64_MIN / 2 : INT64_MAX / 2;
  const auto index = small_integer(value);
  if (!index) fail_type("slice indices must be integers or None");
  return std::clamp<int64_t>(*index, INT64_MIN / 2, INT64_MAX / 2);
}

Bounds bounds_of(size_t length, const Value& start, const Value& stop, const Value& step_value) {
  const auto size = static_cast<int64_t>(length);
  const int64_t step = slice_index(step_value).value_or(1);
  if (step == 0) fail_type("slice step cannot be zero");
  const int64_t lowest = step < 0 ? -1 : 0;
  const int64_t highest = step < 0 ? size - 1 : size;
  const auto clamped = [&](const Value& bound, int64_t absent) {
    const auto given = slice_index(bound);
    if (!given) return absent;
    return std::clamp(*given < 0 ? *given + size : *given, lowest, highest);
  };
  const int64_t from = clamped(start, step < 0 ? highest : lowest);
  const int64_t to = clamped(stop, step < 0 ? lowest : highest);
  const int64_t distance = step < 0 ? from - to : to - from;
  const int64_t stride = step < 0 ? -step : step;
  return {from, step, distance <= 0 ? 0 : (distance - 1) / stride + 1};
}

Value slice_text(Evaluator& evaluator, const Text& text, const Bounds& bounds) {
  if (bounds.count == 0) return evaluator.text({});
  if (bounds.step == 1) {
    return substring(evaluator, text, text.offset(static_cast<size_t>(bounds.start)),
                     text.offset(static_cast<size_t>(bounds.start + bounds.count)));
  }
  evaluator.meter().step(text.length());
  evaluator.meter().expect(text.length() * sizeof(size_t));
  std::vector<size_t> starts;  // of each character, and the end
  for (size_t at = 0; at < text.size(); ++at) {
    if (!continues(text.view()[at])) starts.push_back(at);
  }
  starts.push_back(text.size());
  Marked out;
  for (int64_t i = 0; i < bounds.count; ++i) {
    const auto at = static_cast<size_t>(bounds.start + i * bounds.step);
    out.append(text, starts[at], starts[at + 1]);
  }
  return evaluator.text(std::move(out));
}

}  // namespace

Native method(const Value& of, std::string_view name) {
  return of.is_text() ? text_method(name) : collection_method(of, name);
}

Value attribute(Evaluator& evaluator, const Value& of, const TextRef& name) {
  require_defined(of);
  if (auto found = own_attribute(evaluator, of, name->view())) return *std::move(found);
  if (const auto* dict = of.as<Dict>()) {
    if (const Value* value = dict->find(name->view())) return *value;
  }
  return evaluator.undefined(owner_name(of), name);
}

Value item(Evaluator& evaluator, const Value& of, const Value& key) {
  require_defined(of);
  if (auto found = element(evaluator, of, key)) return *std::move(found);
  if (key.is_text()) {
    if (auto found = own_attribute(evaluator, of, key.view())) return *std::move(found);
    return evaluator.undefined(owner_name(of), key);
  }
  if (key.is_integer()) return evaluator.undefined(owner_name(of), key);
  return evaluator.create<Undefined>(0, fmt::format("{} has no such element", owner_name(of)));
}

Value substring(Evaluator& evaluator, const Text& text, size_t from_byte, size_t to_byte) {
  Marked out;
  if (from_byte < to_byte) out.append(text, from_byte, std::min(to_byte, text.size()));
  evaluator.meter().scan(out.size());
  return evaluator.text(std::move(out));
}

Value slice(Evaluator& evaluator, const Value& of, const Value& start, const Value& stop, const Value& step) {
  require_defined(of);
  const Sequence* sequence = sequence_of(of);
  const auto* range = of.as<Range>();
  if (!of.is_text() && !sequence && !range)
    fail_type(fmt::format("'{}' object cannot be sliced", type_name(of)));
  const Bounds bounds = bounds_of(*length(of), start, stop, step);
  if (of.is_text()) return slice_text(evaluator, of.text(), bounds);
  if (range) {
    return evaluator.create<Range>(0, range->start + bounds.start * range->step, range->step * bounds.step,
                                   bounds.count);
  }
  evaluator.meter().step(static_cast<uint64_t>(bounds.count));
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(bounds.count));
  for (int64_t i = 0; i < bounds.count; ++i) {
    items.push_back(sequence->items[static_cast<size_t>(bounds.start + i * bounds.step)]);
  }
  if (of.as<Tuple>()) return evaluator.tuple(std::move(items));
  return evaluator.list(std::move(items), sequence->origin);
}

}  // namespace hearth::tmpl::jinja
