#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "text/template/jinja/filters.h"
#include "text/template/jinja/given.h"
#include "text/template/jinja/text_ops.h"

// Filters on lists and dictionaries as a whole.
namespace hearth::tmpl::jinja {
namespace {

Value by_default(Evaluator&, const Value& self, Args& args) {
  const Given given("default", args, {"default_value", "boolean"});
  const bool absent = is_undefined(self) || (given.flag(1, false) && !truth(self));
  if (!absent) return self;
  return given.has(0) ? given[0] : Value(TextRef(new Text({}, nullptr)));
}

Value count(Evaluator&, const Value& self, Args& args) {
  const Given given("length", args, {});
  return static_cast<int64_t>(length_or_fail(self));
}

Value list(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("list", args, {});
  const auto* sequence = self.as<List>();
  const Origin origin = sequence ? sequence->origin : Origin::model;
  return evaluator.list(elements(evaluator, self), origin);
}

Value items(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("items", args, {});
  if (is_undefined(self)) return evaluator.iterator({});
  const auto* dict = self.as<Dict>();
  if (!dict) fail_type("items: can only get item pairs from a mapping");
  evaluator.meter().step(dict->items.size());
  std::vector<Value> pairs;
  for (const auto& [key, value] : dict->items) pairs.push_back(evaluator.tuple({key, value}));
  return evaluator.iterator(std::move(pairs));
}

Value dictsort(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("dictsort", args, {"case_sensitive", "by", "reverse"});
  require_defined(self);
  const auto* dict = self.as<Dict>();
  if (!dict) fail_type(fmt::format("dictsort() needs a mapping, not {}", type_name(self)));
  const bool by_value = given.has(1) && given.text(1).view() == "value";
  if (given.has(1) && !by_value && given.text(1).view() != "key") {
    fail_type("dictsort(): you can only sort by either \"key\" or \"value\"");
  }
  std::vector<Value> pairs;
  std::vector<Value> keys;
  for (const auto& [key, value] : dict->items) {
    pairs.push_back(evaluator.tuple({key, value}));
    const Value& by = by_value ? value : key;
    keys.push_back(given.flag(0, false) ? by : without_case(evaluator, by));
  }
  return evaluator.list(sorted(evaluator, pairs, keys, given.flag(2, false)));
}

Value first(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("first", args, {});
  if (self.is_text() && !self.text().empty()) return item(evaluator, self, int64_t{0});
  auto* iterator = self.as<Iterator>();
  if (iterator && !iterator->items.empty()) {
    Value value = iterator->items.front();
    iterator->items.erase(iterator->items.begin());
    return value;
  }
  const std::vector<Value> all = elements(evaluator, self);
  return all.empty()
             ? Value(evaluator.create<Undefined>(0, std::string("No first item, sequence was empty.")))
             : all.front();
}

Value last(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("last", args, {});
  if (self.is_text() && !self.text().empty()) return item(evaluator, self, int64_t{-1});
  if (self.as<Iterator>()) fail_type("'generator' object is not reversible");
  const std::vector<Value> all = elements(evaluator, self);
  return all.empty() ? Value(evaluator.create<Undefined>(0, std::string("No last item, sequence was empty.")))
                     : all.back();
}

Value joined(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("join", args, {"d", "attribute"});
  std::vector<Value> all = elements(evaluator, self);
  if (given.set(1)) {
    const AttributeGetter get(evaluator, given[1]);
    for (Value& value : all) value = get(value);
  }
  const Value separator = given.has(0) ? string_of(evaluator, given[0]) : evaluator.text({});
  return join(evaluator, separator.text(), all);
}

Value reverse(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("reverse", args, {});
  if (self.is_text()) return slice(evaluator, self, {}, {}, int64_t{-1});
  std::vector<Value> all = elements(evaluator, self);
  std::reverse(all.begin(), all.end());
  return evaluator.iterator(std::move(all));
}

Value key_of(Evaluator& evaluator, const AttributeGetter& get, const Value& value, bool case_sensitive) {
  const Value found = get(value);
  return case_sensitive ? found : without_case(evaluator, found);
}

// Tuples of one or more attributes. As members of a tuple, equal keys need no order: two undefined ones are
// fine.
std::vector<Value> sort_keys(Evaluator& evaluator, const std::vector<Value>& all, const Value& path,
                             bool case_sensitive) {
  std::vector<AttributeGetter> getters;
  if (path.is_text() && path.view().find(',') != std::string_view::npos) {
    const Text comma(Marked(",", Origin::model), nullptr);
    for (const Value& part : split(evaluator, path.text(), &comma, -1)) getters.emplace_back(evaluator, part);
  } else {
    getters.emplace_back(evaluator, path);
  }
  std::vector<Value> keys;
  keys.reserve(all.size());
  for (const Value& value : all) {
    std::vector<Value> parts;
    parts.reserve(getters.size());
    for (const AttributeGetter& get : getters) parts.push_back(key_of(evaluator, get, value, case_sensitive));
    keys.push_back(evaluator.tuple(std::move(parts)));
  }
  return keys;
}

std::vector<Value> keys_by(Evaluator& evaluator, const std::vector<Value>& all, const Value& path,
                           bool case_sensitive) {
  const AttributeGetter get(evaluator, path);
  std::vector<Value> keys;
  keys.reserve(all.size());
  for (const Value& value : all) keys.push_back(key_of(evaluator, get, value, case_sensitive));
  return keys;
}

Value sort(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("sort", args, {"reverse", "case_sensitive", "attribute"});
  const std::vector<Value> all = elements(evaluator, self);
  const auto keys = sort_keys(evaluator, all, given.value(2), given.flag(1, false));
  return evaluator.list(sorted(evaluator, all, keys, given.flag(0, false)));
}

Value unique(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("unique", args, {"case_sensitive", "attribute"});
  const std::vector<Value> all = elements(evaluator, self);
  const auto keys = keys_by(evaluator, all, given.value(1), given.flag(0, false));
  Dict* seen = evaluator.dict();
  std::vector<Value> kept;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!is_key(keys[i])) fail_type(fmt::format("unhashable type: '{}'", type_name(keys[i])));
    if (std::as_const(*seen).find(keys[i])) continue;
    evaluator.set(*seen, keys[i], true);
    kept.push_back(all[i]);
  }
  return evaluator.iterator(std::move(kept));
}

