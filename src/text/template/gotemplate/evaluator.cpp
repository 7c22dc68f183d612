#include "text/template/gotemplate/evaluator.h"

#include <fmt/format.h>

#include "text/template/gotemplate/print.h"

namespace hearth::gotmpl {
namespace {

// Runs `work`; a failure without a place gets this one.
template <class Work>
auto at(Position position, Work work) {
  try {
    return work();
  } catch (tmpl::Failure& failure) {
    if (failure.at.line == 0) failure.at = position;
    throw;
  }
}

}  // namespace

void Evaluator::run(const Value& root, Output& out, size_t last) {
  call(tree_.definitions.front(), root, out, last);
}

void Evaluator::call(const Definition& definition, Value argument, Output& out, size_t last) {
  const Meter::Level level(environment_.meter);
  environment_.meter.hold(definition.slots * sizeof(Value));
  environment_.meter.step(definition.slots);
  Frame frame{std::vector<Value>(definition.slots), last};
  frame.slots[0] = std::move(argument);
  const Value dot = frame.slots[0];
  body(definition.body, dot, frame, out);
  environment_.meter.release(definition.slots * sizeof(Value));
}

Evaluator::Flow Evaluator::body(const Body& body, const Value& dot, Frame& frame, Output& out) {
  const Meter::Level level(environment_.meter);
  for (const Node& each : body) {
    if (each.offset > frame.last) break;
    const Flow flow = node(each, dot, frame, out);
    if (flow != Flow::on) return flow;
  }
  return Flow::on;
}

Evaluator::Flow Evaluator::node(const Node& node, const Value& dot, Frame& frame, Output& out) {
  environment_.meter.step();
  return at(node.at, [&] {
    if (const auto* text = std::get_if<TextNode>(&node.what)) {
      out.add(*text->text);
    } else if (const auto* action = std::get_if<ActionNode>(&node.what)) {
      const Value value = pipeline(action->pipeline, dot, frame);
      if (action->pipeline.slots.empty()) print_action(value, out);
    } else if (const auto* chosen = std::get_if<BranchNode>(&node.what)) {
      return branch(*chosen, dot, frame, out);
    } else if (const auto* repeated = std::get_if<RangeNode>(&node.what)) {
      return range(*repeated, dot, frame, out);
    } else if (const auto* called = std::get_if<CallNode>(&node.what)) {
      Value argument;
      if (!called->argument.commands.empty()) argument = pipeline(called->argument, dot, frame);
      call(tree_.definitions[called->definition], std::move(argument), out, whole);
    } else {
      return std::get<JumpNode>(node.what).leaves ? Flow::leave : Flow::repeat;
    }
    return Flow::on;
  });
}

Evaluator::Flow Evaluator::branch(const BranchNode& node, const Value& dot, Frame& frame, Output& out) {
  for (const auto& each : node.branches) {
    environment_.meter.step();
    const Value value = pipeline(each.pipeline, dot, frame);
    if (truth(value)) return body(each.body, node.with ? value : dot, frame, out);
  }
  return body(node.otherwise, dot, frame, out);
}

template <class Element>
Evaluator::Flow Evaluator::loop(const RangeNode& node, size_t count, Element element, Frame& frame,
                                Output& out) {
  const std::vector<size_t>& slots = node.pipeline.slots;
  for (size_t i = 0; i < count; ++i) {
    environment_.meter.step();
    const std::pair<Value, Value> each = element(i);
    if (!slots.empty()) frame.slots[slots.back()] = each.second;
    if (slots.size() > 1) frame.slots[slots.front()] = each.first;
    if (body(node.body, each.second, frame, out) == Flow::leave) break;
  }
  return Flow::on;
}

Evaluator::Flow Evaluator::range(const RangeNode& node, const Value& dot, Frame& frame, Output& out) {
  using Pair = std::pair<Value, Value>;
  const Value value = pipeline(node.pipeline, dot, frame, false);
  if (const auto* list = as<List>(value)) {
    if (!list->items.empty()) {
      return loop(
          node, list->items.size(), [&](size_t i) { return Pair(static_cast<int64_t>(i), list->items[i]); },
          frame, out);
    }
  } else if (const auto* map = as<Map>(value)) {
    if (!map->entries.empty()) {
      return loop(
          node, map->entries.size(),
          [&](size_t i) { return Pair(map->entries[i].key, map->entries[i].value); }, frame, out);
    }
  } else if (const auto* count = std::get_if<int64_t>(&value)) {
    if (*count > 0) {
      return loop(
          node, static_cast<size_t>(*count),
          [](size_t i) { return Pair(static_cast<int64_t>(i), static_cast<int64_t>(i)); }, frame, out);
    }
  } else if (!is_nil(value)) {
    tmpl::fail_type(fmt::format("range cannot iterate over a value of type {}", type_name(value)));
  }
  return body(node.otherwise, dot, frame, out);
}

Value Evaluator::pipeline(const Pipeline& pipeline, const Value& dot, Frame& frame, bool stores) {
  const Meter::Level level(environment_.meter);
  Value value;
  for (size_t i = 0; i < pipeline.commands.size(); ++i) {
    value = command(pipeline.commands[i], dot, frame, i == 0 ? nullptr : &value);
  }
  if (stores && !pipeline.slots.empty()) frame.slots[pipeline.slots.front()] = value;
  return value;
}

Value Evaluator::command(const Command& command, const Value& dot, Frame& frame, const Value* last) {
  environment_.meter.step();
  const Operand& first = command.words.front();
  return at(first.at, [&] {
    if (first.what == Operand::What::function && first.fields.empty())
      return invoke(*first.function, command, dot, frame, last);
    if (first.what == Operand::What::nil) tmpl::fail_type("nil is not a command");
    if (last || command.words.size() > 1)
      tmpl::fail_type("this is no function: it cannot be given an argument");
    return operand(first, dot, frame);
  });
}

Value Evaluator::invoke(const Builtin& function, const Command& command, const Value& dot, Frame& frame,
                        const Value* last) {
  const size_t words = command.words.size() - 1;
  const size_t count = words + (last ? 1 : 0);
  if (count < function.least || count > function.most)
    tmpl::fail_type(fmt::format("wrong number of arguments for {}: {}", function.name, count));
  std::vector<Value> arguments;
  arguments.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    arguments.push_back(i < words ? operand(command.words[i + 1], dot, frame) : *last);
    if (function.stops != Builtin::Stops::never &&
        truth(arguments.back()) == (function.stops == Builtin::Stops::at_true)) {
      return arguments.back();
    }
  }
  return function.stops == Builtin::Stops::never ? function.call(environment_, arguments) : arguments.back();
}

