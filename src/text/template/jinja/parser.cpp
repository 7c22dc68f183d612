#include "text/template/jinja/parser.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "text/template/jinja/nested.h"

// Statements: what stands between {% and %}.
namespace hearth::tmpl::jinja {

Parser::Parser(std::string_view source, Tree& tree) : tree_(tree), tokens_(tokenize(source)) {}

void Parser::parse() {
  tree_.body = body({}, {});
  if (!unknown_.empty()) throw unknown_.front();
}

bool Parser::skip_op(std::string_view spelling) {
  if (!current().is_op(spelling)) return false;
  take();
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  take();
  return true;
}

void Parser::expect_op(std::string_view spelling) {
  if (!skip_op(spelling)) fail_expected(spelling);
}

void Parser::expect_block_end() {
  if (current().kind != TokenKind::block_end) fail_expected("end of statement block");
  take();
}

std::string Parser::expect_name() {
  if (current().kind != TokenKind::name) fail_expected("name");
  return take().text;
}

void Parser::fail_expected(std::string_view what) const {
  if (current().kind == TokenKind::end) {
    fail_syntax(fmt::format("unexpected end of template, expected '{}'", what), current().at);
  }
  fail_syntax(fmt::format("expected token '{}', got '{}'", what, describe(current())), current().at);
}

Body Parser::body(Names until, std::string_view opened_by) {
  const Nested level(*this);
  Body into;
  while (current().kind != TokenKind::end) {
    if (current().kind == TokenKind::block_begin &&
        std::any_of(until.begin(), until.end(), [&](auto name) { return ahead().is_name(name); })) {
      take();
      return into;
    }
    statement(into);
  }
  if (until.size() == 0) return into;
  fail_syntax(
      fmt::format("unexpected end of template: '{}' needs '{}'", opened_by, fmt::join(until, "' or '")),
      current().at);
}

void Parser::statement(Body& into) {
  const Token token = take();
  switch (token.kind) {
    case TokenKind::data:
      into.statements.push_back(std::make_unique<TextStatement>(token.text, token.at));
      return;
    case TokenKind::print_begin:
      into.statements.push_back(std::make_unique<Print>(tuple(true, false), token.at));
      if (current().kind != TokenKind::print_end) fail_expected("end of print statement");
      take();
      return;
    default: break;
  }
  if (current().kind != TokenKind::name) fail_syntax("tag name expected", current().at);
  const Token name = take();
  into.statements.push_back(tag(name));
  expect_block_end();
}

// Leaves the closing %} to the caller.
std::unique_ptr<Statement> Parser::tag(const Token& name) {
  if (name.text == "if") return parse_if(name.at);
  if (name.text == "for") return parse_for(name.at);
  if (name.text == "set") return parse_set(name.at);
  if (name.text == "macro") return parse_macro(name.at);
  if (name.text == "call") return parse_call(name.at);
  if (name.text == "filter") return parse_filter_block(name.at);
  if (name.text == "with") return parse_with(name.at);
  if (name.text == "block") return parse_block(name.at);
  if (name.text == "generation") return parse_generation(name.at);
  if (name.text == "break") return parse_jump(name.at, StatementKind::leave_loop);
  if (name.text == "continue") return parse_jump(name.at, StatementKind::next_pass);
  fail_syntax(fmt::format("unknown tag '{}'", name.text), name.at);
}

std::unique_ptr<Statement> Parser::parse_if(Position at) {
  auto node = std::make_unique<Branch>(at);
  ++branches_;
  while (true) {
    ExprPtr condition = tuple(false, false);
    expect_block_end();
    node->arms.emplace_back(std::move(condition), body({"elif", "else", "endif"}, "if"));
    const Token end = take();
    if (end.text == "elif") continue;
    if (end.text == "else") {
      expect_block_end();
      node->otherwise = body({"endif"}, "if");
      take();
    }
    --branches_;
    return node;
  }
}

std::unique_ptr<Statement> Parser::parse_for(Position at) {
  auto node = std::make_unique<ForStatement>(at);
  const size_t branches = std::exchange(branches_, 0);
  ++for_tags_;
  node->target = target(false);
  if (!skip_name("in")) fail_expected("in");
  node->over = tuple(false, false, "recursive");
  if (skip_name("if")) node->condition = expression();
  node->recursive = skip_name("recursive");
  expect_block_end();
  ++loops_;
  node->body = body({"endfor", "else"}, "for");
  --loops_;
  if (take().text == "else") {
    expect_block_end();
    node->otherwise = body({"endfor"}, "for");
    take();
  }
  branches_ = branches;
  --for_tags_;
  return node;
}

std::unique_ptr<Statement> Parser::parse_set(Position at) {
  Target to = target(true);
  if (skip_op("=")) {
    auto node = std::make_unique<Assign>(at);
    node->target = std::move(to);
    node->value = tuple(true, false);
    return node;
  }
  auto node = std::make_unique<Capture>(StatementKind::capture, at);
  node->target = std::move(to);
  node->filters = filters(false);
  expect_block_end();
  node->body = body({"endset"}, "set");
  take();
  return node;
}

std::unique_ptr<Statement> Parser::parse_macro(Position at) {
  auto node = std::make_unique<MacroStatement>(at);
  node->name = expect_name();
  node->symbol = tree_.symbol(node->name);
  signature(*node);
  macro_body(*node, {"endmacro"}, "macro");
  return node;
}

// Parameters, as far as the closing %}.
void Parser::signature(MacroStatement& macro) {
  macros_.push_back(&macro);
  expect_op("(");
  while (!current().is_op(")")) {
    if (!macro.parameters.empty()) expect_op(",");
    Parameter parameter;
    parameter.name = expect_name();
    parameter.symbol = tree_.symbol(parameter.name);
    if (skip_op("=")) {
      parameter.fallback = expression();
    } else if (!macro.parameters.empty() && macro.parameters.back().fallback) {
      fail_syntax("non-default argument follows default argument", current().at);
    }
    macro.parameters.push_back(std::move(parameter));
  }
  take();
  macros_.pop_back();
}

void Parser::macro_body(MacroStatement& macro, Names until, std::string_view opened_by) {
  expect_block_end();
  const size_t loops = std::exchange(loops_, 0);
  const size_t branches = std::exchange(branches_, 0);
  macros_.push_back(&macro);
  macro.body = body(until, opened_by);
  macros_.pop_back();
  branches_ = branches;
  loops_ = loops;
  take();
}

std::unique_ptr<Statement> Parser::parse_call(Position at) {
  auto node = std::make_unique<CallBlock>(at);
  node->caller = std::make_unique<MacroStatement>(at);
  node->caller->name = "caller";
  if (current().is_op("(")) signature(*node->caller);
  node->call = expression();
  if (node->call->kind != ExprKind::call) fail_syntax("expected call", node->call->at);
  macro_body(*node->caller, {"endcall"}, "call");
  return node;
}

std::unique_ptr<Statement> Parser::parse_filter_block(Position at) {
  auto node = std::make_unique<Capture>(StatementKind::filter_block, at);
  node->filters = filters(true);
  expect_block_end();
  node->body = body({"endfilter"}, "filter");
  take();
  return node;
}

std::unique_ptr<Statement> Parser::parse_with(Position at) {
  auto node = std::make_unique<Scope>(at);
  while (current().kind != TokenKind::block_end) {
    if (!node->variables.empty()) expect_op(",");
    Target to = target(false);
    expect_op("=");
    node->variables.emplace_back(std::move(to), expression());
  }
  expect_block_end();
  node->body = body({"endwith"}, "with");
  take();
  return node;
}

// Nothing can extend a chat template, so a block is its own content.
std::unique_ptr<Statement> Parser::parse_block(Position at) {
  auto node = std::make_unique<Scope>(at);
  const std::string name = expect_name();
  while (skip_name("scoped") || skip_name("required")) {
  }
  expect_block_end();
  node->body = body({"endblock"}, "block");
  take();
  if (current().is_name(name)) take();
  return node;
}

// Marks the assistant's words for training; for rendering only a scope.
std::unique_ptr<Statement> Parser::parse_generation(Position at) {
  auto node = std::make_unique<Scope>(at);
  expect_block_end();
  node->body = body({"endgeneration"}, "generation");
  take();
  return node;
}

std::unique_ptr<Statement> Parser::parse_jump(Position at, StatementKind kind) {
  if (loops_ == 0) fail_syntax("'break' and 'continue' belong in a loop", at);
  return std::make_unique<Jump>(kind, at);
}

// `| f(x) | g`, or `f(x) | g` where the first bar is left out.
std::vector<std::unique_ptr<NativeCall>> Parser::filters(bool inline_first) {
  std::vector<std::unique_ptr<NativeCall>> found;
  while (inline_first || current().is_op("|")) {
    if (!inline_first) take();
    inline_first = false;
    ExprPtr node = filter(nullptr);
    found.emplace_back(static_cast<NativeCall*>(node.release()));
  }
  return found;
}

Target Parser::single_target(bool with_member) {
  const Token name = current();
  if (skip_op("(")) {
    Target inner = target(false);
    expect_op(")");
    return inner;
  }
  Target to;
  to.at = name.at;
  const std::string spelling = expect_name();
  if (spelling == "true" || spelling == "false" || spelling == "none" || spelling == "True" ||
      spelling == "False" || spelling == "None") {
    fail_syntax(fmt::format("can't assign to '{}'", spelling), name.at);
  }
  if (spelling == "loop" && for_tags_ > 0)
    fail_syntax("can't assign to the special variable 'loop'", name.at);
  to.symbol = tree_.symbol(spelling);
  if (with_member && skip_op(".")) to.member = constant_text(expect_name());
  return to;
}

Target Parser::target(bool with_member) {
  const Nested level(*this);
  Target first = single_target(with_member);
  if (!current().is_op(",")) return first;
  Target all;
  all.unpacks = true;
  all.at = first.at;
  all.parts.push_back(std::move(first));
  while (skip_op(",")) {
    if (current().kind != TokenKind::name && !current().is_op("(")) break;
    if (current().is_name("in")) break;
    all.parts.push_back(single_target(with_member));
  }
  return all;
}

}  // namespace hearth::tmpl::jinja
