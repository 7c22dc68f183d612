#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "text/template/jinja/nested.h"

// Expressions: what stands between {{ and }} and inside of tags.
namespace hearth::tmpl::jinja {
namespace {

// Deeper trees would need more stack to evaluate and to free than is sure to be there.
constexpr uint32_t deepest_tree = 400;

}  // namespace

TextRef Parser::constant_text(std::string_view text) const {
  return new Text(Marked(std::string(text), Origin::model), nullptr);
}

// Every finished node passes here.
ExprPtr Parser::sealed(ExprPtr node) const {
  uint32_t deepest = 0;
  for_each_child(*node, [&](const Expr& child) { deepest = std::max(deepest, child.depth); });
  node->depth = deepest + 1;
  if (node->depth > deepest_tree) fail_syntax("the expression is nested too deeply", node->at);
  return node;
}

ExprPtr Parser::expression(bool with_conditional) {
  const Nested level(*this);
  return with_conditional ? conditional() : disjunction();
}

ExprPtr Parser::conditional() {
  const size_t unknown_before = unknown_.size();
  ExprPtr value = disjunction();
  while (current().is_name("if")) {
    unknown_.resize(unknown_before, Failure{});  // they stand under a condition, as it turns out
    auto node = std::make_unique<Conditional>(take().at);
    ++branches_;
    node->then = std::move(value);
    node->condition = disjunction();
    if (skip_name("else")) {
      const Nested level(*this);
      node->otherwise = conditional();
    }
    --branches_;
    value = sealed(std::move(node));
  }
  return value;
}

ExprPtr Parser::disjunction() {
  ExprPtr left = conjunction();
  if (!current().is_name("or")) return left;
  auto node = std::make_unique<Group>(ExprKind::any_of, left->at);
  node->items.push_back(std::move(left));
  while (skip_name("or")) node->items.push_back(conjunction());
  return sealed(std::move(node));
}

ExprPtr Parser::conjunction() {
  ExprPtr left = negation();
  if (!current().is_name("and")) return left;
  auto node = std::make_unique<Group>(ExprKind::all_of, left->at);
  node->items.push_back(std::move(left));
  while (skip_name("and")) node->items.push_back(negation());
  return sealed(std::move(node));
}

ExprPtr Parser::negation() {
  if (!current().is_name("not")) return comparison();
  const Nested level(*this);
  const Position at = take().at;
  return sealed(std::make_unique<Negation>(negation(), at));
}

ExprPtr Parser::comparison() {
  ExprPtr first = sum();
  const Position at = first->at;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
  while (true) {
    constexpr std::pair<std::string_view, CompareOp> spellings[] = {
        {"==", CompareOp::equal},      {"!=", CompareOp::not_equal}, {"<", CompareOp::less},
        {"<=", CompareOp::less_equal}, {">", CompareOp::greater},    {">=", CompareOp::greater_equal},
    };
    const auto* found = std::find_if(std::begin(spellings), std::end(spellings),
                                     [&](const auto& each) { return current().is_op(each.first); });
    if (found != std::end(spellings)) {
      take();
      rest.emplace_back(found->second, sum());
    } else if (skip_name("in")) {
      rest.emplace_back(CompareOp::in, sum());
    } else if (current().is_name("not") && ahead().is_name("in")) {
      take();
      take();
      rest.emplace_back(CompareOp::not_in, sum());
    } else {
      break;
    }
  }
  if (rest.empty()) return first;
  auto node = std::make_unique<Comparison>(std::move(first), at);
  node->rest = std::move(rest);
  return sealed(std::move(node));
}

ExprPtr Parser::sum() {
  ExprPtr first = concat();
  if (!current().is_op("+") && !current().is_op("-")) return first;
  const Position at = current().at;
  auto node = std::make_unique<Arithmetic>(std::move(first), at);
  while (current().is_op("+") || current().is_op("-")) {
    const BinaryOp op = take().text == "+" ? BinaryOp::add : BinaryOp::subtract;
    node->rest.emplace_back(op, concat());
  }
  return sealed(std::move(node));
}

ExprPtr Parser::concat() {
  ExprPtr first = product();
  if (!current().is_op("~")) return first;
  auto node = std::make_unique<Group>(ExprKind::concat, current().at);
  node->items.push_back(std::move(first));
  while (skip_op("~")) node->items.push_back(product());
  return sealed(std::move(node));
}

ExprPtr Parser::product() {
  ExprPtr first = power();
  std::unique_ptr<Arithmetic> node;
  while (true) {
    const Token& token = current();
    BinaryOp op = BinaryOp::multiply;
    if (token.is_op("/")) {
      op = BinaryOp::divide;
    } else if (token.is_op("//")) {
      op = BinaryOp::floor_divide;
    } else if (token.is_op("%")) {
      op = BinaryOp::modulo;
    } else if (!token.is_op("*")) {
      break;
    }
    if (!node) node = std::make_unique<Arithmetic>(std::move(first), token.at);
    take();
    node->rest.emplace_back(op, power());
  }
  return node ? sealed(std::move(node)) : std::move(first);
}

// Binds to the left, against custom.
ExprPtr Parser::power() {
  ExprPtr first = unary(true);
  if (!current().is_op("**")) return first;
  auto node = std::make_unique<Arithmetic>(std::move(first), current().at);
  while (skip_op("**")) node->rest.emplace_back(BinaryOp::power, unary(true));
  return sealed(std::move(node));
}

ExprPtr Parser::unary(bool with_filter) {
  const Nested level(*this);
  const Position at = current().at;
  ExprPtr node;
  if (skip_op("-")) {
    node = sealed(std::make_unique<Unary>(UnaryOp::negate, unary(false), at));
  } else if (skip_op("+")) {
    node = sealed(std::make_unique<Unary>(UnaryOp::plus, unary(false), at));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filter ? filtered(std::move(node)) : std::move(node);
}

ExprPtr Parser::primary() {
  const Token& token = current();
  switch (token.kind) {
    case TokenKind::name: return name_or_constant();
    case TokenKind::string: return string();
    case TokenKind::integer: return integer();
    case TokenKind::floating: {
      double value = 0;
      const auto parsed = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
      if (parsed.ec != std::errc()) value = token.text.find("e-") == std::string::npos ? HUGE_VAL : 0.0;
      return std::make_unique<Constant>(value, take().at);
    }
    default: break;
  }
  if (skip_op("(")) {
    ExprPtr inner = tuple(true, true);
    expect_op(")");
    return inner;
  }
  if (token.is_op("[")) return list();
  if (token.is_op("{")) return dict();
  fail_syntax(fmt::format("unexpected '{}'", describe(token)), token.at);
}

ExprPtr Parser::name_or_constant() {
  const Token name = take();
  if (name.text == "true" || name.text == "True") return std::make_unique<Constant>(true, name.at);
  if (name.text == "false" || name.text == "False") return std::make_unique<Constant>(false, name.at);
  if (name.text == "none" || name.text == "None") return std::make_unique<Constant>(Value(), name.at);
  for (MacroStatement* macro : macros_) {
    macro->uses_caller |= name.text == "caller";
    macro->uses_varargs |= name.text == "varargs";
    macro->uses_kwargs |= name.text == "kwargs";
  }
  return std::make_unique<Name>(tree_.symbol(name.text), name.at);
}

// Neighbouring literals are one.
ExprPtr Parser::string() {
  const Token first = take();
  std::string text = first.text;
  while (current().kind == TokenKind::string) text += take().text;
  return std::make_unique<Constant>(constant_text(text), first.at);
}

ExprPtr Parser::integer() {
  const Token token = take();
  int64_t value = 0;
  const char* end = token.text.data() + token.text.size();
  const auto parsed = std::from_chars(token.text.data(), end, value);
  auto node = std::make_unique<Constant>(Value(value), token.at);
  if (parsed.ec != std::errc()) node->digits = token.text;
  return node;
}

ExprPtr Parser::list() {
  auto node = std::make_unique<Group>(ExprKind::list, take().at);
  while (!current().is_op("]")) {
    if (!node->items.empty()) expect_op(",");
    if (current().is_op("]")) break;
    node->items.push_back(expression());
  }
  take();
  return sealed(std::move(node));
}

ExprPtr Parser::dict() {
  auto node = std::make_unique<DictLiteral>(take().at);
  while (!current().is_op("}")) {
    if (!node->items.empty()) expect_op(",");
    if (current().is_op("}")) break;
    ExprPtr key = expression();
    expect_op(":");
    node->items.emplace_back(std::move(key), expression());
  }
  take();
  return sealed(std::move(node));
}

// One expression, or several with commas: a tuple. Ends before `end_name`, if given.
ExprPtr Parser::tuple(bool with_conditional, bool in_brackets, std::string_view end_name) {
  const Position at = current().at;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  const auto ended = [&] {
    const TokenKind kind = current().kind;
    return kind == TokenKind::print_end || kind == TokenKind::block_end || current().is_op(")") ||
           (!end_name.empty() && current().is_name(end_name));
  };
  while (!ended()) {
    items.push_back(expression(with_conditional));
    if (!skip_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items[0]);
  if (items.empty() && !in_brackets) {
    fail_syntax(fmt::format("expected an expression, got '{}'", describe(current())), current().at);
  }
  auto node = std::make_unique<Group>(ExprKind::tuple, at);
  node->items = std::move(items);
  return sealed(std::move(node));
}

}  // namespace hearth::tmpl::jinja