Value Evaluator::operand(const Operand& operand, const Value& dot, Frame& frame) {
  environment_.meter.step();
  return at(operand.at, [&] {
    Value value;
    switch (operand.what) {
      case Operand::What::literal: return operand.literal;
      case Operand::What::nil: return value;
      case Operand::What::dot: value = dot; break;
      case Operand::What::variable: value = frame.slots[operand.slot]; break;
      case Operand::What::pipeline: value = pipeline(*operand.pipeline, dot, frame); break;
      case Operand::What::function: {
        if (operand.function->least > 0)
          tmpl::fail_type(fmt::format("wrong number of arguments for {}: 0", operand.function->name));
        value = operand.function->call(environment_, {});
        break;
      }
    }
    if (is_nil(value)) return value;  // as Go: only what a field gave may not be nil
    for (const std::string& name : operand.fields) value = field(value, name);
    return value;
  });
}

Value Evaluator::field(const Value& of, const std::string& name) {
  environment_.meter.step();
  if (const auto* map = as<Map>(of)) {
    environment_.meter.step(map->entries.size() / 8);
    const Value* found = map->find(name);
    return found ? *found : Value();
  }
  if (const auto* record = as<Record>(of)) {
    if (const Value* found = record->find(name)) return *found;
    tmpl::fail_undefined(fmt::format("{} has no field {}", record->type.name, name));
  }
  if (is_nil(of)) tmpl::fail_undefined(fmt::format("field {} of nil", name));
  tmpl::fail_type(fmt::format("a value of type {} has no field {}", type_name(of), name));
}

}  // namespace hearth::gotmpl
