#include "text/template/jinja/tojson.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/template/jinja/given.h"
#include "text/template/jinja/number.h"

namespace hearth::tmpl::jinja {
namespace {

std::string unit_escape(uint32_t unit) { return fmt::format("\\u{:04x}", unit); }

void escape_character(char32_t point, std::string_view bytes, bool ascii, std::string& out) {
  switch (point) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    default: break;
  }
  if (point < 0x20) {
    out += unit_escape(point);
  } else if (!ascii || point < 0x80 || point == invalid_byte) {
    out += bytes;
  } else if (point < 0x10000) {
    out += unit_escape(point);
  } else {
    out += unit_escape(0xD800 + ((point - 0x10000) >> 10));
    out += unit_escape(0xDC00 + ((point - 0x10000) & 0x3FF));
  }
}

class JsonWriter {
 public:
  JsonWriter(Evaluator& evaluator, const JsonStyle& style, Marked& out)
      : evaluator_(evaluator), style_(style), out_(out) {}

  void write(const Value& value, Origin punctuation) {
    const Meter::Level level(evaluator_.meter());
    evaluator_.meter().step();
    evaluator_.meter().expect(out_.size());
    if (value.is_text()) return text(value.text(), punctuation);
    if (const Sequence* list = sequence_of(value)) return sequence(*list, punctuation);
    if (const auto* members = value.as<Dict>()) return dict(*members);
    out_.append(scalar(value), punctuation);
  }

 private:
  void text(const Text& text, Origin punctuation) {
    evaluator_.meter().scan(text.size() * 8);
    evaluator_.meter().expect(out_.size() + text.size());
    const Origin quotes = text.origin() == Origin::user ? Origin::user : punctuation;
    out_.append("\"", quotes);
    text.pieces(0, text.size(), [&](std::string_view bytes, Origin origin) {
      std::string escaped;
      escaped.reserve(bytes.size() + bytes.size() / 8);
      for (size_t at = 0; at < bytes.size();) {
        const size_t from = at;
        const char32_t point = decode(bytes, at);
        escape_character(point, bytes.substr(from, at - from), style_.ascii, escaped);
      }
      out_.append(escaped, origin);
    });
    out_.append("\"", quotes);
  }

  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.boolean() ? "true" : "false";
    if (value.is_integer()) return fmt::format("{}", value.integer());
    if (value.is_double()) {
      if (std::isnan(value.floating())) return "NaN";
      if (std::isinf(value.floating())) return value.floating() < 0 ? "-Infinity" : "Infinity";
      return float_text(value.floating());
    }
    if (const auto* number = value.as<BigInteger>()) return number->value.str();
    fail_type(fmt::format("Object of type {} is not JSON serializable", type_name(value)));
  }

  void sequence(const Sequence& items, Origin punctuation) {
    const Origin origin = items.kind == Kind::list ? items.origin : punctuation;
    out_.append("[", origin);
    ++depth_;
    for (size_t i = 0; i < items.items.size(); ++i) {
      if (i > 0) separator(style_.between, origin);
      new_line(origin);
      write(items.items[i], origin);
    }
    --depth_;
    if (!items.items.empty()) new_line(origin);
    out_.append("]", origin);
  }

  void dict(const Dict& dict) {
    out_.append("{", dict.origin);
    ++depth_;
    bool first = true;
    for (const auto* member : members_of(dict)) {
      if (!first) separator(style_.between, dict.origin);
      first = false;
      new_line(dict.origin);
      key(member->first, dict.origin);
      separator(style_.after_key, dict.origin);
      write(member->second, dict.origin);
    }
    --depth_;
    if (!first) new_line(dict.origin);
    out_.append("}", dict.origin);
  }

  std::vector<const std::pair<Value, Value>*> members_of(const Dict& dict) {
    std::vector<const std::pair<Value, Value>*> members;
    members.reserve(dict.items.size());
    for (const auto& member : dict.items) members.push_back(&member);
    if (!style_.sorted) return members;
    std::stable_sort(members.begin(), members.end(), [&](const auto* a, const auto* b) {
      return ordered(evaluator_, CompareOp::less, a->first, b->first);
    });
    return members;
  }

  void key(const Value& name, Origin punctuation) {
    if (name.is_text()) return text(name.text(), punctuation);
    if (name.is_object() && !name.as<BigInteger>()) {
      fail_type(fmt::format("keys must be str, int, float, bool or None, not {}", type_name(name)));
    }
    out_.append("\"" + scalar(name) + "\"", punctuation);
  }

  // A separator that the template gave keeps its origin unless the container is a user's.
  void separator(const Marked& given, Origin origin) {
    if (origin == Origin::user) {
      out_.append(given.bytes(), origin);
    } else {
      out_.append(given);
    }
  }

  void new_line(Origin origin) {
    if (!style_.multiline) return;
    evaluator_.meter().expect(out_.size() + depth_ * style_.indent.size());
    evaluator_.meter().scan(depth_ * style_.indent.size());
    out_.append("\n", origin);
    for (size_t i = 0; i < depth_; ++i) separator(style_.indent, origin);
  }

  Evaluator& evaluator_;
  const JsonStyle& style_;
  Marked& out_;
  size_t depth_ = 0;
};

void read_indent(const Given& given, JsonStyle& style) {
  if (!given.set(1)) return;
  style.multiline = true;
  style.between = Marked(",", Origin::model);
  if (given[1].is_text()) {
    style.indent.append(given[1].text());
    return;
  }
  const int64_t blanks = given.integer(1, 0);
  if (blanks > 1000) fail_type("tojson(): the indentation is too deep");
  style.indent = Marked(std::string(static_cast<size_t>(std::max<int64_t>(blanks, 0)), ' '), Origin::model);
}

Value tojson(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = given.flag(0, false);
  style.sorted = given.flag(3, false);
  read_indent(given, style);
  if (given.set(2)) {
    const std::vector<Value> parts = elements(evaluator, given[2]);
    if (parts.size() != 2 || !parts[0].is_text() || !parts[1].is_text()) {
      fail_type("tojson(): separators must be two strings");
    }
    style.between = parts[0].text();
    style.after_key = parts[1].text();
  }
  Marked out;
  write_json(evaluator, self, style, out);
  return evaluator.text(std::move(out));
}

// Not part of Jinja, but some templates of models use it.
Value from_json(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("from_json", args, {});
  if (!self.is_text()) fail_type(fmt::format("from_json() needs a string, not {}", type_name(self)));
  evaluator.meter().step(self.text().size());
  evaluator.meter().expect(self.text().size() * 32);
  boost::system::error_code error;
  const Json parsed = json::parse(std::string_view(self.view()), error);
  if (error) fail_type(fmt::format("from_json(): {}", error.message()));
  return evaluator.import(parsed, self.text().origin());
}

}  // namespace

void write_json(Evaluator& evaluator, const Value& value, const JsonStyle& style, Marked& out) {
  JsonWriter(evaluator, style, out).write(value, Origin::model);
}

Native json_filter(std::string_view name) {
  return name == "tojson" ? tojson : name == "from_json" || name == "fromjson" ? from_json : nullptr;
}

}  // namespace hearth::tmpl::jinja
