#include <fmt/format.h>

#include "text/template/big_integer.h"
#include "text/template/evaluator.h"

// How expressions are evaluated.
namespace hearth::tmpl {

Value Evaluator::evaluate(const Expr& expr) {
  meter_.step();
  const Meter::Level level(meter_);
  try {
    return dispatch(expr);
  } catch (Failure& failure) {
    if (failure.at.line == 0) failure.at = expr.at;
    throw;
  }
}

Value Evaluator::dispatch(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::constant: return constant(static_cast<const Constant&>(expr));
    case ExprKind::name: return look_up(static_cast<const Name&>(expr).symbol);
    case ExprKind::list: return list(all(static_cast<const Group&>(expr).items));
    case ExprKind::tuple: return tuple(all(static_cast<const Group&>(expr).items));
    case ExprKind::dict: return dict_literal(static_cast<const DictLiteral&>(expr));
    case ExprKind::attribute: {
      const auto& attribute = static_cast<const Attribute&>(expr);
      return dialect().attribute(*this, evaluate(*attribute.of), attribute.name);
    }
    case ExprKind::item: {
      const auto& item = static_cast<const Item&>(expr);
      const Value of = evaluate(*item.of);
      return dialect().item(*this, of, evaluate(*item.key));
    }
    case ExprKind::slice: return slice(static_cast<const Slice&>(expr));
    case ExprKind::call: return call_expr(static_cast<const Call&>(expr), nullptr);
    case ExprKind::native: return native(static_cast<const NativeCall&>(expr), nullptr);
    case ExprKind::unary: {
      const auto& unary = static_cast<const Unary&>(expr);
      return dialect().unary(*this, unary.op, evaluate(*unary.operand));
    }
    case ExprKind::negation: return !truth(evaluate(*static_cast<const Negation&>(expr).operand));
    case ExprKind::arithmetic: return arithmetic(static_cast<const Arithmetic&>(expr));
    case ExprKind::concat: return concat(static_cast<const Group&>(expr));
    case ExprKind::all_of:
    case ExprKind::any_of: return deciding(static_cast<const Group&>(expr), expr.kind == ExprKind::any_of);
    case ExprKind::comparison: return comparison(static_cast<const Comparison&>(expr));
    case ExprKind::conditional: return conditional(static_cast<const Conditional&>(expr));
  }
  return {};
}

Value Evaluator::constant(const Constant& expr) {
  if (expr.digits.empty()) return expr.value;
  return create<BigInteger>(expr.digits.size(), BigInt(expr.digits));
}

std::vector<Value> Evaluator::all(const std::vector<ExprPtr>& items) {
  std::vector<Value> values;
  values.reserve(items.size());
  for (const ExprPtr& item : items) values.push_back(evaluate(*item));
  return values;
}

Value Evaluator::dict_literal(const DictLiteral& expr) {
  Dict* made = dict();
  for (const auto& [key_expr, value_expr] : expr.items) {
    Value key = evaluate(*key_expr);
    if (!is_key(key)) fail_type("a key of a dictionary must be a string, a number or a tuple of them");
    set(*made, std::move(key), evaluate(*value_expr));
  }
  return made;
}

Value Evaluator::slice(const Slice& expr) {
  const Value of = evaluate(*expr.of);
  const auto bound = [this](const ExprPtr& given) { return given ? evaluate(*given) : Value(); };
  const Value start = bound(expr.start);
  const Value stop = bound(expr.stop);
  return dialect().slice(*this, of, start, stop, bound(expr.step));
}

// A method that is called at once needs no bound function.
Value Evaluator::call_expr(const Call& expr, const Value* caller) {
  Native method = nullptr;
  Value callee;
  if (expr.callee->kind == ExprKind::attribute) {
    const auto& attribute = static_cast<const Attribute&>(*expr.callee);
    callee = evaluate(*attribute.of);
    method = dialect().method(callee, attribute.name->view());
    if (!method) callee = dialect().attribute(*this, callee, attribute.name);
  } else {
    callee = evaluate(*expr.callee);
  }
  Args args = arguments(expr.arguments);
  if (caller) args.named.emplace_back("caller", *caller);
  return method ? method(*this, callee, args) : call(callee, args);
}

Value Evaluator::call(const Value& callee, Args& args) {
  const Meter::Level level(meter_);
  meter_.step();
  if (const auto* function = callee.as<Function>()) return function->call(*this, function->self, args);
  if (const auto* macro = callee.as<Macro>()) return call_macro(*macro, args);
  return dialect().call(*this, callee, args);
}

Args Evaluator::arguments(const Arguments& given) {
  Args args;
  args.positional = all(given.positional);
  for (const auto& [name, value] : given.named) args.named.emplace_back(name, evaluate(*value));
  if (given.rest) {
    for (Value& value : dialect().elements(*this, evaluate(*given.rest))) {
      args.positional.push_back(std::move(value));
    }
  }
  if (!given.named_rest) return args;
  const Value rest = evaluate(*given.named_rest);
  const auto* names = rest.as<Dict>();
  if (!names) fail_type("argument after ** must be a mapping");
  meter_.step(names->items.size());
  for (const auto& [name, value] : names->items) {
    if (!name.is_text()) fail_type("keywords must be strings");
    args.named.emplace_back(std::string(name.view()), value);
  }
  return args;
}

Value Evaluator::native(const NativeCall& expr, const Value* operand) {
  const Value self = operand ? *operand : evaluate(*expr.operand);
  if (!expr.call) {
    throw Failure{TemplateError::Kind::type, fmt::format("there is no filter or test '{}'", expr.name), {}};
  }
  Args args = arguments(expr.arguments);
  return expr.call(*this, self, args);
}

Value Evaluator::arithmetic(const Arithmetic& expr) {
  Value value = evaluate(*expr.first);
  for (const auto& [op, operand] : expr.rest) value = dialect().binary(*this, op, value, evaluate(*operand));
  return value;
}

Value Evaluator::concat(const Group& expr) {
  Marked out;
  for (const ExprPtr& item : expr.items) {
    dialect().print(*this, evaluate(*item), out);
  }
  return text(std::move(out));
}

// `and` and `or` return the operand that decides.
Value Evaluator::deciding(const Group& expr, bool decisive) {
  Value value;
  for (const ExprPtr& item : expr.items) {
    value = evaluate(*item);
    if (truth(value) == decisive) break;
  }
  return value;
}

Value Evaluator::comparison(const Comparison& expr) {
  Value left = evaluate(*expr.first);
  for (const auto& [op, operand] : expr.rest) {
    Value right = evaluate(*operand);
    if (!dialect().compare(*this, op, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Evaluator::conditional(const Conditional& expr) {
  if (truth(evaluate(*expr.condition))) return evaluate(*expr.then);
  if (expr.otherwise) return evaluate(*expr.otherwise);
  return create<Undefined>(0,
                           std::string("the inline if-expression evaluated to false and no else was given"));
}

}  // namespace hearth::tmpl
