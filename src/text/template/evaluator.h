#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/dialect.h"

namespace hearth::tmpl {

// The arguments of one call, in the order given.
struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Variables of one scope. The outermost scope is kept apart (see Evaluator::root_).
struct Frame : Object {
  Frame() : Object(Kind::frame) {}
  Frame* parent = nullptr;  // null: only the outermost scope is around
  std::vector<std::pair<Symbol, Value>> slots;
  bool captured = false;  // a macro defined in it may outlive it
};

// One rendering of a tree. Natives reach the meter, the heap and other values through it.
class Evaluator {
 public:
  Evaluator(const Tree& tree, const Json& context, const RenderOptions& options);

  Marked render();

  Meter& meter() { return meter_; }
  const Dialect& dialect() const { return *tree_.dialect; }
  const std::optional<std::tm>& now() const { return options_.now; }

  // A new object that lives until the rendering ends. `extra` bytes are what it holds besides itself.
  template <class T, class... Arguments>
  T* create(size_t extra, Arguments&&... arguments) {
    meter_.hold(sizeof(T) + extra);
    auto owned = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    T* object = owned.get();
    heap_.push_back(std::move(owned));
    return object;
  }
  Value text(Marked content) { return TextRef(new Text(std::move(content), &meter_)); }
  Value text(std::string content, Origin origin) { return text(Marked(std::move(content), origin)); }
  Value list(std::vector<Value> items, Origin origin = Origin::model);
  Value tuple(std::vector<Value> items);
  Value iterator(std::vector<Value> items);
  Dict* dict(Origin origin = Origin::model);
  void set(Dict& dict, Value key, Value value);
  Value undefined(const char* owner, const Value& name);

  // A JSON value whose text has the given origin.
  Value import(const Json& json, Origin origin);

  Value call(const Value& callee, Args& args);
  // Goes through a recursive loop again, one level deeper.
  Value repeat(const Loop& loop, const Value& over);
  Value printed(const Value& value);
  bool truth(const Value& value) const { return dialect().truth(value); }

 private:
  enum class Flow : uint8_t { go_on, leave_loop, next_pass };
  class InFrame;

  Flow execute(const Body& body, Marked& out);
  Flow execute(const Statement& statement, Marked& out);
  Flow dispatch(const Statement& statement, Marked& out);
  void write(std::string_view literal, Marked& out);
  void write(const Value& value, Marked& out);
  Value finished(Marked out);
  Flow branch(const Branch& statement, Marked& out);
  Flow loop(const ForStatement& statement, const Value& over, size_t depth, Marked& out);
  std::vector<Value> chosen(const ForStatement& statement, const Value& over);
  Flow passes(const ForStatement& statement, Loop& state, Marked& out);
  Value captured(const Capture& statement);
  void call_block(const CallBlock& statement, Marked& out);
  Flow scope(const Scope& statement, Marked& out);
  void define(const MacroStatement& statement);

  void assign(const Target& target, Value value);
  void assign_name(Symbol symbol, Value value);
  Value look_up(Symbol symbol);
  Value look_up_root(Symbol symbol);

  Value evaluate(const Expr& expr);
  Value dispatch(const Expr& expr);
  Value constant(const Constant& expr);
  Value dict_literal(const DictLiteral& expr);
  Value slice(const Slice& expr);
  Value call_expr(const Call& expr, const Value* caller);
  Value native(const NativeCall& expr, const Value* operand);
  Value arithmetic(const Arithmetic& expr);
  Value concat(const Group& expr);
  Value deciding(const Group& expr, bool decisive);
  Value comparison(const Comparison& expr);
  Value conditional(const Conditional& expr);
  std::vector<Value> all(const std::vector<ExprPtr>& items);
  Args arguments(const Arguments& given);
  Value call_macro(const Macro& macro, Args& args);
  void bind(const MacroStatement& macro, Args& args);
  void bind_rest(const MacroStatement& macro, Args& args);

  Frame* new_frame(Frame* parent);
  void drop(Frame* frame);

  const Tree& tree_;
  const Json& context_;
  const RenderOptions& options_;
  Meter meter_;  // outlives everything that it counts
  std::vector<std::unique_ptr<Object>> heap_;
  std::vector<std::optional<Value>> root_;  // the outermost scope, by symbol
  Frame* frame_ = nullptr;                  // null: at the outermost scope
  std::vector<Frame*> spare_frames_;
  Symbol loop_symbol_;
};

}  // namespace hearth::tmpl
