#include <unordered_map>

#include "text/template/jinja/given.h"
#include "text/template/jinja/number.h"
#include "text/template/jinja/strftime.h"

// Functions that every template can call.
namespace hearth::tmpl::jinja {
namespace {

constexpr int64_t longest_range = 100'000;

void fill(Evaluator& evaluator, Dict& dict, const Args& args) {
  for (const Value& argument : args.positional) {
    if (const auto* other = argument.as<Dict>()) {
      for (const auto& [key, value] : other->items) evaluator.set(dict, key, value);
      continue;
    }
    for (const Value& pair : elements(evaluator, argument)) {
      const auto parts = elements(evaluator, pair);
      if (parts.size() != 2 || !is_key(parts[0]))
        fail_type("dict(): the members must be pairs of key and value");
      evaluator.set(dict, parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : args.named)
    evaluator.set(dict, evaluator.text(name, Origin::model), value);
}

Value make_dict(Evaluator& evaluator, const Value&, Args& args) {
  Dict* dict = evaluator.dict();
  fill(evaluator, *dict, args);
  return dict;
}

Value make_namespace(Evaluator& evaluator, const Value&, Args& args) {
  Space* space = evaluator.create<Space>(0);
  fill(evaluator, space->members, args);
  return space;
}

Value range(Evaluator& evaluator, const Value&, Args& args) {
  const Given given("range", args, {"start", "stop", "step"}, 1);
  for (size_t i = 0; i < args.positional.size(); ++i) {
    require_defined(given[i]);
    if (!small_integer(given[i])) fail_type("range(): the arguments must be integers");
  }
  const int64_t start = given.has(1) ? given.integer(0, 0) : 0;
  const int64_t stop = given.has(1) ? given.integer(1, 0) : given.integer(0, 0);
  const int64_t step = given.integer(2, 1);
  if (step == 0) fail_type("range(): the step must not be zero");
  BigInt count =
      step > 0 ? (BigInt(stop) - start + step - 1) / step : (BigInt(start) - stop - step - 1) / -BigInt(step);
  if (count < 0 || (step > 0 ? start >= stop : start <= stop)) count = 0;
  if (count > longest_range) fail_type("range(): longer than 100000");
  return evaluator.create<Range>(0, start, step, count.convert_to<int64_t>());
}

Value raise_exception(Evaluator& evaluator, const Value&, Args& args) {
  const Given given("raise_exception", args, {"message"}, 1);
  throw Failure{TemplateError::Kind::raised, std::string(string_of(evaluator, given[0]).view()), {}};
}

Value strftime_now(Evaluator& evaluator, const Value&, Args& args) {
  const Given given("strftime_now", args, {"format"}, 1);
  std::tm now{};
  if (evaluator.now()) {
    now = *evaluator.now();
  } else {
    const std::time_t seconds = std::time(nullptr);
    localtime_r(&seconds, &now);
  }
  const Text& format = given.text(0);
  evaluator.meter().expect(format.size() * 16);
  evaluator.meter().step(format.size());
  return evaluator.text(strftime(format.view(), now), format.origin());
}

// joiner(","): empty at the first call, the separator at each later one. Its state is a list [separator,
// used].
Value call_joiner(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("joiner", args, {});
  auto& state = self.as<List>()->items;
  const bool used = state[1].boolean();
  state[1] = true;
  return used ? state[0] : evaluator.text({});
}

Value make_joiner(Evaluator& evaluator, const Value&, Args& args) {
  const Given given("joiner", args, {"sep"});
  const Value separator = given.has(0) ? given[0] : evaluator.text(", ", Origin::model);
  const std::string_view name = "joiner";
  return evaluator.create<Function>(0, name, call_joiner, evaluator.list({separator, false}));
}

// cycler("a", "b"): an object whose next() goes round. Its state is a list whose first element is the
// position.
Value cycler_next(Evaluator&, const Value& self, Args&) {
  auto& state = self.as<List>()->items;
  const int64_t at = state[0].integer();
  state[0] = (at + 1) % static_cast<int64_t>(state.size() - 1);
  return state[static_cast<size_t>(at) + 1];
}

Value cycler_reset(Evaluator&, const Value& self, Args&) {
  self.as<List>()->items[0] = int64_t{0};
  return {};
}

Value make_cycler(Evaluator& evaluator, const Value&, Args& args) {
  if (args.positional.empty()) fail_type("cycler(): at least one item has to be provided");
  std::vector<Value> items{Value(int64_t{0})};
  items.insert(items.end(), args.positional.begin(), args.positional.end());
  const Value state = evaluator.list(std::move(items));
  Space* cycler = evaluator.create<Space>(0);
  const auto add = [&](std::string_view name, Native code) {
    evaluator.set(cycler->members, evaluator.text(std::string(name), Origin::model),
                  evaluator.create<Function>(0, name, code, state));
  };
  add("next", cycler_next);
  add("reset", cycler_reset);
  return cycler;
}

Value lipsum(Evaluator&, const Value&, Args&) { fail_type("lipsum() has no place in a chat template"); }

}  // namespace

Native function(std::string_view name) {
  static const std::unordered_map<std::string_view, Native> table{{"dict", make_dict},
                                                                  {"namespace", make_namespace},
                                                                  {"range", range},
                                                                  {"raise_exception", raise_exception},
                                                                  {"strftime_now", strftime_now},
                                                                  {"joiner", make_joiner},
                                                                  {"cycler", make_cycler},
                                                                  {"lipsum", lipsum}};
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace hearth::tmpl::jinja
