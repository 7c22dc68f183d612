#include <fmt/format.h>

#include <algorithm>

#include "text/template/dialect.h"
#include "text/template/jinja/nested.h"

// What follows an operand: attributes, subscripts, calls, filters, tests.
namespace hearth::tmpl::jinja {

ExprPtr Parser::postfix(ExprPtr node) {
  while (true) {
    if (current().is_op(".") || current().is_op("[")) {
      node = subscript(std::move(node));
    } else if (current().is_op("(")) {
      node = call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr Parser::filtered(ExprPtr node) {
  while (true) {
    if (skip_op("|")) {
      node = filter(std::move(node));
    } else if (current().is_name("is")) {
      node = test(std::move(node));
    } else if (current().is_op("(")) {
      node = call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr Parser::subscript(ExprPtr node) {
  const Position at = current().at;
  if (skip_op(".")) {
    if (current().kind == TokenKind::name) {
      return sealed(std::make_unique<Attribute>(std::move(node), constant_text(take().text), at));
    }
    if (current().kind != TokenKind::integer) fail_syntax("expected name or number", current().at);
    return sealed(std::make_unique<Item>(std::move(node), integer(), at));
  }
  expect_op("[");
  const Nested level(*this);
  if (current().is_op(":")) return slice(std::move(node), nullptr, at);
  if (current().is_op("]")) fail_syntax("expected subscript expression", current().at);
  ExprPtr key = expression();
  if (current().is_op(":")) return slice(std::move(node), std::move(key), at);
  if (current().is_op(",")) {
    auto keys = std::make_unique<Group>(ExprKind::tuple, at);
    keys->items.push_back(std::move(key));
    while (skip_op(",")) {
      if (!current().is_op("]")) keys->items.push_back(expression());
    }
    key = sealed(std::move(keys));
  }
  expect_op("]");
  return sealed(std::make_unique<Item>(std::move(node), std::move(key), at));
}

ExprPtr Parser::slice(ExprPtr of, ExprPtr start, Position at) {
  auto node = std::make_unique<Slice>(std::move(of), at);
  node->start = std::move(start);
  expect_op(":");
  if (!current().is_op(":") && !current().is_op("]")) node->stop = expression();
  if (skip_op(":") && !current().is_op("]")) node->step = expression();
  expect_op("]");
  return sealed(std::move(node));
}

std::string Parser::dotted_name() {
  std::string name = expect_name();
  while (skip_op(".")) name += "." + expect_name();
  return name;
}

void Parser::unknown(std::string message, Position at) {
  if (branches_ == 0) unknown_.push_back({TemplateError::Kind::syntax, std::move(message), at});
}

ExprPtr Parser::filter(ExprPtr operand) {
  const Position at = current().at;
  const std::string name = dotted_name();
  const Native code = tree_.dialect->filter(name);
  if (!code) unknown(fmt::format("there is no filter '{}'", name), at);
  auto node = std::make_unique<NativeCall>(name, code, at);
  node->operand = std::move(operand);
  if (current().is_op("(")) node->arguments = arguments();
  return sealed(std::move(node));
}

ExprPtr Parser::test(ExprPtr operand) {
  take();
  const bool negated = skip_name("not");
  const Position at = current().at;
  const std::string name = dotted_name();
  const Native code = tree_.dialect->test(name);
  if (!code) unknown(fmt::format("there is no test '{}'", name), at);
  auto node = std::make_unique<NativeCall>(name, code, at);
  node->operand = std::move(operand);
  const Token& next = current();
  if (next.is_op("(")) {
    node->arguments = arguments();
  } else if (next.is_name("is")) {
    fail_syntax("tests cannot be chained with 'is'", next.at);
  } else if ((next.kind == TokenKind::name && next.text != "else" && next.text != "or" &&
              next.text != "and") ||
             next.kind == TokenKind::string || next.kind == TokenKind::integer ||
             next.kind == TokenKind::floating || next.is_op("[") || next.is_op("{")) {
    const Nested level(*this);
    node->arguments.positional.push_back(postfix(primary()));
  }
  ExprPtr result = sealed(std::move(node));
  return negated ? sealed(std::make_unique<Negation>(std::move(result), at)) : std::move(result);
}

ExprPtr Parser::call(ExprPtr callee) {
  auto node = std::make_unique<Call>(std::move(callee), current().at);
  node->arguments = arguments();
  return sealed(std::move(node));
}

Arguments Parser::arguments() {
  const Nested level(*this);
  Arguments given;
  expect_op("(");
  bool first = true;
  while (!current().is_op(")")) {
    if (!first) expect_op(",");
    first = false;
    if (current().is_op(")")) break;
    const Position at = current().at;
    if (skip_op("**")) {
      if (given.named_rest) fail_syntax("invalid syntax for function call expression", at);
      given.named_rest = expression();
    } else if (skip_op("*")) {
      if (given.rest || given.named_rest) fail_syntax("invalid syntax for function call expression", at);
      given.rest = expression();
    } else if (current().kind == TokenKind::name && ahead().is_op("=")) {
      std::string name = take().text;
      take();
      const auto same = [&](const auto& each) { return each.first == name; };
      if (std::any_of(given.named.begin(), given.named.end(), same)) {
        fail_syntax(fmt::format("the argument '{}' is given twice", name), at);
      }
      given.named.emplace_back(std::move(name), expression());
    } else {
      if (!given.named.empty() || given.rest || given.named_rest) {
        fail_syntax("invalid syntax for function call expression", at);
      }
      given.positional.push_back(expression());
    }
  }
  take();
  return given;
}

}  // namespace hearth::tmpl::jinja
