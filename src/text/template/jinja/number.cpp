#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "text/template/jinja/number.h"

// Arithmetic.
namespace hearth::tmpl::jinja {
namespace {

// About as many digits as Python would print.
constexpr size_t most_bits = 14'300;

const char* spelling(BinaryOp op) {
  constexpr const char* spellings[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};
  return spellings[static_cast<size_t>(op)];
}

[[noreturn]] void fail_operands(BinaryOp op, const Value& left, const Value& right) {
  if (op == BinaryOp::add && (left.is_text() || sequence_of(left))) {
    fail_type(
        fmt::format("can only concatenate {0} (not \"{1}\") to {0}", type_name(left), type_name(right)));
  }
  fail_type(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", spelling(op), type_name(left),
                        type_name(right)));
}

size_t bits(const BigInt& value) { return value == 0 ? 0 : boost::multiprecision::msb(abs(value)) + 1; }

BigInt floor_divide(const BigInt& left, const BigInt& right) {
  BigInt quotient = left / right;
  if (left % right != 0 && (left < 0) != (right < 0)) --quotient;
  return quotient;
}

Value power_of_integers(Evaluator& evaluator, const Value& left, const Value& right) {
  const auto exponent = small_integer(right);
  const BigInt base = big(left);
  if (exponent && *exponent < 0) {
    if (base == 0) fail_type("0.0 cannot be raised to a negative power");
    return std::pow(as_double(left), as_double(right));
  }
  const bool grows = abs(base) > 1;
  if (grows && (!exponent || static_cast<uint64_t>(*exponent) > most_bits ||
                bits(base) * static_cast<size_t>(*exponent) > 2 * most_bits)) {
    fail_type("an integer is too large");
  }
  if (!grows) {
    if (base == 1 || big(right) == 0) return int64_t{1};
    if (base == 0) return int64_t{0};
    return big(right) % 2 == 0 ? int64_t{1} : int64_t{-1};
  }
  return integer(evaluator, boost::multiprecision::pow(base, static_cast<unsigned>(*exponent)));
}

std::optional<int64_t> fast(BinaryOp op, int64_t left, int64_t right) {
  int64_t out = 0;
  switch (op) {
    case BinaryOp::add:
      if (!__builtin_add_overflow(left, right, &out)) return out;
      break;
    case BinaryOp::subtract:
      if (!__builtin_sub_overflow(left, right, &out)) return out;
      break;
    case BinaryOp::multiply:
      if (!__builtin_mul_overflow(left, right, &out)) return out;
      break;
    case BinaryOp::floor_divide:
    case BinaryOp::modulo: {
      if (right == 0 || right == -1) break;
      const int64_t rest = left % right;
      const bool adjust = rest != 0 && (rest < 0) != (right < 0);
      if (op == BinaryOp::modulo) return adjust ? rest + right : rest;
      return left / right - (adjust ? 1 : 0);
    }
    default: break;
  }
  return std::nullopt;
}

Value of_integers(Evaluator& evaluator, BinaryOp op, const Value& left, const Value& right) {
  const auto a = small_integer(left);
  const auto b = small_integer(right);
  if (a && b) {
    if (const auto result = fast(op, *a, *b)) return *result;
  }
  if (op == BinaryOp::power) return power_of_integers(evaluator, left, right);
  const BigInt x = big(left);
  const BigInt y = big(right);
  switch (op) {
    case BinaryOp::add: return integer(evaluator, x + y);
    case BinaryOp::subtract: return integer(evaluator, x - y);
    case BinaryOp::multiply: return integer(evaluator, x * y);
    default: break;
  }
  if (y == 0) fail_type(op == BinaryOp::divide ? "division by zero" : "integer division or modulo by zero");
  if (op == BinaryOp::divide) return as_double(left) / as_double(right);
  const BigInt quotient = floor_divide(x, y);
  return integer(evaluator, op == BinaryOp::floor_divide ? quotient : BigInt(x - quotient * y));
}

Value of_floats(BinaryOp op, double left, double right) {
  switch (op) {
    case BinaryOp::add: return left + right;
    case BinaryOp::subtract: return left - right;
    case BinaryOp::multiply: return left * right;
    case BinaryOp::power:
      if (left == 0 && right < 0) fail_type("0.0 cannot be raised to a negative power");
      if (left < 0 && std::trunc(right) != right) fail_type("complex numbers are not supported");
      return std::pow(left, right);
    default: break;
  }
  if (right == 0) fail_type("float division by zero");
  if (op == BinaryOp::divide) return left / right;
  double rest = std::fmod(left, right);
  if (rest != 0 && (rest < 0) != (right < 0)) rest += right;
  return op == BinaryOp::modulo ? rest : std::floor((left - rest) / right + 0.5);
}

Value joined(Evaluator& evaluator, const Value& left, const Value& right) {
  if (left.is_text()) {
    evaluator.meter().scan(left.text().size() + right.text().size());
    Marked out;
    out.reserve(left.text().size() + right.text().size());
    out.append(left.text());
    out.append(right.text());
    return evaluator.text(std::move(out));
  }
  const Sequence &a = *sequence_of(left), &b = *sequence_of(right);
  evaluator.meter().step(a.items.size() + b.items.size());
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  if (a.kind == Kind::tuple) return evaluator.tuple(std::move(items));
  return evaluator.list(std::move(items), a.origin == b.origin ? a.origin : Origin::user);
}

Value repeated(Evaluator& evaluator, const Value& what, const Value& times) {
  const auto given = small_integer(times);
  if (!given) fail_type("cannot fit the number of repetitions into an index");
  const auto count = static_cast<size_t>(std::max<int64_t>(*given, 0));
  const size_t size = what.is_text() ? what.text().size() : sequence_of(what)->items.size() * sizeof(Value);
  if (size > 0 && count > 0) evaluator.meter().expect(count > SIZE_MAX / size ? SIZE_MAX : size * count);
  evaluator.meter().step(size == 0 ? 0 : count);
  if (what.is_text()) {
    Marked out;
    evaluator.meter().scan(size * count);
    for (size_t i = 0; i < count && size > 0; ++i) out.append(what.text());
    return evaluator.text(std::move(out));
  }
  const Sequence& sequence = *sequence_of(what);
  evaluator.meter().step(sequence.items.size() * (size == 0 ? 0 : count));
  std::vector<Value> items;
  for (size_t i = 0; i < count && size > 0; ++i) {
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  if (sequence.kind == Kind::tuple) return evaluator.tuple(std::move(items));
  return evaluator.list(std::move(items), sequence.origin);
}

bool joinable(const Value& left, const Value& right) {
  if (left.is_text() || right.is_text()) return left.is_text() && right.is_text();
  const Sequence *a = sequence_of(left), *b = sequence_of(right);
  return a && b && a->kind == b->kind;
}

bool repeatable(const Value& value) { return value.is_text() || sequence_of(value); }

}  // namespace

std::optional<int64_t> small_integer(const Value& value) {
  if (value.is_integer()) return value.integer();
  if (value.is_bool()) return value.boolean() ? 1 : 0;
  return std::nullopt;
}

bool is_integral(const Value& value) {
  return value.is_integer() || value.is_bool() || value.as<BigInteger>() != nullptr;
}

bool is_number(const Value& value) { return is_integral(value) || value.is_double(); }

BigInt big(const Value& value) {
  if (const auto* integer = value.as<BigInteger>()) return integer->value;
  return BigInt(small_integer(value).value_or(0));
}

double as_double(const Value& value) {
  if (value.is_double()) return value.floating();
  if (const auto small = small_integer(value)) return static_cast<double>(*small);
  const BigInt number = big(value);
  // The library's conversion ends the process when it overflows.
  if (bits(number) >= std::numeric_limits<double>::max_exponent)
    fail_type("int too large to convert to float");
  return number.convert_to<double>();
}

Value integer(Evaluator& evaluator, BigInt value) {
  if (value >= INT64_MIN && value <= INT64_MAX) return value.convert_to<int64_t>();
  if (bits(value) > most_bits) fail_type("an integer is too large");
  return evaluator.create<BigInteger>(bits(value) / 8, std::move(value));
}

Value unary(Evaluator& evaluator, UnaryOp op, const Value& value) {
  require_defined(value);
  if (!is_number(value)) {
    fail_type(fmt::format("bad operand type for unary {}: '{}'", op == UnaryOp::negate ? '-' : '+',
                          type_name(value)));
  }
  if (value.is_double()) return op == UnaryOp::negate ? -value.floating() : value.floating();
  return integer(evaluator, op == UnaryOp::negate ? BigInt(-big(value)) : big(value));
}

Value binary(Evaluator& evaluator, BinaryOp op, const Value& left, const Value& right) {
  if (op == BinaryOp::modulo && left.is_text()) return format_percent(evaluator, left.text(), right);
  require_defined(left);
  require_defined(right);
  if (is_integral(left) && is_integral(right)) return of_integers(evaluator, op, left, right);
  if (is_number(left) && is_number(right)) return of_floats(op, as_double(left), as_double(right));
  if (op == BinaryOp::add && joinable(left, right)) return joined(evaluator, left, right);
  if (op == BinaryOp::multiply) {
    if (repeatable(left) && is_integral(right)) return repeated(evaluator, left, right);
    if (is_integral(left) && repeatable(right)) return repeated(evaluator, right, left);
  }
  fail_operands(op, left, right);
}

}  // namespace hearth::tmpl::jinja
