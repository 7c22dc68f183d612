#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "text/template/jinja/given.h"
#include "text/template/jinja/text_ops.h"

// Methods of strings.
namespace hearth::tmpl::jinja {
namespace {

const Text* optional_text(const Given& given, size_t index) {
  return given.set(index) ? &given.text(index) : nullptr;
}

template <Case to>
Value in_case(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("upper, lower, title, ...", args, {});
  return change_case(evaluator, self.text(), to);
}

template <Side side>
Value stripped(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("strip", args, {"chars"});
  return strip(evaluator, self.text(), side, optional_text(given, 0));
}

Value split_left(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("split", args, {"sep", "maxsplit"});
  return evaluator.list(split(evaluator, self.text(), optional_text(given, 0), given.integer(1, -1)),
                        self.text().origin());
}

Value split_right(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("rsplit", args, {"sep", "maxsplit"});
  return evaluator.list(
      split_from_right(evaluator, self.text(), optional_text(given, 0), given.integer(1, -1)),
      self.text().origin());
}

Value lines(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("splitlines", args, {"keepends"});
  return evaluator.list(split_lines(evaluator, self.text(), given.flag(0, false)), self.text().origin());
}

// The bytes [start, end) of a text that optional character indices choose; absent when start lies behind.
std::optional<std::pair<size_t, size_t>> window(const Text& text, const Given& given, size_t first) {
  const auto size = static_cast<int64_t>(text.length());
  const auto clamped = [&](size_t index, int64_t fallback) {
    const int64_t at = given.integer(index, fallback);
    return at < 0 ? std::max<int64_t>(at + size, 0) : at;
  };
  const int64_t start = clamped(first, 0);
  const int64_t end = std::min(clamped(first + 1, size), size);
  if (start > end) return std::nullopt;
  return std::pair(text.offset(static_cast<size_t>(start)), text.offset(static_cast<size_t>(end)));
}

template <bool at_start>
Value has_affix(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given(at_start ? "startswith" : "endswith", args, {"affix", "start", "end"}, 1);
  const auto part = window(self.text(), given, 1);
  const auto matches = [&](const Value& affix) {
    if (!affix.is_text())
      fail_type(fmt::format("startswith/endswith needs a string, not {}", type_name(affix)));
    if (!part) return false;
    evaluator.meter().scan(affix.text().size());
    const std::string_view text = self.view().substr(part->first, part->second - part->first);
    const std::string_view wanted = affix.view();
    if (wanted.size() > text.size()) return false;
    return text.substr(at_start ? 0 : text.size() - wanted.size(), wanted.size()) == wanted;
  };
  if (const auto* choices = given[0].as<Tuple>()) {
    return std::any_of(choices->items.begin(), choices->items.end(), matches);
  }
  return matches(given[0]);
}

// Character index of an occurrence, -1 if there is none.
int64_t found_at(Evaluator& evaluator, const Value& self, Args& args, bool last) {
  const Given given("find", args, {"sub", "start", "end"}, 1);
  const auto part = window(self.text(), given, 1);
  const Text& wanted = given.text(0);
  evaluator.meter().scan(self.text().size());
  if (!part) return -1;
  const std::string_view text = self.view().substr(part->first, part->second - part->first);
  const size_t at = last ? text.rfind(wanted.view()) : text.find(wanted.view());
  if (at == std::string_view::npos) return -1;
  return static_cast<int64_t>(count_characters(self.view().substr(0, part->first + at)));
}

template <bool last, bool must>
Value find(Evaluator& evaluator, const Value& self, Args& args) {
  const int64_t at = found_at(evaluator, self, args, last);
  if (must && at < 0) fail_type("substring not found");
  return at;
}

Value count(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("count", args, {"sub", "start", "end"}, 1);
  const auto part = window(self.text(), given, 1);
  const std::string_view wanted = given.text(0).view();
  evaluator.meter().scan(self.text().size());
  if (!part) return int64_t{0};
  const std::string_view text = self.view().substr(part->first, part->second - part->first);
  if (wanted.empty()) return static_cast<int64_t>(count_characters(text)) + 1;
  int64_t times = 0;
  for (size_t at = text.find(wanted); at != std::string_view::npos;
       at = text.find(wanted, at + wanted.size())) {
    ++times;
  }
  return times;
}

Value replaced(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("replace", args, {"old", "new", "count"}, 2);
  return replace(evaluator, self.text(), given.text(0), given.text(1), given.integer(2, -1));
}

Value joined(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("join", args, {"iterable"}, 1);
  const std::vector<Value> items = elements(evaluator, given[0]);
  for (const Value& item : items) {
    if (!item.is_text()) fail_type(fmt::format("join(): expected str, {} found", type_name(item)));
  }
  return join(evaluator, self.text(), items);
}

Value format(Evaluator& evaluator, const Value& self, Args& args) {
  return format_braces(evaluator, self.text(), args);
}

template <bool last>
Value partition(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("partition", args, {"sep"}, 1);
  const Text& text = self.text();
  const Text& separator = given.text(0);
  if (separator.empty()) fail_type("empty separator");
  evaluator.meter().scan(text.size());
  const size_t at = last ? text.view().rfind(separator.view()) : text.view().find(separator.view());
  const Value empty = evaluator.text({});
  if (at == std::string_view::npos) {
    return last ? evaluator.tuple({empty, empty, self}) : evaluator.tuple({self, empty, empty});
  }
  const size_t behind = at + separator.size();
  return evaluator.tuple({substring(evaluator, text, 0, at), substring(evaluator, text, at, behind),
                          substring(evaluator, text, behind, text.size())});
}

template <bool at_start>
Value without_affix(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given(at_start ? "removeprefix" : "removesuffix", args, {"affix"}, 1);
  const std::string_view affix = given.text(0).view();
  const std::string_view text = self.view();
  if (affix.size() > text.size()) return self;
  const size_t at = at_start ? 0 : text.size() - affix.size();
  if (text.substr(at, affix.size()) != affix) return self;
  return at_start ? substring(evaluator, self.text(), affix.size(), text.size())
                  : substring(evaluator, self.text(), 0, at);
}

size_t missing_width(const Given& given, const Text& text) {
  const int64_t width = given.integer(0, 0);
  const auto length = static_cast<int64_t>(text.length());
  return width > length ? static_cast<size_t>(width - length) : 0;
}

Value center(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("center", args, {"width", "fillchar"}, 1);
  const size_t missing = missing_width(given, self.text());
  const size_t front = missing / 2 + (missing & static_cast<size_t>(given.integer(0, 0)) & 1);
  return pad(evaluator, self.text(), front, missing - front, optional_text(given, 1));
}

template <bool left>
Value justified(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given(left ? "ljust" : "rjust", args, {"width", "fillchar"}, 1);
  const size_t missing = missing_width(given, self.text());
  return pad(evaluator, self.text(), left ? 0 : missing, left ? missing : 0, optional_text(given, 1));
}

Value zfill(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("zfill", args, {"width"}, 1);
  const Text& text = self.text();
  const bool sign = !text.empty() && (text.view()[0] == '+' || text.view()[0] == '-');
  const size_t missing = missing_width(given, text);
  evaluator.meter().expect(missing + text.size());
  Marked out;
  out.append(text, 0, sign ? 1 : 0);
  out.append(std::string(missing, '0'), Origin::model);
  out.append(text, sign ? 1 : 0, text.size());
  return evaluator.text(std::move(out));
}

// Not empty, and every character passes.
template <bool (*accepts)(char32_t)>
Value all_are(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("is...", args, {});
  evaluator.meter().scan(self.text().size() * 8);
  const std::string_view text = self.view();
  for (size_t at = 0; at < text.size();) {
    if (!accepts(decode(text, at))) return false;
  }
  return !text.empty();
}

bool is_alphanumeric(char32_t point) { return is_letter(point) || is_digit(point); }
bool is_ascii(char32_t point) { return point < 0x80; }

// Has letters, and all of them are of one case.
template <bool upper>
Value cased(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("isupper/islower", args, {});
  evaluator.meter().scan(self.text().size() * 8);
  const std::string_view text = self.view();
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t point = decode(text, at);
    if (upper ? is_lower(point) || is_title(point) : is_upper(point) || is_title(point)) return false;
    any |= upper ? is_upper(point) : is_lower(point);
  }
  return any;
}

Value is_titled(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("istitle", args, {});
  evaluator.meter().scan(self.text().size() * 8);
  const std::string_view text = self.view();
  bool inside = false;
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t point = decode(text, at);
    const bool capital = is_upper(point) || is_title(point);
    if (capital ? inside : is_lower(point) && !inside) return false;
    inside = is_cased(point);
    any |= inside;
  }
  return any;
}

