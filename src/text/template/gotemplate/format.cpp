// Go's fmt.Sprintf.
#include <fmt/format.h>

#include <optional>

#include "text/template/gotemplate/print.h"
#include "text/template/gotemplate/quote.h"
#include "text/template/unicode.h"

namespace hearth::gotmpl {
namespace {

constexpr int64_t most_width = 1'000'000;

struct Spec {
  bool minus = false, plus = false, sharp = false, space = false, zero = false;
  std::optional<size_t> width, precision;
};

std::string encoded(char32_t point) {
  std::string text;
  tmpl::encode(point, text);
  return text;
}

class Formatter {
 public:
  Formatter(const Text& format, std::span<const Value> arguments, Output& out)
      : format_(format), view_(format.view()), arguments_(arguments), out_(out) {}

  void run() {
    for (size_t from = 0; from < view_.size();) {
      out_.meter().step();
      const size_t percent = std::min(view_.find('%', from), view_.size());
      if (percent > from) out_.add(format_, from, percent);
      from = percent;
      if (percent < view_.size()) from = directive(percent + 1);
    }
    if (!reordered_ && next_ < arguments_.size()) extra();
  }

 private:
  void add(std::string_view text) { out_.add(text, Origin::model); }

  void extra() {
    add("%!(EXTRA ");
    for (size_t i = next_; i < arguments_.size(); ++i) {
      if (i > next_) add(", ");
      described(arguments_[i], {});
    }
    add(")");
  }

  // type=value
  void described(const Value& described_value, const Spec& spec) {
    add(type_name(described_value));
    if (is_nil(described_value)) return;
    add("=");
    value(described_value, 'v', spec);
  }

  size_t directive(size_t at);
  size_t flags(size_t at, Spec& spec) const;
  size_t number(size_t at, std::optional<size_t>& out, bool is_width, Spec& spec);
  size_t index(size_t at);

  void value(const Value& value, char32_t verb, const Spec& spec);
  void bad(const Value& value, char32_t verb, const Spec& spec) {
    add("%!" + encoded(verb) + "(");
    described(value, spec);
    add(")");
  }
  void element(const Value& of_container, char32_t verb, const Spec& spec) {
    if (is_nil(of_container)) return add("<nil>");
    value(of_container, verb, spec);
  }
  void pad(const Marked& text, const Spec& spec);
  void integer(int64_t value, char32_t verb, const Spec& spec);
  void digits(int64_t value, unsigned base, char32_t verb, const Spec& spec);
  void floating(double value, char32_t verb, const Spec& spec);
  void text(const Text& text, char32_t verb, const Spec& spec);
  void container(const ObjectRef& object, char32_t verb, const Spec& spec);

