#include <fmt/format.h>

#include <unordered_map>

#include "text/template/jinja/filters.h"
#include "text/template/jinja/given.h"
#include "text/template/jinja/text_ops.h"

// Filters that make text of their operand and change it.
namespace hearth::tmpl::jinja {
namespace {

template <Case to>
Value in_case(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("upper, lower or capitalize", args, {});
  return change_case(evaluator, string_of(evaluator, self).text(), to);
}

Value title(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("title", args, {});
  return title_words(evaluator, string_of(evaluator, self).text());
}

Value trim(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("trim", args, {"chars"});
  const Value text = string_of(evaluator, self);
  return strip(evaluator, text.text(), Side::both, given.set(0) ? &given.text(0) : nullptr);
}

Value as_string(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("string", args, {});
  return string_of(evaluator, self);
}

Value replaced(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("replace", args, {"old", "new", "count"}, 2);
  const Value text = string_of(evaluator, self);
  const Value from = string_of(evaluator, given[0]);
  const Value to = string_of(evaluator, given[1]);
  return replace(evaluator, text.text(), from.text(), to.text(), given.integer(2, -1));
}

Value format(Evaluator& evaluator, const Value& self, Args& args) {
  if (!args.named.empty() && !args.positional.empty()) {
    fail_type("format: positional and keyword arguments cannot be mixed");
  }
  const Value text = string_of(evaluator, self);
  if (args.named.empty()) return format_percent(evaluator, text.text(), evaluator.tuple(args.positional));
  Dict* names = evaluator.dict();
  for (const auto& [name, value] : args.named)
    evaluator.set(*names, evaluator.text(name, Origin::model), value);
  return format_percent(evaluator, text.text(), names);
}

// Each line but the first (or `first`) and but empty ones (or `blank`) gets the indentation in front.
Value indent(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("indent", args, {"width", "first", "blank"});
  require_defined(self);
  if (!self.is_text()) fail_type(fmt::format("indent() needs a string, not {}", type_name(self)));
  Marked indentation;
  if (given.has(0) && given[0].is_text()) {
    indentation.append(given[0].text());
  } else {
    const auto width = static_cast<size_t>(std::max<int64_t>(given.integer(0, 4), 0));
    evaluator.meter().expect(width);
    indentation.append(std::string(width, ' '), Origin::model);
  }
  const bool first = given.flag(1, false);
  const bool blank = given.flag(2, false);
  const std::vector<Value> lines = split_lines(evaluator, self.text(), false);
  // An added newline makes the last line count even when it is empty.
  const bool ends_open = self.view().empty() || self.view().back() == '\n';
  const size_t count = lines.size() + (ends_open ? 1 : 0);
  Marked out;
  for (size_t i = 0; i < count; ++i) {
    const bool empty = i >= lines.size() || lines[i].text().empty();
    evaluator.meter().expect(out.size() + indentation.size() + self.text().size());
    if (i > 0) out.append("\n", Origin::model);
    if (i == 0 ? first : blank || !empty) out.append(indentation);
    if (i < lines.size()) out.append(lines[i].text());
  }
  return evaluator.text(std::move(out));
}

Value escape(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("escape", args, {});
  const Value text = string_of(evaluator, self);
  Marked out;
  text.text().pieces(0, text.text().size(), [&](std::string_view bytes, Origin origin) {
    std::string escaped;
    for (const char c : bytes) {
      switch (c) {
        case '&': escaped += "&amp;"; break;
        case '<': escaped += "&lt;"; break;
        case '>': escaped += "&gt;"; break;
        case '"': escaped += "&#34;"; break;
        case '\'': escaped += "&#39;"; break;
        default: escaped += c;
      }
    }
    evaluator.meter().expect(out.size() + escaped.size());
    evaluator.meter().scan(escaped.size() * 8);
    out.append(escaped, origin);
  });
  return evaluator.text(std::move(out));
}

// Outside of a query a slash is kept, inside a blank is a plus.
void url_quote(std::string_view bytes, bool query, std::string& out) {
  for (const char c : bytes) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '.' || c == '-' || c == '~' || (!query && c == '/');
    if (plain || (query && c == ' ')) {
      out += c == ' ' ? '+' : c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

Value urlencode(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("urlencode", args, {});
  std::string out;
  Origin origin = Origin::model;
  const auto quote = [&](const Value& value, bool query) {
    const Value text = string_of(evaluator, value);
    if (text.text().origin() == Origin::user) origin = Origin::user;
    evaluator.meter().scan(text.text().size() * 16);
    evaluator.meter().expect(out.size() + text.text().size() * 3);
    url_quote(text.view(), query, out);
  };
  if (self.is_text() || !is_iterable(self)) {
    quote(self, false);
    return evaluator.text(std::move(out), origin);
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (const auto* dict = self.as<Dict>()) pairs = dict->items;
  if (!self.as<Dict>()) {
    for (const Value& pair : elements(evaluator, self)) {
      const auto parts = elements(evaluator, pair);
      if (parts.size() != 2) fail_type("urlencode() needs pairs");
      pairs.emplace_back(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    quote(name, true);
    out += '=';
    quote(value, true);
  }
  return evaluator.text(std::move(out), origin);
}

Value wordcount(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("wordcount", args, {});
  const Value whole = string_of(evaluator, self);
  const std::string_view text = whole.view();
  evaluator.meter().scan(text.size() * 8);
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t point = decode(text, at);
    const bool letter = is_letter(point) || is_digit(point) || point == '_';
    words += letter && !inside ? 1 : 0;
    inside = letter;
  }
  return words;
}

Value truncate(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("truncate", args, {"length", "killwords", "end", "leeway"});
  const Value end = given.has(2) ? string_of(evaluator, given[2]) : evaluator.text("...", Origin::model);
  const auto size = static_cast<int64_t>(length_or_fail(self));
  const int64_t most = given.integer(0, 255);
  const int64_t keep = most - static_cast<int64_t>(end.text().length());
  if (keep < 0) fail_type("truncate(): the length must not be less than that of the end");
  if (size <= most + given.integer(3, 5)) return self;
  if (!self.is_text()) fail_type(fmt::format("truncate() needs a string, not {}", type_name(self)));
  const Text& text = self.text();
  size_t cut = text.offset(static_cast<size_t>(keep));
  if (!given.flag(1, false)) {
    const size_t blank = text.view().substr(0, cut).rfind(' ');
    if (blank != std::string_view::npos) cut = blank;
  }
  Marked out;
  out.append(text, 0, cut);
  out.append(end.text());
  return evaluator.text(std::move(out));
}

Value center(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("center", args, {"width"});
  const Value text = string_of(evaluator, self);
  const int64_t width = given.integer(0, 80);
  const auto length = static_cast<int64_t>(text.text().length());
  const size_t missing = width > length ? static_cast<size_t>(width - length) : 0;
  const size_t front = missing / 2 + (missing & static_cast<size_t>(width) & 1);
  return pad(evaluator, text.text(), front, missing - front, nullptr);
}

}  // namespace

Native text_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Native> table{{"upper", in_case<Case::upper>},
                                                                  {"lower", in_case<Case::lower>},
                                                                  {"capitalize", in_case<Case::capital>},
                                                                  {"title", title},
                                                                  {"trim", trim},
                                                                  {"string", as_string},
                                                                  {"safe", as_string},
                                                                  {"replace", replaced},
                                                                  {"format", format},
                                                                  {"indent", indent},
                                                                  {"e", escape},
                                                                  {"escape", escape},
                                                                  {"forceescape", escape},
                                                                  {"urlencode", urlencode},
                                                                  {"wordcount", wordcount},
                                                                  {"truncate", truncate},
                                                                  {"center", center}};
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace hearth::tmpl::jinja
