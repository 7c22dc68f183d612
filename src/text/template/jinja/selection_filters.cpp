#include <fmt/format.h>

#include "text/template/jinja/filters.h"
#include "text/template/jinja/given.h"
#include "text/template/jinja/tojson.h"

// map, select and their kin, which take the names of filters and tests.
namespace hearth::tmpl::jinja {
namespace {

Value taken(Args& args, const char* what) {
  if (args.positional.empty()) fail_type(fmt::format("{} needs an argument", what));
  Value value = args.positional.front();
  args.positional.erase(args.positional.begin());
  return value;
}

Value map(Evaluator& evaluator, const Value& self, Args& args) {
  std::vector<Value> out;
  if (!truth(self)) return evaluator.iterator({});
  if (args.positional.empty() && !args.named.empty()) {
    const Given given("map", args, {"attribute", "default"});
    if (!given.has(0)) fail_type("map() needs an attribute or a filter");
    const AttributeGetter get(evaluator, given[0], given.set(1) ? &given[1] : nullptr);
    for (const Value& value : elements(evaluator, self)) out.push_back(get(value));
    return evaluator.iterator(std::move(out));
  }
  const Value name = taken(args, "map() without attribute");
  for (const Value& value : elements(evaluator, self))
    out.push_back(apply_filter(evaluator, name, value, args));
  return evaluator.iterator(std::move(out));
}

template <bool by_attribute, bool keep>
Value select(Evaluator& evaluator, const Value& self, Args& args) {
  if (!truth(self)) return evaluator.iterator({});
  const Value path = by_attribute ? taken(args, "selectattr/rejectattr") : Value();
  const AttributeGetter get(evaluator, path);
  const bool tested = !args.positional.empty();
  const Value name = tested ? taken(args, "select") : Value();
  std::vector<Value> out;
  for (const Value& value : elements(evaluator, self)) {
    const Value subject = get(value);
    const bool passes = tested ? apply_test(evaluator, name, subject, args) : truth(subject);
    if (passes == keep) out.push_back(value);
  }
  return evaluator.iterator(std::move(out));
}

}  // namespace

Value apply_filter(Evaluator& evaluator, const Value& name, const Value& value, const Args& args) {
  const Native native = name.is_text() ? filter(name.view()) : nullptr;
  if (!native) fail_type(fmt::format("there is no filter '{}'", string_of(evaluator, name).view()));
  Args own = args;  // a filter may take them away
  return native(evaluator, value, own);
}

bool apply_test(Evaluator& evaluator, const Value& name, const Value& value, const Args& args) {
  const Native native = name.is_text() ? test(name.view()) : nullptr;
  if (!native) fail_type(fmt::format("there is no test '{}'", string_of(evaluator, name).view()));
  Args own = args;
  return truth(native(evaluator, value, own));
}

Native selection_filter(std::string_view name) {
  if (name == "map") return map;
  if (name == "select") return select<false, true>;
  if (name == "reject") return select<false, false>;
  if (name == "selectattr") return select<true, true>;
  return name == "rejectattr" ? select<true, false> : nullptr;
}

Native filter(std::string_view name) {
  for (const auto& look_up : {json_filter, text_filter, sequence_filter, selection_filter, number_filter}) {
    if (const Native found = look_up(name)) return found;
  }
  return nullptr;
}

}  // namespace hearth::tmpl::jinja
