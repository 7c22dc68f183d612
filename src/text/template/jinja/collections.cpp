#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "text/template/jinja/given.h"

// Methods of lists, tuples, dictionaries and loops. Those that change their object are allowed: a context is
// copied for each rendering.
namespace hearth::tmpl::jinja {
namespace {

using Methods = std::unordered_map<std::string_view, Native>;

void append(Evaluator& evaluator, List& list, const Value& value) {
  evaluator.meter().hold(sizeof(Value));
  list.items.push_back(value);
}

Value list_append(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("append", args, {"object"}, 1);
  append(evaluator, *self.as<List>(), given[0]);
  return {};
}

Value list_extend(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("extend", args, {"iterable"}, 1);
  for (const Value& value : elements(evaluator, given[0])) append(evaluator, *self.as<List>(), value);
  return {};
}

Value list_insert(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("insert", args, {"index", "object"}, 2);
  auto& items = self.as<List>()->items;
  const auto size = static_cast<int64_t>(items.size());
  int64_t at = given.integer(0, 0);
  if (at < 0) at = std::max<int64_t>(at + size, 0);
  evaluator.meter().hold(sizeof(Value));
  evaluator.meter().step(items.size());
  items.insert(items.begin() + static_cast<std::ptrdiff_t>(std::min(at, size)), given[1]);
  return {};
}

Value list_pop(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("pop", args, {"index"});
  auto& items = self.as<List>()->items;
  const auto size = static_cast<int64_t>(items.size());
  int64_t at = given.integer(0, -1);
  if (at < 0) at += size;
  if (at < 0 || at >= size) fail_type("pop index out of range");
  evaluator.meter().step(items.size());
  Value value = items[static_cast<size_t>(at)];
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
  return value;
}

size_t find_equal(Evaluator& evaluator, const Value& self, const Value& wanted) {
  const auto& items = sequence_of(self)->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equal(evaluator, items[i], wanted)) return i;
  }
  fail_type("the value is not in the list");
}

Value list_remove(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("remove", args, {"value"}, 1);
  auto& items = self.as<List>()->items;
  evaluator.meter().step(items.size());
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(find_equal(evaluator, self, given[0])));
  return {};
}

Value list_index(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("index", args, {"value"}, 1);
  return static_cast<int64_t>(find_equal(evaluator, self, given[0]));
}

Value list_count(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("count", args, {"value"}, 1);
  int64_t count = 0;
  for (const Value& item : sequence_of(self)->items) count += equal(evaluator, item, given[0]) ? 1 : 0;
  return count;
}

Value list_reverse(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("reverse", args, {});
  auto& items = self.as<List>()->items;
  evaluator.meter().step(items.size());
  std::reverse(items.begin(), items.end());
  return {};
}

Value list_sort(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("sort", args, {"reverse"});
  const CompareOp op = given.flag(0, false) ? CompareOp::greater : CompareOp::less;
  auto& items = self.as<List>()->items;
  std::vector<Value> sorted = items;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Value& a, const Value& b) { return ordered(evaluator, op, a, b); });
  items = std::move(sorted);
  return {};
}

Value list_copy(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("copy", args, {});
  evaluator.meter().step(self.as<List>()->items.size());
  return evaluator.list(self.as<List>()->items, self.as<List>()->origin);
}

Value list_clear(Evaluator&, const Value& self, Args& args) {
  const Given given("clear", args, {});
  self.as<List>()->items.clear();
  return {};
}

void require_key(const Value& key) {
  if (!is_key(key)) fail_type(fmt::format("unhashable type: '{}'", type_name(key)));
}

Value dict_get(Evaluator&, const Value& self, Args& args) {
  const Given given("get", args, {"key", "default"}, 1);
  require_key(given[0]);
  const Value* found = std::as_const(*self.as<Dict>()).find(given[0]);
  return found ? *found : given.value(1);
}

template <DictView::What what>
Value dict_view(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("keys, values and items", args, {});
  return evaluator.create<DictView>(0, self.as<Dict>(), what);
}

Value dict_pop(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("pop", args, {"key", "default"}, 1);
  require_key(given[0]);
  Dict& dict = *self.as<Dict>();
  evaluator.meter().step(dict.items.size());
  const Value* found = dict.find(given[0]);
  if (!found) {
    if (!given.has(1)) fail_type("pop(): the key is not in the dictionary");
    return given[1];
  }
  Value value = *found;
  dict.erase(given[0]);
  return value;
}