  const Text& format_;
  const std::string_view view_;
  const std::span<const Value> arguments_;
  Output& out_;
  size_t next_ = 0;
  bool reordered_ = false;
  bool good_index_ = true;
};

size_t Formatter::flags(size_t at, Spec& spec) const {
  for (; at < view_.size(); ++at) {
    switch (view_[at]) {
      case '-': spec.minus = true; break;
      case '+': spec.plus = true; break;
      case '#': spec.sharp = true; break;
      case ' ': spec.space = true; break;
      case '0': spec.zero = true; break;
      default: return at;
    }
  }
  return at;
}

// [n]: the number of the next argument, from 1.
size_t Formatter::index(size_t at) {
  if (at >= view_.size() || view_[at] != '[') return at;
  reordered_ = true;
  const size_t close = view_.find(']', at);
  size_t wanted = 0;
  for (size_t i = at + 1; i < std::min(close, view_.size()) && wanted <= arguments_.size(); ++i) {
    if (view_[i] < '0' || view_[i] > '9') wanted = arguments_.size();
    wanted = wanted * 10 + static_cast<size_t>(view_[i] - '0');
  }
  good_index_ = close != std::string_view::npos && wanted >= 1 && wanted <= arguments_.size();
  if (good_index_) next_ = wanted - 1;
  return close == std::string_view::npos ? at + 1 : close + 1;
}

// A width or precision: digits, or * for the next argument.
size_t Formatter::number(size_t at, std::optional<size_t>& out, bool is_width, Spec& spec) {
  at = index(at);
  if (at < view_.size() && view_[at] == '*') {
    const int64_t* wanted = next_ < arguments_.size() ? std::get_if<int64_t>(&arguments_[next_]) : nullptr;
    if (next_ < arguments_.size()) ++next_;
    if (!wanted || *wanted > most_width || *wanted < -most_width || (*wanted < 0 && !is_width)) {
      add(is_width ? "%!(BADWIDTH)" : "%!(BADPREC)");
      return at + 1;
    }
    if (*wanted < 0) spec.minus = true;
    out = static_cast<size_t>(*wanted < 0 ? -*wanted : *wanted);
    return at + 1;
  }
  size_t value = 0;
  const size_t from = at;
  for (; at < view_.size() && view_[at] >= '0' && view_[at] <= '9'; ++at) {
    value = value * 10 + static_cast<size_t>(view_[at] - '0');
    if (value > most_width) value = most_width + 1;
  }
  if (at > from && value <= most_width) out = value;
  return at;
}

size_t Formatter::directive(size_t at) {
  Spec spec;
  good_index_ = true;
  at = flags(at, spec);
  at = number(at, spec.width, true, spec);
  if (at < view_.size() && view_[at] == '.') {
    spec.precision = 0;
    at = number(at + 1, spec.precision, false, spec);
  }
  at = index(at);
  if (at >= view_.size()) return add("%!(NOVERB)"), at;
  char32_t verb = tmpl::decode(view_, at);
  if (verb == tmpl::invalid_byte) verb = 0xFFFD;
  if (verb == '%') {
    add("%");
  } else if (!good_index_) {
    add("%!" + encoded(verb) + "(BADINDEX)");
  } else if (next_ >= arguments_.size()) {
    add("%!" + encoded(verb) + "(MISSING)");
  } else {
    if (verb == 'v') spec.plus = false;  // asks for field names, which no value here has
    value(arguments_[next_++], verb, spec);
  }
  return at;
}

void Formatter::pad(const Marked& text, const Spec& spec) {
  const size_t length = tmpl::count_characters(text.bytes());
  const size_t missing = spec.width && *spec.width > length ? *spec.width - length : 0;
  out_.meter().expect(missing);
  const std::string filling(missing, spec.zero && !spec.minus ? '0' : ' ');
  if (!spec.minus) add(filling);
  out_.add(text);
  if (spec.minus) add(filling);
}

void Formatter::value(const Value& value, char32_t verb, const Spec& spec) {
  if (verb == 'T') {
    const std::string_view name = type_name(value);
    return pad(Marked(std::string(name.substr(0, spec.precision.value_or(name.size()))), Origin::model),
               spec);
  }
  if (const auto* flag = std::get_if<bool>(&value)) {
    if (verb != 'v' && verb != 't') return bad(value, verb, spec);
    return pad(Marked(*flag ? "true" : "false", Origin::model), spec);
  }
  if (const auto* number = std::get_if<int64_t>(&value)) return integer(*number, verb, spec);
  if (const auto* number = std::get_if<double>(&value)) return floating(*number, verb, spec);
  if (const Text* bytes = text_in(value)) return text(*bytes, verb, spec);
  if (const auto* object = std::get_if<ObjectRef>(&value)) return container(*object, verb, spec);
  if (verb != 'v') return bad(value, verb, spec);
  pad(Marked("<nil>", Origin::model), spec);
}

void Formatter::integer(int64_t value, char32_t verb, const Spec& spec) {
  const auto point = static_cast<char32_t>(value >= 0 && value <= 0x10FFFF ? value : 0xFFFD);
  switch (verb) {
    case 'v':
    case 'd': return digits(value, 10, verb, spec);
    case 'b': return digits(value, 2, verb, spec);
    case 'o':
    case 'O': return digits(value, 8, verb, spec);
    case 'x':
    case 'X': return digits(value, 16, verb, spec);
    case 'c': return pad(Marked(encoded(point), Origin::model), spec);
    case 'q': return pad(Marked(in_quotes(encoded(point), '\''), Origin::model), spec);
    case 'U': return pad(Marked(fmt::format("U+{:04X}", static_cast<uint64_t>(value)), Origin::model), spec);
    default: return bad(value, verb, spec);
  }
}

void Formatter::digits(int64_t value, unsigned base, char32_t verb, const Spec& spec) {
  auto rest = static_cast<uint64_t>(value);
  if (value < 0) rest = 0 - rest;
  const std::string_view letters = verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string text;
  while (rest > 0) {
    text += letters[rest % base];
    rest /= base;
  }
  const bool nothing = value == 0 && spec.precision && *spec.precision == 0;
  const bool sign = !nothing && (value < 0 || spec.plus || spec.space);
  size_t least = spec.precision.value_or(1);
  if (!spec.precision && spec.zero && !spec.minus && spec.width)
    least = std::max<size_t>(1, *spec.width - std::min<size_t>(sign ? 1 : 0, *spec.width));
  out_.meter().expect(least);
  if (text.size() < least) text.append(least - text.size(), '0');
  if (spec.sharp && base != 10) text += base == 8 ? "0" : base == 2 ? "b0" : verb == 'X' ? "X0" : "x0";
  if (verb == 'O') text += "o0";
  if (sign) text += value < 0 ? '-' : spec.plus ? '+' : ' ';
  Spec blank = spec;
  blank.zero = false;
  pad(Marked(std::string(text.rbegin(), text.rend()), Origin::model), blank);
}

void Formatter::floating(double value, char32_t verb, const Spec& spec) {
  if (verb != 'v' &&
      (verb > 'z' || std::string_view("eEfFgG").find(static_cast<char>(verb)) == std::string_view::npos))
    return bad(value, verb, spec);
  const bool general = verb == 'v' || verb == 'g' || verb == 'G';
  const int precision = spec.precision ? static_cast<int>(*spec.precision) : general ? -1 : 6;
  std::string text = float_text(value, verb == 'v' ? 'g' : static_cast<char>(verb), precision);
  if (text.front() != '-' && text.front() != '+' && (spec.plus || spec.space))
    text.insert(text.begin(), spec.plus ? '+' : ' ');
  if (text.front() == '+' && !spec.plus && text != "+Inf") text.front() = ' ';
  const bool sign = text.front() == '-' || text.front() == '+' || text.front() == ' ';
  if (!spec.zero || spec.minus || !sign) return pad(Marked(std::move(text), Origin::model), spec);
  add(text.substr(0, 1));
  Spec rest = spec;
  if (rest.width && *rest.width > 0) --*rest.width;
  pad(Marked(text.substr(1), Origin::model), rest);
}

void Formatter::text(const Text& text, char32_t verb, const Spec& spec) {
  size_t to = text.size();
  if (spec.precision && (verb == 's' || verb == 'v' || verb == 'q'))
    to = text.offset(std::min(*spec.precision, text.length()));
  Output piece(out_.meter());
  switch (verb) {
    case 's':
    case 'v': piece.add(text, 0, to); break;
    case 'q':
      piece.add("\"", text.origin());
      text.pieces(0, to, [&](std::string_view bytes, Origin origin) {
        out_.meter().expect(bytes.size() * 10);
        const std::string inner = in_quotes(bytes, '"');
        piece.add(std::string_view(inner).substr(1, inner.size() - 2), origin);
      });
      piece.add("\"", text.origin());
      break;
    case 'x':
    case 'X':
      for (const char c : text.view().substr(0, spec.precision.value_or(text.size()))) {
        const auto byte = static_cast<unsigned char>(c);
        piece.add(verb == 'x' ? fmt::format("{:02x}", byte) : fmt::format("{:02X}", byte), text.origin());
      }
      break;
    default: return bad(TextRef(&text), verb, spec);
  }
  pad(piece.text(), spec);
}

void Formatter::container(const ObjectRef& object, char32_t verb, const Spec& spec) {
  const Meter::Level level(out_.meter());
  const auto* list = as<List>(object);
  const auto* map = as<Map>(object);
  const bool whole = object->style == Style::json || (!list && !map) ||
                     (object->style == Style::lone && list && list->items.size() <= 1);
  if (whole) {
    Output piece(out_.meter());
    print(object, piece, object->origin);
    return pad(piece.text(), spec);
  }
  const auto mark = [&](std::string_view text) { out_.add(text, object->origin); };
  if (list) {
    mark("[");
    for (size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) mark(" ");
      element(list->items[i], verb, spec);
    }
    return mark("]");
  }
  mark("map[");
  for (size_t i = 0; i < map->entries.size(); ++i) {
    if (i > 0) mark(" ");
    text(*map->entries[i].key, verb, spec);
    mark(":");
    element(map->entries[i].value, verb, spec);
  }
  mark("]");
}

}  // namespace

void print_formatted(const Text& format, std::span<const Value> arguments, Output& out) {
  Formatter(format, arguments, out).run();
}

}  // namespace hearth::gotmpl
