#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/template/object.h"

namespace hearth::tmpl {

// A variable's name as an index into Tree::names.
using Symbol = uint32_t;

enum class UnaryOp : uint8_t { negate, plus };
enum class BinaryOp : uint8_t { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class CompareOp : uint8_t { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

enum class ExprKind : uint8_t {
  constant,
  name,
  list,
  tuple,
  dict,
  attribute,
  item,
  slice,
  call,
  native,
  unary,
  negation,
  arithmetic,
  concat,
  all_of,
  any_of,
  comparison,
  conditional,
};

// Chains of operators are one node with many operands, so that the depth of a tree is the depth of its
// brackets and not the length of its sums.
struct Expr {
  Expr(ExprKind expr_kind, Position position) : kind(expr_kind), at(position) {}
  virtual ~Expr() = default;
  const ExprKind kind;
  Position at;
  uint32_t depth = 1;
};
using ExprPtr = std::unique_ptr<Expr>;

struct Constant : Expr {
  Constant(Value constant, Position position)
      : Expr(ExprKind::constant, position), value(std::move(constant)) {}
  // An integer too large for 64 bits is kept as digits: objects belong to a rendering, not to a tree.
  std::string digits;
  Value value;
};

struct Name : Expr {
  Name(Symbol name, Position position) : Expr(ExprKind::name, position), symbol(name) {}
  Symbol symbol;
};

// list, tuple, concat, all_of, any_of.
struct Group : Expr {
  using Expr::Expr;
  std::vector<ExprPtr> items;
};

struct DictLiteral : Expr {
  explicit DictLiteral(Position position) : Expr(ExprKind::dict, position) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};

struct Attribute : Expr {
  Attribute(ExprPtr object, TextRef attribute, Position position)
      : Expr(ExprKind::attribute, position), of(std::move(object)), name(std::move(attribute)) {}
  ExprPtr of;
  TextRef name;
};

struct Item : Expr {
  Item(ExprPtr object, ExprPtr index, Position position)
      : Expr(ExprKind::item, position), of(std::move(object)), key(std::move(index)) {}
  ExprPtr of;
  ExprPtr key;
};

struct Slice : Expr {
  Slice(ExprPtr object, Position position) : Expr(ExprKind::slice, position), of(std::move(object)) {}
  ExprPtr of;
  ExprPtr start;  // each may be null
  ExprPtr stop;
  ExprPtr step;
};

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr rest;        // *rest, may be null
  ExprPtr named_rest;  // **named_rest, may be null
};

struct Call : Expr {
  Call(ExprPtr function, Position position) : Expr(ExprKind::call, position), callee(std::move(function)) {}
  ExprPtr callee;
  Arguments arguments;
};

// A filter or test applied to an operand. `call` is null for a name that nobody knows: an error when it is
// reached.
struct NativeCall : Expr {
  NativeCall(std::string builtin, Native code, Position position)
      : Expr(ExprKind::native, position), name(std::move(builtin)), call(code) {}
  std::string name;
  Native call;
  ExprPtr operand;  // null in a filter block: the block's text
  Arguments arguments;
};

struct Unary : Expr {
  Unary(UnaryOp sign, ExprPtr value, Position position)
      : Expr(ExprKind::unary, position), op(sign), operand(std::move(value)) {}
  UnaryOp op;
  ExprPtr operand;
};

struct Negation : Expr {
  Negation(ExprPtr value, Position position)
      : Expr(ExprKind::negation, position), operand(std::move(value)) {}
  ExprPtr operand;
};

// first op operand op operand ..., from left to right.
struct Arithmetic : Expr {
  Arithmetic(ExprPtr left, Position position)
      : Expr(ExprKind::arithmetic, position), first(std::move(left)) {}
  ExprPtr first;
  std::vector<std::pair<BinaryOp, ExprPtr>> rest;
};

// a < b < c is a < b and b < c, each operand evaluated once.
struct Comparison : Expr {
  Comparison(ExprPtr left, Position position)
      : Expr(ExprKind::comparison, position), first(std::move(left)) {}
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};

struct Conditional : Expr {
  explicit Conditional(Position position) : Expr(ExprKind::conditional, position) {}
  ExprPtr condition;
  ExprPtr then;
  ExprPtr otherwise;  // null: undefined
};

// Calls visit(const Expr&) for each direct operand and argument that is there.
void for_each_child(const Expr& expr, const std::function<void(const Expr&)>& visit);

enum class StatementKind : uint8_t {
  text,
  print,
  branch,
  loop,
  assign,
  capture,
  macro,
  call_block,
  filter_block,
  scope,
  leave_loop,
  next_pass,
};

struct Statement {
  Statement(StatementKind statement_kind, Position position) : kind(statement_kind), at(position) {}
  virtual ~Statement() = default;
  const StatementKind kind;
  Position at;
};

struct Body {
  std::vector<std::unique_ptr<Statement>> statements;
};

// What an assignment writes to: a variable, a member of a namespace, or several targets at once.
struct Target {
  Symbol symbol = 0;
  TextRef member;             // set: symbol.member
  std::vector<Target> parts;  // not empty: unpack into these
  bool unpacks = false;
  Position at;
};

struct TextStatement : Statement {
  TextStatement(std::string literal, Position position)
      : Statement(StatementKind::text, position), text(std::move(literal)) {}
  std::string text;
};

struct Print : Statement {
  Print(ExprPtr expression, Position position)
      : Statement(StatementKind::print, position), value(std::move(expression)) {}
  ExprPtr value;
};

struct Branch : Statement {
  explicit Branch(Position position) : Statement(StatementKind::branch, position) {}
  std::vector<std::pair<ExprPtr, Body>> arms;
  Body otherwise;
};

struct ForStatement : Statement {
  explicit ForStatement(Position position) : Statement(StatementKind::loop, position) {}
  Target target;
  ExprPtr over;
  ExprPtr condition;  // may be null
  Body body;
  Body otherwise;
  bool recursive = false;
};

struct Assign : Statement {
  explicit Assign(Position position) : Statement(StatementKind::assign, position) {}
  Target target;
  ExprPtr value;
};

// A block's text, sent through filters from left to right.
struct Capture : Statement {
  Capture(StatementKind capture_kind, Position position) : Statement(capture_kind, position) {}
  Target target;  // of `capture` only
  Body body;
  std::vector<std::unique_ptr<NativeCall>> filters;
};

struct Parameter {
  Symbol symbol = 0;
  std::string name;
  ExprPtr fallback;  // may be null
};

struct MacroStatement : Statement {
  explicit MacroStatement(Position position) : Statement(StatementKind::macro, position) {}
  Symbol symbol = 0;
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

struct CallBlock : Statement {
  explicit CallBlock(Position position) : Statement(StatementKind::call_block, position) {}
  ExprPtr call;  // a Call
  std::unique_ptr<MacroStatement> caller;
};

// A body with variables of its own: with, block, generation.
struct Scope : Statement {
  explicit Scope(Position position) : Statement(StatementKind::scope, position) {}
  std::vector<std::pair<Target, ExprPtr>> variables;
  Body body;
};

struct Jump : Statement {
  using Statement::Statement;
};

// A parsed template.
struct Tree {
  const Dialect* dialect = nullptr;
  Body body;
  std::vector<TextRef> names;  // by Symbol
  std::unordered_map<std::string, Symbol> symbols;
  Mentions mentions;

  Symbol symbol(const std::string& name);
};

}  // namespace hearth::tmpl