Value dict_popitem(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("popitem", args, {});
  Dict& dict = *self.as<Dict>();
  if (dict.items.empty()) fail_type("popitem(): the dictionary is empty");
  evaluator.meter().step(dict.items.size());
  const auto last = dict.items.back();
  dict.erase(last.first);
  return evaluator.tuple({last.first, last.second});
}

Value dict_setdefault(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("setdefault", args, {"key", "default"}, 1);
  require_key(given[0]);
  Dict& dict = *self.as<Dict>();
  if (const Value* found = dict.find(given[0])) return *found;
  evaluator.set(dict, given[0], given.value(1));
  return given.value(1);
}

Value dict_update(Evaluator& evaluator, const Value& self, Args& args) {
  Dict& dict = *self.as<Dict>();
  for (const Value& argument : args.positional) {
    if (const auto* other = argument.as<Dict>()) {
      evaluator.meter().step(other->items.size());
      const auto members = other->items;
      for (const auto& [key, value] : members) evaluator.set(dict, key, value);
      continue;
    }
    for (const Value& pair : elements(evaluator, argument)) {
      const auto parts = elements(evaluator, pair);
      if (parts.size() != 2) fail_type("update(): the members must be pairs");
      require_key(parts[0]);
      evaluator.set(dict, parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : args.named)
    evaluator.set(dict, evaluator.text(name, Origin::model), value);
  return {};
}

Value dict_copy(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("copy", args, {});
  Dict* copy = evaluator.dict(self.as<Dict>()->origin);
  for (const auto& [key, value] : self.as<Dict>()->items) evaluator.set(*copy, key, value);
  return copy;
}

Value dict_clear(Evaluator&, const Value& self, Args& args) {
  const Given given("clear", args, {});
  self.as<Dict>()->clear();
  return {};
}

Value loop_cycle(Evaluator&, const Value& self, Args& args) {
  if (args.positional.empty()) fail_type("no items for cycling given");
  return args.positional[self.as<Loop>()->index % args.positional.size()];
}

Value loop_changed(Evaluator& evaluator, const Value& self, Args& args) {
  Loop& loop = *self.as<Loop>();
  bool same = loop.has_changed && loop.changed.size() == args.positional.size();
  for (size_t i = 0; same && i < loop.changed.size(); ++i) {
    same = equal(evaluator, loop.changed[i], args.positional[i]);
  }
  loop.has_changed = true;
  loop.changed = args.positional;
  return !same;
}

const Methods& list_methods() {
  static const Methods table{{"append", list_append}, {"extend", list_extend},   {"insert", list_insert},
                             {"pop", list_pop},       {"remove", list_remove},   {"index", list_index},
                             {"count", list_count},   {"reverse", list_reverse}, {"sort", list_sort},
                             {"copy", list_copy},     {"clear", list_clear}};
  return table;
}

const Methods& dict_methods() {
  static const Methods table{{"get", dict_get},
                             {"keys", dict_view<DictView::What::keys>},
                             {"values", dict_view<DictView::What::values>},
                             {"items", dict_view<DictView::What::items>},
                             {"pop", dict_pop},
                             {"popitem", dict_popitem},
                             {"setdefault", dict_setdefault},
                             {"update", dict_update},
                             {"copy", dict_copy},
                             {"clear", dict_clear}};
  return table;
}

Native find(const Methods& methods, std::string_view name) {
  const auto found = methods.find(name);
  return found == methods.end() ? nullptr : found->second;
}

}  // namespace

Native collection_method(const Value& of, std::string_view name) {
  if (!of.is_object()) return nullptr;
  switch (of.object()->kind) {
    case Kind::list: return find(list_methods(), name);
    case Kind::dict: return find(dict_methods(), name);
    case Kind::tuple: return name == "index" ? list_index : name == "count" ? list_count : nullptr;
    case Kind::loop: return name == "cycle" ? loop_cycle : name == "changed" ? loop_changed : nullptr;
    default: return nullptr;
  }
}

}  // namespace hearth::tmpl::jinja