const std::unordered_map<std::string_view, Native>& table() {
  static const std::unordered_map<std::string_view, Native> methods{{"upper", in_case<Case::upper>},
                                                                    {"lower", in_case<Case::lower>},
                                                                    {"title", in_case<Case::title>},
                                                                    {"capitalize", in_case<Case::capital>},
                                                                    {"swapcase", in_case<Case::swap>},
                                                                    {"casefold", in_case<Case::fold>},
                                                                    {"strip", stripped<Side::both>},
                                                                    {"lstrip", stripped<Side::left>},
                                                                    {"rstrip", stripped<Side::right>},
                                                                    {"split", split_left},
                                                                    {"rsplit", split_right},
                                                                    {"splitlines", lines},
                                                                    {"startswith", has_affix<true>},
                                                                    {"endswith", has_affix<false>},
                                                                    {"find", find<false, false>},
                                                                    {"rfind", find<true, false>},
                                                                    {"index", find<false, true>},
                                                                    {"rindex", find<true, true>},
                                                                    {"count", count},
                                                                    {"replace", replaced},
                                                                    {"join", joined},
                                                                    {"format", format},
                                                                    {"partition", partition<false>},
                                                                    {"rpartition", partition<true>},
                                                                    {"removeprefix", without_affix<true>},
                                                                    {"removesuffix", without_affix<false>},
                                                                    {"center", center},
                                                                    {"ljust", justified<true>},
                                                                    {"rjust", justified<false>},
                                                                    {"zfill", zfill},
                                                                    {"isdigit", all_are<is_digit>},
                                                                    {"isdecimal", all_are<is_decimal>},
                                                                    {"isnumeric", all_are<is_digit>},
                                                                    {"isalpha", all_are<is_letter>},
                                                                    {"isalnum", all_are<is_alphanumeric>},
                                                                    {"isspace", all_are<is_space>},
                                                                    {"isascii", all_are<is_ascii>},
                                                                    {"isupper", cased<true>},
                                                                    {"islower", cased<false>},
                                                                    {"istitle", is_titled}};
  return methods;
}

}  // namespace

Native text_method(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : found->second;
}

}  // namespace hearth::tmpl::jinja
