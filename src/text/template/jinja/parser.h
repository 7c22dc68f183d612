#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "text/template/jinja/lexer.h"
#include "text/template/tree.h"

namespace hearth::tmpl::jinja {

// Builds a tree from tokens by recursive descent; the grammar and its oddities are Jinja2 3.1's. Throws
// Failure (syntax) with the place of the offending token.
class Parser {
 public:
  Parser(std::string_view source, Tree& tree);
  void parse();

 private:
  using Names = std::initializer_list<std::string_view>;
  class Nested;

  // Tokens
  const Token& current() const { return tokens_[next_]; }
  const Token& ahead() const { return tokens_[next_ + 1 < tokens_.size() ? next_ + 1 : next_]; }
  Token take() { return tokens_[next_ + 1 < tokens_.size() ? next_++ : next_]; }
  bool skip_op(std::string_view spelling);
  bool skip_name(std::string_view name);
  void expect_op(std::string_view spelling);
  void expect_block_end();
  std::string expect_name();
  [[noreturn]] void fail_expected(std::string_view what) const;

  // Statements. A body ends before one of the tags `until`, whose opening is consumed.
  Body body(Names until, std::string_view opened_by);
  void statement(Body& into);
  std::unique_ptr<Statement> tag(const Token& name);
  std::unique_ptr<Statement> parse_if(Position at);
  std::unique_ptr<Statement> parse_for(Position at);
  std::unique_ptr<Statement> parse_set(Position at);
  std::unique_ptr<Statement> parse_macro(Position at);
  std::unique_ptr<Statement> parse_call(Position at);
  std::unique_ptr<Statement> parse_filter_block(Position at);
  std::unique_ptr<Statement> parse_with(Position at);
  std::unique_ptr<Statement> parse_block(Position at);
  std::unique_ptr<Statement> parse_generation(Position at);
  std::unique_ptr<Statement> parse_jump(Position at, StatementKind kind);
  void signature(MacroStatement& macro);
  void macro_body(MacroStatement& macro, Names until, std::string_view opened_by);
  std::vector<std::unique_ptr<NativeCall>> filters(bool inline_first);
  Target target(bool with_member);
  Target single_target(bool with_member);

  // Expressions, loosest first
  ExprPtr expression(bool with_conditional = true);
  ExprPtr conditional();
  ExprPtr disjunction();
  ExprPtr conjunction();
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concat();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filter);
  ExprPtr primary();
  ExprPtr name_or_constant();
  ExprPtr string();
  ExprPtr integer();
  ExprPtr list();
  ExprPtr dict();
  ExprPtr tuple(bool with_conditional, bool in_brackets, std::string_view end_name = {});
  ExprPtr postfix(ExprPtr node);
  ExprPtr filtered(ExprPtr node);
  ExprPtr subscript(ExprPtr node);
  ExprPtr slice(ExprPtr of, ExprPtr start, Position at);
  ExprPtr filter(ExprPtr operand);
  ExprPtr test(ExprPtr operand);
  ExprPtr call(ExprPtr callee);
  Arguments arguments();
  std::string dotted_name();
  void unknown(std::string message, Position at);
  ExprPtr sealed(ExprPtr node) const;
  TextRef constant_text(std::string_view text) const;

  Tree& tree_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  size_t nested_ = 0;
  size_t loops_ = 0;     // loops around the current statement, within its macro
  size_t for_tags_ = 0;  // loops around the current statement, macros or not
  size_t branches_ = 0;  // conditions around: there an unknown filter is an error only when it is reached
  std::vector<Failure> unknown_;         // filters and tests outside of conditions, as far as is known
  std::vector<MacroStatement*> macros_;  // around the current expression
};

}  // namespace hearth::tmpl::jinja
