#include <cmath>

#include <fmt/format.h>

#include "text/template/jinja/number_format.h"

// "%s" % value.
namespace hearth::tmpl::jinja {
namespace {

class PercentFormatter {
 public:
  PercentFormatter(Evaluator& evaluator, const Text& format, const Value& values)
      : evaluator_(evaluator), format_(format), bytes_(format.view()), values_(values) {}

  Value run() {
    while (at_ < bytes_.size()) {
      const size_t sign = std::min(bytes_.find('%', at_), bytes_.size());
      evaluator_.meter().expect(out_.size() + sign - at_);
      out_.append(format_, at_, sign);
      at_ = sign + 1;
      if (sign < bytes_.size()) conversion();
    }
    const auto* tuple = values_.as<Tuple>();
    // What can be indexed might be a mapping of names, and those need not all be used.
    const bool maybe_mapping =
        values_.as<Dict>() || values_.as<List>() || values_.as<Range>() || is_undefined(values_);
    const bool unused = tuple ? next_ < tuple->items.size() : next_ == 0 && !maybe_mapping;
    if (unused) fail_type("not all arguments converted during string formatting");
    return evaluator_.text(std::move(out_));
  }

 private:
  void conversion() {
    evaluator_.meter().step();
    FormatSpec spec;
    std::optional<Value> value = key();
    flags(spec);
    spec.width = number();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (peek() == '.') {
      ++at_;
      spec.precision = std::max<int64_t>(number(), 0);
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L') ++at_;
    if (at_ >= bytes_.size()) fail_type("incomplete format");
    const char type = bytes_[at_++];
    if (type == '%') return out_.append("%", format_.origin());
    append(value ? *value : next(), type, spec);
  }

  char peek() const { return at_ < bytes_.size() ? bytes_[at_] : '\0'; }

  // %(name)s
  std::optional<Value> key() {
    if (peek() != '(') return std::nullopt;
    const size_t end = bytes_.find(')', at_);
    const auto* dict = values_.as<Dict>();
    if (end == std::string_view::npos) fail_type("incomplete format key");
    if (!dict) fail_type("format requires a mapping");
    const Value* found = std::as_const(*dict).find(bytes_.substr(at_ + 1, end - at_ - 1));
    if (!found) fail_type("a key of the format is not in the mapping");
    at_ = end + 1;
    return *found;
  }

  void flags(FormatSpec& spec) {
    for (;; ++at_) {
      switch (peek()) {
        case '-': spec.align = '<'; break;
        case '+': spec.sign = '+'; break;
        case ' ':
          if (spec.sign == '-') spec.sign = ' ';
          break;
        case '#': spec.alternate = true; break;
        case '0': spec.fill = '0'; break;
        default: return;
      }
    }
  }

  int64_t number() {
    if (peek() == '*') {
      ++at_;
      const auto given = small_integer(next());
      if (!given || *given < -INT32_MAX || *given > INT32_MAX) fail_type("* wants int");
      return *given;
    }
    int64_t value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + (peek() - '0');
      if (value > INT32_MAX) fail_type("width or precision too big");
    }
    return value;
  }

  const Value& next() {
    const auto* tuple = values_.as<Tuple>();
    if (!tuple) {
      if (next_++ > 0) fail_type("not enough arguments for format string");
      return values_;
    }
    if (next_ >= tuple->items.size()) fail_type("not enough arguments for format string");
    return tuple->items[next_++];
  }

  void append(const Value& value, char type, FormatSpec spec) {
    switch (type) {
      case 's':
      case 'r':
      case 'a': return append_text(value, type, spec);
      case 'c': return append_character(value, spec);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o': spec.type = type == 'i' || type == 'u' ? 'd' : type; return append_number(value, true, spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G': spec.type = type; return append_number(value, false, spec);
      default: fail_type(fmt::format("unsupported format character '{}'", type));
    }
  }

  void append_text(const Value& value, char type, FormatSpec& spec) {
    Marked body;
    if (type == 's') {
      print(evaluator_, value, body);
    } else {
      represent(evaluator_, value, Origin::model, body);
    }
    spec.fill = ' ';
    if (spec.precision >= 0) {
      Marked cut;
      cut.append(body, 0, offset_of(body.bytes(), static_cast<size_t>(spec.precision)));
      body = std::move(cut);
    }
    append_padded(evaluator_, body, spec, '>', out_);
  }

  // A character made of a number could be a piece of a special token, so it is never the model's.
  void append_character(const Value& value, FormatSpec& spec) {
    spec.fill = ' ';
    if (value.is_text() && value.text().length() == 1)
      return append_padded(evaluator_, value.text(), spec, '>', out_);
    const auto point = small_integer(value);
    if (!point || *point < 0 || *point > 0x10FFFF) fail_type("%c requires int or char");
    std::string bytes;
    encode(static_cast<char32_t>(*point), bytes);
    append_padded(evaluator_, Marked(std::move(bytes), Origin::user), spec, '>', out_);
  }

  void append_number(const Value& value, bool integral, FormatSpec& spec) {
    require_defined(value);
    if (!is_number(value) || (integral && spec.type != 'd' && !is_integral(value))) {
      fail_type(fmt::format("%{} format: a number is required, not {}", spec.type, type_name(value)));
    }
    std::string body;
    if (!integral) {
      body = format_double(as_double(value), spec);
    } else if (value.is_double()) {
      if (!std::isfinite(value.floating())) fail_type("cannot convert float infinity or NaN to integer");
      body = format_integer(BigInt(std::trunc(value.floating())), spec);
    } else {
      body = format_integer(big(value), spec);
    }
    if (spec.align == '<') spec.fill = ' ';
    append_padded(evaluator_, Marked(std::move(body), Origin::model), spec, spec.fill == '0' ? '=' : '>',
                  out_);
  }

  Evaluator& evaluator_;
  const Text& format_;
  const std::string_view bytes_;
  const Value& values_;
  size_t at_ = 0;
  size_t next_ = 0;
  Marked out_;
};

}  // namespace

Value format_percent(Evaluator& evaluator, const Text& format, const Value& values) {
  return PercentFormatter(evaluator, format, values).run();
}

}  // namespace hearth::tmpl::jinja
