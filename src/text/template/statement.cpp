#include <fmt/format.h>

#include <algorithm>

#include "text/template/evaluator.h"

// How statements run.
namespace hearth::tmpl {

// The current scope for as long as it lives.
class Evaluator::InFrame {
 public:
  InFrame(Evaluator& evaluator, Frame* parent)
      : evaluator_(evaluator), outer_(evaluator.frame_), inner_(evaluator.new_frame(parent)) {
    evaluator_.frame_ = inner_;
  }
  ~InFrame() {
    evaluator_.frame_ = outer_;
    evaluator_.drop(inner_);
  }
  InFrame(const InFrame&) = delete;
  InFrame& operator=(const InFrame&) = delete;

  Frame& operator*() const { return *inner_; }

 private:
  Evaluator& evaluator_;
  Frame* outer_;
  Frame* inner_;
};

Evaluator::Evaluator(const Tree& tree, const Json& context, const RenderOptions& options)
    : tree_(tree), context_(context), options_(options), meter_(options.limits), root_(tree.names.size()) {
  const auto loop = tree.symbols.find("loop");
  loop_symbol_ = loop == tree.symbols.end() ? static_cast<Symbol>(tree.names.size()) : loop->second;
}

Marked Evaluator::render() {
  Marked out;
  execute(tree_.body, out);
  return out;
}

Frame* Evaluator::new_frame(Frame* parent) {
  Frame* frame = nullptr;
  if (spare_frames_.empty()) {
    frame = create<Frame>(0);
  } else {
    frame = spare_frames_.back();
    spare_frames_.pop_back();
  }
  frame->parent = parent;
  return frame;
}

void Evaluator::drop(Frame* frame) {
  if (frame->captured) return;
  frame->slots.clear();
  spare_frames_.push_back(frame);
}

Evaluator::Flow Evaluator::execute(const Body& body, Marked& out) {
  for (const auto& statement : body.statements) {
    const Flow flow = execute(*statement, out);
    if (flow != Flow::go_on) return flow;
  }
  return Flow::go_on;
}

Evaluator::Flow Evaluator::execute(const Statement& statement, Marked& out) {
  meter_.step();
  const Meter::Level level(meter_);
  try {
    return dispatch(statement, out);
  } catch (Failure& failure) {
    if (failure.at.line == 0) failure.at = statement.at;
    throw;
  }
}

Evaluator::Flow Evaluator::dispatch(const Statement& statement, Marked& out) {
  switch (statement.kind) {
    case StatementKind::text: write(static_cast<const TextStatement&>(statement).text, out); break;
    case StatementKind::print: write(evaluate(*static_cast<const Print&>(statement).value), out); break;
    case StatementKind::branch: return branch(static_cast<const Branch&>(statement), out);
    case StatementKind::loop: {
      const auto& each = static_cast<const ForStatement&>(statement);
      return loop(each, evaluate(*each.over), 0, out);
    }
    case StatementKind::assign: {
      const auto& assignment = static_cast<const Assign&>(statement);
      assign(assignment.target, evaluate(*assignment.value));
      break;
    }
    case StatementKind::capture: {
      const auto& capture = static_cast<const Capture&>(statement);
      assign(capture.target, captured(capture));
      break;
    }
    case StatementKind::macro: define(static_cast<const MacroStatement&>(statement)); break;
    case StatementKind::call_block: call_block(static_cast<const CallBlock&>(statement), out); break;
    case StatementKind::filter_block: write(captured(static_cast<const Capture&>(statement)), out); break;
    case StatementKind::scope: return scope(static_cast<const Scope&>(statement), out);
    case StatementKind::leave_loop: return Flow::leave_loop;
    case StatementKind::next_pass: return Flow::next_pass;
  }
  return Flow::go_on;
}

// Unfinished output is held until `finished` turns it into a value.
void Evaluator::write(std::string_view literal, Marked& out) {
  meter_.scan(literal.size());
  meter_.output(out.size() + literal.size());
  meter_.hold(literal.size());
  out.append(literal, Origin::model);
}

void Evaluator::write(const Value& value, Marked& out) {
  const size_t before = out.size();
  dialect().print(*this, value, out);
  meter_.output(out.size());
  meter_.hold(out.size() - before);
}

Value Evaluator::finished(Marked out) {
  meter_.release(out.size());
  return text(std::move(out));
}

Evaluator::Flow Evaluator::branch(const Branch& statement, Marked& out) {
  for (const auto& [condition, body] : statement.arms) {
    if (truth(evaluate(*condition))) return execute(body, out);
  }
  return execute(statement.otherwise, out);
}

Evaluator::Flow Evaluator::loop(const ForStatement& statement, const Value& over, size_t depth, Marked& out) {
  Loop* state = create<Loop>(0);
  state->items = chosen(statement, over);
  meter_.hold(state->items.size() * sizeof(Value));
  state->depth = depth;
  state->frame = frame_;
  if (statement.recursive) state->statement = &statement;
  if (!state->items.empty()) return passes(statement, *state, out);
  const InFrame scope(*this, frame_);
  return execute(statement.otherwise, out);
}

std::vector<Value> Evaluator::chosen(const ForStatement& statement, const Value& over) {
  std::vector<Value> items = dialect().elements(*this, over);
  if (!statement.condition) return items;
  std::vector<Value> kept;
  const InFrame scope(*this, frame_);
  for (const Value& item : items) {
    (*scope).slots.clear();
    assign(statement.target, item);
    if (truth(evaluate(*statement.condition))) kept.push_back(item);
  }
  return kept;
}

Evaluator::Flow Evaluator::passes(const ForStatement& statement, Loop& state, Marked& out) {
  const InFrame scope(*this, frame_);
  for (state.index = 0; state.index < state.items.size(); ++state.index) {
    meter_.step();
    (*scope).slots.clear();
    if (loop_symbol_ < root_.size()) assign_name(loop_symbol_, Value(&state));
    assign(statement.target, state.items[state.index]);
    if (execute(statement.body, out) == Flow::leave_loop) break;
  }
  return Flow::go_on;
}

Value Evaluator::repeat(const Loop& loop_state, const Value& over) {
  if (!loop_state.statement) {
    fail_type("the loop must have the 'recursive' marker to be called");
  }
  Frame* const here = frame_;
  frame_ = loop_state.frame;
  Marked out;
  try {
    loop(*loop_state.statement, over, loop_state.depth + 1, out);
  } catch (...) {
    frame_ = here;
    throw;
  }
  frame_ = here;
  return finished(std::move(out));
}

Value Evaluator::captured(const Capture& statement) {
  Marked content;
  {
    const InFrame scope(*this, frame_);
    execute(statement.body, content);
  }
  Value value = finished(std::move(content));
  for (const auto& filter : statement.filters) value = native(*filter, &value);
  return value;
}

void Evaluator::call_block(const CallBlock& statement, Marked& out) {
  for (Frame* frame = frame_; frame; frame = frame->parent) frame->captured = true;
  const Value caller = create<Macro>(0, *statement.caller, frame_);
  write(call_expr(static_cast<const Call&>(*statement.call), &caller), out);
}

Evaluator::Flow Evaluator::scope(const Scope& statement, Marked& out) {
  std::vector<Value> values;
  for (const auto& variable : statement.variables) values.push_back(evaluate(*variable.second));
  const InFrame scope(*this, frame_);
  for (size_t i = 0; i < values.size(); ++i) assign(statement.variables[i].first, values[i]);
  return execute(statement.body, out);
}

void Evaluator::define(const MacroStatement& statement) {
  for (Frame* frame = frame_; frame; frame = frame->parent) frame->captured = true;
  assign_name(statement.symbol, create<Macro>(0, statement, frame_));
}

Value Evaluator::call_macro(const Macro& macro, Args& args) {
  const Meter::Level level(meter_);
  const InFrame scope(*this, macro.defined_in);
  bind(macro.definition, args);
  Marked out;
  execute(macro.definition.body, out);
  return finished(std::move(out));
}

void Evaluator::bind(const MacroStatement& macro, Args& args) {
  const auto& parameters = macro.parameters;
  if (args.positional.size() > parameters.size() && !macro.uses_varargs) {
    fail_type(fmt::format("macro '{}' takes not more than {} argument(s)", macro.name, parameters.size()));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i];
    const auto named = std::find_if(args.named.begin(), args.named.end(),
                                    [&](const auto& argument) { return argument.first == parameter.name; });
    if (i < args.positional.size()) {
      assign_name(parameter.symbol, args.positional[i]);
      continue;
    }
    if (named != args.named.end()) {
      assign_name(parameter.symbol, named->second);
      args.named.erase(named);
    } else if (parameter.fallback) {
      assign_name(parameter.symbol, evaluate(*parameter.fallback));
    } else {
      assign_name(parameter.symbol,
                  create<Undefined>(0, fmt::format("parameter '{}' was not provided", parameter.name)));
    }
  }
  bind_rest(macro, args);
}

