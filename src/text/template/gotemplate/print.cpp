#include "text/template/gotemplate/print.h"

#include <fmt/format.h>

#include "text/template/unicode.h"

namespace hearth::gotmpl {
namespace {

void print_list(const List& list, Output& out) {
  if (list.style == Style::lone && list.items.empty()) return;
  if (list.style == Style::lone && list.items.size() == 1) return print(list.items[0], out, list.origin);
  out.add("[", list.origin);
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out.add(" ", list.origin);
    print(list.items[i], out, list.origin);
  }
  out.add("]", list.origin);
}

void print_map(const Map& map, Output& out) {
  out.add("map[", map.origin);
  for (size_t i = 0; i < map.entries.size(); ++i) {
    if (i > 0) out.add(" ", map.origin);
    out.add(*map.entries[i].key);
    out.add(":", map.origin);
    print(map.entries[i].value, out, map.origin);
  }
  out.add("]", map.origin);
}

struct Printer {
  Output& out;
  Origin origin;

  void operator()(Nil) const { out.add("<nil>", origin); }
  void operator()(bool value) const { out.add(value ? "true" : "false", origin); }
  void operator()(int64_t value) const { out.add(fmt::format("{}", value), origin); }
  void operator()(double value) const { out.add(float_text(value, 'g', -1), origin); }
  void operator()(const TextRef& value) const { out.add(*value); }
  void operator()(const ObjectRef& value) const {
    const Meter::Level level(out.meter());
    out.meter().step();
    if (value->style == Style::json) return print_json(value, out, origin);
    if (value->kind == Object::Kind::list) return print_list(static_cast<const List&>(*value), out);
    print_map(static_cast<const Map&>(*value), out);
  }
};

// ---- JSON ----

void escape_json(std::string_view text, std::string& out) {
  for (size_t at = 0; at < text.size();) {
    const char32_t point = tmpl::decode(text, at);
    switch (point) {
      case '"': out += "\\\""; continue;
      case '\\': out += "\\\\"; continue;
      case '\n': out += "\\n"; continue;
      case '\r': out += "\\r"; continue;
      case '\t': out += "\\t"; continue;
      case tmpl::invalid_byte: out += "\\ufffd"; continue;
      default: break;
    }
    const bool escaped =
        point < 0x20 || point == '<' || point == '>' || point == '&' || point == 0x2028 || point == 0x2029;
    if (escaped) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(point));
    } else {
      tmpl::encode(point, out);
    }
  }
}

struct JsonPrinter {
  Output& out;
  Origin origin;

  void operator()(Nil) const { out.add("null", origin); }
  void operator()(bool value) const { out.add(value ? "true" : "false", origin); }
  void operator()(int64_t value) const { out.add(fmt::format("{}", value), origin); }
  void operator()(double value) const {
    const double size = value < 0 ? -value : value;
    if (!(size <= 1.7976931348623157e308)) tmpl::fail_type("infinities and NaN have no JSON");
    const bool scientific = size != 0 && (size < 1e-6 || size >= 1e21);
    std::string text = float_text(value, scientific ? 'e' : 'f', -1);
    // 1e-07 is written as 1e-7.
    const size_t digit = text.size() - 2;
    if (scientific && text.size() > 3 && text[digit - 1] == '-' && text[digit] == '0') text.erase(digit, 1);
    out.add(text, origin);
  }
  void operator()(const TextRef& value) const {
    out.add("\"", value->origin());
    value->pieces(0, value->size(), [&](std::string_view bytes, Origin of) {
      std::string escaped;
      out.meter().expect(bytes.size() * 6);
      escape_json(bytes, escaped);
      out.add(escaped, of);
    });
    out.add("\"", value->origin());
  }
  void operator()(const ObjectRef& value) const {
    const Meter::Level level(out.meter());
    out.meter().step();
    switch (value->kind) {
      case Object::Kind::list: return list(static_cast<const List&>(*value));
      case Object::Kind::map: return map(static_cast<const Map&>(*value));
      case Object::Kind::record: return record(static_cast<const Record&>(*value));
    }
  }

  void list(const List& list) const {
    if (list.style == Style::lone && list.items.size() == 1)
      return print_json(list.items[0], out, list.origin);
    out.add("[", list.origin);
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out.add(",", list.origin);
      print_json(list.items[i], out, list.origin);
    }
    out.add("]", list.origin);
  }
  void map(const Map& map) const {
    out.add("{", map.origin);
    for (size_t i = 0; i < map.entries.size(); ++i) {
      if (i > 0) out.add(",", map.origin);
      (*this)(map.entries[i].key);
      out.add(":", map.origin);
      print_json(map.entries[i].value, out, map.origin);
    }
    out.add("}", map.origin);
  }
  void record(const Record& record) const {
    out.add("{", record.origin);
    bool first = true;
    for (size_t i = 0; i < record.values.size(); ++i) {
      const Field& field = record.type.fields[i];
      if (field.omit_empty && !truth(record.values[i])) continue;
      out.add(fmt::format("{}\"{}\":", first ? "" : ",", field.json), record.origin);
      first = false;
      print_json(record.values[i], out, record.origin);
    }
    out.add("}", record.origin);
  }
};

}  // namespace

void print(const Value& value, Output& out, Origin origin) { std::visit(Printer{out, origin}, value); }

void print_action(const Value& value, Output& out) {
  if (is_nil(value)) return out.add("<no value>", Origin::model);
  print(value, out);
}

void print_operands(std::span<const Value> operands, Output& out) {
  for (size_t i = 0; i < operands.size(); ++i) {
    if (i > 0 && !text_in(operands[i]) && !text_in(operands[i - 1])) out.add(" ", Origin::model);
    print(operands[i], out);
  }
}

void print_line(std::span<const Value> operands, Output& out) {
  for (size_t i = 0; i < operands.size(); ++i) {
    if (i > 0) out.add(" ", Origin::model);
    print(operands[i], out);
  }
  out.add("\n", Origin::model);
}

void print_json(const Value& value, Output& out, Origin origin) {
  std::visit(JsonPrinter{out, origin}, value);
}

}  // namespace hearth::gotmpl