template <CompareOp op>
Value extreme(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("min/max", args, {"case_sensitive", "attribute"});
  const std::vector<Value> all = elements(evaluator, self);
  if (all.empty()) {
    return evaluator.create<Undefined>(0, std::string("No aggregated item, sequence was empty."));
  }
  const auto keys = keys_by(evaluator, all, given.value(1), given.flag(0, false));
  size_t best = 0;
  for (size_t i = 1; i < all.size(); ++i) {
    if (ordered(evaluator, op, keys[i], keys[best])) best = i;
  }
  return all[best];
}

Value sum(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("sum", args, {"attribute", "start"});
  const AttributeGetter get(evaluator, given.value(0));
  Value total = given.value(1, int64_t{0});
  if (total.is_text()) fail_type("sum() can't sum strings");
  for (const Value& value : elements(evaluator, self)) {
    total = binary(evaluator, BinaryOp::add, total, get(value));
  }
  return total;
}

Value batch(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("batch", args, {"linecount", "fill_with"}, 1);
  const int64_t size = given.integer(0, 1);
  std::vector<Value> rows;
  std::vector<Value> row;
  for (const Value& value : elements(evaluator, self)) {
    if (static_cast<int64_t>(row.size()) == size) rows.push_back(evaluator.list(std::exchange(row, {})));
    row.push_back(value);
  }
  if (!row.empty()) {
    while (given.set(1) && static_cast<int64_t>(row.size()) < size) {
      evaluator.meter().step();
      evaluator.meter().expect(row.size() * sizeof(Value));
      row.push_back(given[1]);
    }
    rows.push_back(evaluator.list(std::move(row)));
  }
  return evaluator.iterator(std::move(rows));
}

Value columns(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("slice", args, {"slices", "fill_with"}, 1);
  const int64_t slices = given.integer(0, 1);
  if (slices <= 0) fail_type("slice(): the number of slices must be positive");
  const std::vector<Value> all = elements(evaluator, self);
  const auto size = static_cast<int64_t>(all.size());
  const int64_t each = size / slices;
  const int64_t longer = size % slices;
  std::vector<Value> rows;
  int64_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    evaluator.meter().step();
    const int64_t count = each + (i < longer ? 1 : 0);
    std::vector<Value> row(all.begin() + at, all.begin() + at + count);
    at += count;
    if (given.set(1) && i >= longer) row.push_back(given[1]);
    rows.push_back(evaluator.list(std::move(row)));
  }
  return evaluator.iterator(std::move(rows));
}

Value groupby(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const std::vector<Value> all = elements(evaluator, self);
  const AttributeGetter get(evaluator, given[0], given.set(1) ? &given[1] : nullptr);
  std::vector<Value> names;
  std::vector<Value> keys;
  std::vector<Value> order;
  for (size_t i = 0; i < all.size(); ++i) {
    names.push_back(get(all[i]));
    keys.push_back(given.flag(2, false) ? names.back() : without_case(evaluator, names.back()));
    order.emplace_back(static_cast<int64_t>(i));
  }
  std::vector<Value> groups;
  const Value* current = nullptr;
  for (const Value& index : sorted(evaluator, order, keys, false)) {
    const auto at = static_cast<size_t>(index.integer());
    if (!current || !equal(evaluator, *current, keys[at])) {
      Tuple* group = evaluator.tuple({names[at], evaluator.list({})}).as<Tuple>();
      group->group = true;
      groups.emplace_back(group);
      current = &keys[at];
    }
    evaluator.meter().hold(sizeof(Value));
    groups.back().as<Tuple>()->items[1].as<List>()->items.push_back(all[at]);
  }
  return evaluator.list(std::move(groups));
}

// Any of them: the first, so that a prompt is the same each time.
Value random(Evaluator& evaluator, const Value& self, Args& args) { return first(evaluator, self, args); }

Value attr(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("attr", args, {"name"}, 1);
  const Text& name = given.text(0);
  if (self.as<Dict>() && !method(self, name.view())) return evaluator.undefined(owner_name(self), given[0]);
  return attribute(evaluator, self, given[0].text_ref());
}

}  // namespace

Native sequence_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Native> table{{"default", by_default},
                                                                  {"d", by_default},
                                                                  {"length", count},
                                                                  {"count", count},
                                                                  {"list", list},
                                                                  {"items", items},
                                                                  {"dictsort", dictsort},
                                                                  {"first", first},
                                                                  {"last", last},
                                                                  {"join", joined},
                                                                  {"reverse", reverse},
                                                                  {"sort", sort},
                                                                  {"unique", unique},
                                                                  {"min", extreme<CompareOp::less>},
                                                                  {"max", extreme<CompareOp::greater>},
                                                                  {"sum", sum},
                                                                  {"batch", batch},
                                                                  {"slice", columns},
                                                                  {"groupby", groupby},
                                                                  {"random", random},
                                                                  {"attr", attr}};
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace hearth::tmpl::jinja