void Evaluator::bind_rest(const MacroStatement& macro, Args& args) {
  const auto symbol = [&](const char* name) { return tree_.symbols.at(name); };
  if (macro.uses_caller) {
    const auto given = std::find_if(args.named.begin(), args.named.end(),
                                    [](const auto& argument) { return argument.first == "caller"; });
    if (given != args.named.end()) {
      assign_name(symbol("caller"), given->second);
      args.named.erase(given);
    } else {
      assign_name(symbol("caller"), create<Undefined>(0, std::string("No caller defined")));
    }
  }
  if (macro.uses_kwargs) {
    Dict* rest = dict();
    for (auto& [name, value] : args.named) set(*rest, text(name, Origin::model), std::move(value));
    assign_name(symbol("kwargs"), rest);
  } else if (!args.named.empty()) {
    fail_type(fmt::format("macro '{}' takes no keyword argument '{}'", macro.name, args.named[0].first));
  }
  if (!macro.uses_varargs) return;
  const size_t taken = std::min(args.positional.size(), macro.parameters.size());
  args.positional.erase(args.positional.begin(),
                        args.positional.begin() + static_cast<std::ptrdiff_t>(taken));
  assign_name(symbol("varargs"), tuple(std::move(args.positional)));
}

void Evaluator::assign(const Target& target, Value value) {
  if (target.unpacks) {
    std::vector<Value> parts = dialect().elements(*this, value);
    if (parts.size() != target.parts.size()) {
      fail_type(fmt::format("{} values to unpack (expected {}, got {})",
                            parts.size() < target.parts.size() ? "not enough" : "too many",
                            target.parts.size(), parts.size()));
    }
    for (size_t i = 0; i < parts.size(); ++i) assign(target.parts[i], std::move(parts[i]));
  } else if (target.member) {
    auto* space = look_up(target.symbol).as<Space>();
    if (!space) fail_type("cannot assign attribute on non-namespace object");
    set(space->members, target.member, std::move(value));
  } else {
    assign_name(target.symbol, std::move(value));
  }
}

