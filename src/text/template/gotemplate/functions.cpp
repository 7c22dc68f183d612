#include "text/template/gotemplate/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <vector>

#include "text/template/gotemplate/compare.h"
#include "text/template/gotemplate/evaluator.h"
#include "text/template/gotemplate/print.h"
#include "text/template/gotemplate/quote.h"
#include "text/template/gotemplate/typescript.h"

namespace hearth::gotmpl {
namespace {

using Arguments = std::span<const Value>;

Value finished(const Environment& environment, Output& out) { return environment.maker.text(out.take()); }

Value not_(const Environment&, Arguments a) { return !truth(a[0]); }

bool same(const Environment& environment, const Value& left, const Value& right) {
  if (const Text* text = text_in(right)) environment.meter.scan(text->size());
  return equal(left, right);
}
bool before(const Environment& environment, const Value& left, const Value& right) {
  if (const Text* text = text_in(right)) environment.meter.scan(text->size());
  return less(left, right);
}

Value eq(const Environment& e, Arguments a) {
  for (const Value& other : a.subspan(1)) {
    if (same(e, a[0], other)) return true;
  }
  return false;
}
Value ne(const Environment& e, Arguments a) { return !same(e, a[0], a[1]); }
Value lt(const Environment& e, Arguments a) { return before(e, a[0], a[1]); }
Value le(const Environment& e, Arguments a) { return before(e, a[0], a[1]) || same(e, a[0], a[1]); }
Value gt(const Environment& e, Arguments a) { return !before(e, a[0], a[1]) && !same(e, a[0], a[1]); }
Value ge(const Environment& e, Arguments a) { return !before(e, a[0], a[1]); }

Value len(const Environment&, Arguments a) {
  const auto size = [](size_t count) { return static_cast<int64_t>(count); };
  if (const Text* text = text_in(a[0])) return size(text->size());
  if (const auto* list = as<List>(a[0])) return size(list->items.size());
  if (const auto* map = as<Map>(a[0])) return size(map->entries.size());
  tmpl::fail_type(fmt::format("a value of type {} has no length", type_name(a[0])));
}

// An index of a text or list, at most `limit`.
size_t index_of(const Value& value, size_t limit, std::string_view function) {
  const auto* index = std::get_if<int64_t>(&value);
  if (!index) tmpl::fail_type(fmt::format("{}: an index of type {}", function, type_name(value)));
  if (*index < 0 || static_cast<uint64_t>(*index) > limit)
    tmpl::fail_type(fmt::format("{}: index out of range: {}", function, *index));
  return static_cast<size_t>(*index);
}

Value item_of(const Environment& environment, const Value& of, const Value& key) {
  const auto within = [](size_t size) -> size_t {
    if (size == 0) tmpl::fail_type("index: index out of range: there is nothing");
    return size - 1;
  };
  if (const Text* text = text_in(of)) {
    const size_t at = index_of(key, within(text->size()), "index");
    return static_cast<int64_t>(static_cast<unsigned char>(text->view()[at]));
  }
  if (const auto* list = as<List>(of)) return list->items[index_of(key, within(list->items.size()), "index")];
  const auto* map = as<Map>(of);
  if (!map) tmpl::fail_type(fmt::format("index: a value of type {} has no items", type_name(of)));
  const Text* name = text_in(key);
  if (!name) tmpl::fail_type(fmt::format("index: a key of type {}", type_name(key)));
  environment.meter.step(map->entries.size() / 8);
  const Value* found = map->find(name->view());
  return found ? *found : Value();
}

Value index(const Environment& environment, Arguments a) {
  Value value = a[0];
  if (is_nil(value)) tmpl::fail_type("index of nil");
  for (const Value& key : a.subspan(1)) {
    environment.meter.step();
    value = item_of(environment, value, key);
  }
  return value;
}

Value slice(const Environment& environment, Arguments a) {
  const Text* text = text_in(a[0]);
  const auto* list = as<List>(a[0]);
  if (!text && !list) tmpl::fail_type(fmt::format("slice: a value of type {}", type_name(a[0])));
  if (text && a.size() == 4) tmpl::fail_type("slice: a text takes two indices");
  const size_t size = text ? text->size() : list->items.size();
  const size_t limit = a.size() > 3 ? index_of(a[3], size, "slice") : size;
  const size_t to = a.size() > 2 ? index_of(a[2], limit, "slice") : size;
  const size_t from = a.size() > 1 ? index_of(a[1], to, "slice") : 0;
  if (from == 0 && to == size) return a[0];
  if (list) return ObjectRef(new List(*list, list->items.subspan(from, to - from), &environment.meter));
  Output out(environment.meter);
  out.add(*text, from, to);
  return finished(environment, out);
}

Value print_function(const Environment& environment, Arguments a) {
  Output out(environment.meter);
  print_operands(a, out);
  return finished(environment, out);
}

Value println_function(const Environment& environment, Arguments a) {
  Output out(environment.meter);
  print_line(a, out);
  return finished(environment, out);
}

Value printf_function(const Environment& environment, Arguments a) {
  const Text* format = text_in(a[0]);
  if (!format) tmpl::fail_type(fmt::format("printf: a format of type {}", type_name(a[0])));
  Output out(environment.meter);
  print_formatted(*format, a.subspan(1), out);
  return finished(environment, out);
}

Value json_function(const Environment& environment, Arguments a) {
  Output out(environment.meter);
  print_json(a[0], out);
  return finished(environment, out);
}

template <void (*Escape)(std::string_view, std::string&)>
Value escaped(const Environment& environment, Arguments a) {
  std::vector<Value> operands(a.begin(), a.end());
  for (Value& each : operands) {
    if (is_nil(each)) each = environment.maker.text("<no value>", Origin::model);
  }
  Output plain(environment.meter);
  print_operands(operands, plain);
  const Marked text = plain.take();
  Output out(environment.meter);
  text.pieces(0, text.size(), [&](std::string_view bytes, Origin origin) {
    environment.meter.expect(bytes.size() * 6);
    std::string escaped_bytes;
    Escape(bytes, escaped_bytes);
    out.add(escaped_bytes, origin);
  });
  return finished(environment, out);
}

Value date(const Environment& environment, int days) {
  std::tm now{};
  if (environment.options.now) {
    now = *environment.options.now;
  } else {
    const std::time_t clock = std::time(nullptr);
    ::localtime_r(&clock, &now);
  }
  // As a time of its own: no daylight saving can make the day before another one.
  std::tm day{};
  day.tm_year = now.tm_year;
  day.tm_mon = now.tm_mon;
  day.tm_mday = now.tm_mday + days;
  ::timegm(&day);
  return environment.maker.text(
      fmt::format("{:04}-{:02}-{:02}", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday), Origin::model);
}

Value current_date(const Environment& environment, Arguments) { return date(environment, 0); }
Value yesterday_date(const Environment& environment, Arguments) { return date(environment, -1); }

Value typescript(const Environment& environment, Arguments a) {
  Output out(environment.meter);
  print_typescript(a[0], out);
  return finished(environment, out);
}

constexpr auto any = Builtin::any;
constexpr std::array<Builtin, 22> builtins{{
    {"and", 1, any, nullptr, Builtin::Stops::at_false},
    {"or", 1, any, nullptr, Builtin::Stops::at_true},
    {"not", 1, 1, not_},
    {"eq", 2, any, eq},
    {"ne", 2, 2, ne},
    {"lt", 2, 2, lt},
    {"le", 2, 2, le},
    {"gt", 2, 2, gt},
    {"ge", 2, 2, ge},
    {"len", 1, 1, len},
    {"index", 1, any, index},
    {"slice", 1, 4, slice},
    {"print", 0, any, print_function},
    {"println", 0, any, println_function},
    {"printf", 1, any, printf_function},
    {"html", 0, any, escaped<escape_html>},
    {"js", 0, any, escaped<escape_javascript>},
    {"urlquery", 0, any, escaped<escape_query>},
    {"json", 1, 1, json_function},
    {"currentDate", 0, any, current_date},
    {"yesterdayDate", 0, any, yesterday_date},
    {"toTypeScriptType", 1, 1, typescript},
}};

}  // namespace

const Builtin* find_builtin(std::string_view name) {
  const auto found =
      std::find_if(builtins.begin(), builtins.end(), [&](const Builtin& each) { return each.name == name; });
  return found == builtins.end() ? nullptr : &*found;
}

}  // namespace hearth::gotmpl
