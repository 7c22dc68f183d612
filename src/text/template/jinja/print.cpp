#include <fmt/format.h>
#include <utf8proc.h>

#include <charconv>
#include <cmath>

#include "text/template/jinja/number.h"

// str() and repr().
namespace hearth::tmpl::jinja {
namespace {

bool is_printable(char32_t point) {
  if (point < 0x7F) return point >= 0x20;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(point))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
  }
}

void represent_character(char32_t point, std::string_view bytes, char quote, std::string& out) {
  if (point == '\n') {
    out += "\\n";
  } else if (point == '\r') {
    out += "\\r";
  } else if (point == '\t') {
    out += "\\t";
  } else if (point == '\\' || point == static_cast<unsigned char>(quote)) {
    out += '\\';
    out += bytes;
  } else if (point == invalid_byte || is_printable(point)) {
    out += bytes;
  } else if (point < 0x100) {
    out += fmt::format("\\x{:02x}", static_cast<uint32_t>(point));
  } else if (point < 0x10000) {
    out += fmt::format("\\u{:04x}", static_cast<uint32_t>(point));
  } else {
    out += fmt::format("\\U{:08x}", static_cast<uint32_t>(point));
  }
}

void represent_text(Evaluator& evaluator, const Text& text, Origin punctuation, Marked& out) {
  evaluator.meter().expect(out.size() + text.size());
  evaluator.meter().scan(text.size() * 16);
  const bool single = text.view().find('\'') != std::string_view::npos;
  const bool twice = text.view().find('"') != std::string_view::npos;
  const char quote = single && !twice ? '"' : '\'';
  const Origin quotes = text.origin() == Origin::user ? Origin::user : punctuation;
  out.append({&quote, 1}, quotes);
  text.pieces(0, text.size(), [&](std::string_view bytes, Origin origin) {
    std::string escaped;
    for (size_t at = 0; at < bytes.size();) {
      const size_t from = at;
      const char32_t point = decode(bytes, at);
      represent_character(point, bytes.substr(from, at - from), quote, escaped);
    }
    out.append(escaped, origin);
  });
  out.append({&quote, 1}, quotes);
}

void represent_items(Evaluator& evaluator, const std::vector<Value>& items, Origin punctuation, Marked& out) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ", punctuation);
    represent(evaluator, items[i], punctuation, out);
  }
}

void represent_dict(Evaluator& evaluator, const Dict& dict, Marked& out) {
  out.append("{", dict.origin);
  for (size_t i = 0; i < dict.items.size(); ++i) {
    if (i > 0) out.append(", ", dict.origin);
    represent(evaluator, dict.items[i].first, dict.origin, out);
    out.append(": ", dict.origin);
    represent(evaluator, dict.items[i].second, dict.origin, out);
  }
  out.append("}", dict.origin);
}

void represent_view(Evaluator& evaluator, const Value& value, Marked& out) {
  const auto& view = *value.as<DictView>();
  constexpr std::string_view names[] = {"dict_keys([", "dict_values([", "dict_items(["};
  out.append(names[static_cast<size_t>(view.what)], view.dict->origin);
  represent_items(evaluator, elements(evaluator, value), view.dict->origin, out);
  out.append("])", view.dict->origin);
}

void represent_sequence(Evaluator& evaluator, const Sequence& sequence, Origin punctuation, Marked& out) {
  const bool is_list = sequence.kind == Kind::list;
  const Origin origin = is_list ? sequence.origin : punctuation;
  out.append(is_list ? "[" : "(", origin);
  represent_items(evaluator, sequence.items, origin, out);
  if (!is_list && sequence.items.size() == 1) out.append(",", origin);
  out.append(is_list ? "]" : ")", origin);
}

std::string range_text(const Range& range) {
  const int64_t stop = range.start + range.size * range.step;
  if (range.step == 1) return fmt::format("range({}, {})", range.start, stop);
  return fmt::format("range({}, {}, {})", range.start, stop, range.step);
}

std::string scalar_text(const Value& value) {
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.boolean() ? "True" : "False";
  if (value.is_integer()) return fmt::format("{}", value.integer());
  return float_text(value.floating());
}

std::string other_text(const Value& value) {
  switch (value.object()->kind) {
    case Kind::big_integer: return value.as<BigInteger>()->value.str();
    case Kind::range: return range_text(*value.as<Range>());
    case Kind::undefined: return "Undefined";
    case Kind::iterator: return "<generator>";
    case Kind::function: return fmt::format("<function {}>", value.as<Function>()->name);
    case Kind::loop: {
      const auto& loop = *value.as<Loop>();
      return fmt::format("<LoopContext {}/{}>", loop.index + 1, loop.items.size());
    }
    default: return "<macro>";
  }
}

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string digits;  // d.ddde[+-]xx
  const std::string text(buffer, end.ptr);
  const size_t mark = text.find('e');
  const int exponent = std::stoi(text.substr(mark + 1));
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}e{}{:02d}", text.substr(0, mark), exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  const auto plain = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  digits.assign(buffer, plain.ptr);
  if (digits.find('.') == std::string::npos) digits += ".0";
  return digits;
}

void represent(Evaluator& evaluator, const Value& value, Origin punctuation, Marked& out) {
  const Meter::Level level(evaluator.meter());
  evaluator.meter().step();
  evaluator.meter().expect(out.size());
  if (value.is_text()) return represent_text(evaluator, value.text(), punctuation, out);
  if (!value.is_object()) return out.append(scalar_text(value), punctuation);
  if (const Sequence* sequence = sequence_of(value)) {
    return represent_sequence(evaluator, *sequence, punctuation, out);
  }
  if (const auto* dict = value.as<Dict>()) return represent_dict(evaluator, *dict, out);
  if (value.as<DictView>()) return represent_view(evaluator, value, out);
  if (const auto* space = value.as<Space>()) {
    out.append("<Namespace ", punctuation);
    represent_dict(evaluator, space->members, out);
    return out.append(">", punctuation);
  }
  out.append(other_text(value), punctuation);
}

void print(Evaluator& evaluator, const Value& value, Marked& out) {
  if (is_undefined(value)) return;
  if (!value.is_text()) return represent(evaluator, value, Origin::model, out);
  evaluator.meter().scan(value.text().size());
  evaluator.meter().expect(out.size() + value.text().size());
  out.append(value.text());
}

Value string_of(Evaluator& evaluator, const Value& value) { return evaluator.printed(value); }

}  // namespace hearth::tmpl::jinja