void Evaluator::assign_name(Symbol symbol, Value value) {
  if (!frame_) {
    root_[symbol] = std::move(value);
    return;
  }
  for (auto& [name, slot] : frame_->slots) {
    if (name != symbol) continue;
    slot = std::move(value);
    return;
  }
  frame_->slots.emplace_back(symbol, std::move(value));
}

Value Evaluator::look_up(Symbol symbol) {
  for (const Frame* frame = frame_; frame; frame = frame->parent) {
    for (const auto& [name, value] : frame->slots) {
      if (name == symbol) return value;
    }
  }
  return look_up_root(symbol);
}

Value Evaluator::look_up_root(Symbol symbol) {
  auto& slot = root_[symbol];
  if (slot) return *slot;
  const TextRef& name = tree_.names[symbol];
  if (const Json* given = context_.is_object() ? context_.get_object().if_contains(name->view()) : nullptr) {
    const bool trusted = options_.trusted.find(name->view()) != options_.trusted.end();
    slot = import(*given, trusted ? Origin::model : Origin::user);
    return *slot;
  }
  if (const Native function = dialect().function(name->view())) {
    slot = create<Function>(0, name->view(), function);
    return *slot;
  }
  return dialect().missing(*this, name);
}

}  // namespace hearth::tmpl
