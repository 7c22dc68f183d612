#include "text/template/jinja/text_ops.h"

// Upper, lower and title case.
namespace hearth::tmpl::jinja {
namespace {

constexpr char32_t sigma = 0x3A3;

// Whether the sigma at `at` (its first byte) ends a word: letters before it and none behind.
bool is_final_sigma(std::string_view text, size_t at) {
  size_t before = at;
  bool cased = false;
  while (before > 0) {
    size_t start = before - 1;
    while (start > 0 && continues(text[start])) --start;
    size_t next = start;
    const char32_t point = decode(text, next);
    before = start;
    if (is_case_ignorable(point)) continue;
    cased = is_cased(point);
    break;
  }
  if (!cased) return false;
  size_t after = at;
  decode(text, after);
  while (after < text.size()) {
    const char32_t point = decode(text, after);
    if (!is_case_ignorable(point)) return !is_cased(point);
  }
  return true;
}

void append_in_case(std::string_view text, size_t at, char32_t point, Case to, std::string& out) {
  switch (to) {
    case Case::upper: return append_upper(point, out);
    case Case::title: return append_title(point, out);
    case Case::swap:
      if (is_upper(point)) return append_in_case(text, at, point, Case::lower, out);
      if (is_lower(point)) return append_upper(point, out);
      return encode(point, out);
    case Case::fold:
      if (point == 0xDF || point == 0x1E9E) {
        out += "ss";
        return;
      }
      return append_lower(point, out);
    default:
      if (point == sigma && is_final_sigma(text, at)) return encode(0x3C2, out);
      return append_lower(point, out);
  }
}

// Appends each character in the case that `choose` gives for it.
template <class Choose>
Value mapped(Evaluator& evaluator, const Text& text, Choose choose) {
  const std::string_view all = text.view();
  evaluator.meter().scan(all.size() * 8);
  evaluator.meter().expect(all.size() * 3);
  Marked out;
  text.pieces(0, text.size(), [&](std::string_view piece, Origin origin) {
    std::string changed;
    changed.reserve(piece.size());
    const auto base = static_cast<size_t>(piece.data() - all.data());
    for (size_t at = 0; at < piece.size();) {
      const size_t from = at;
      const char32_t point = decode(piece, at);
      const Case to = choose(point);
      if (point == invalid_byte) {
        changed += piece[from];
      } else {
        append_in_case(all, base + from, point, to, changed);
      }
    }
    out.append(changed, origin);
  });
  return evaluator.text(std::move(out));
}

}  // namespace

Value change_case(Evaluator& evaluator, const Text& text, Case to) {
  if (to == Case::capital) {
    bool first = true;
    return mapped(evaluator, text,
                  [&](char32_t) { return std::exchange(first, false) ? Case::title : Case::lower; });
  }
  if (to != Case::title) return mapped(evaluator, text, [&](char32_t) { return to; });
  bool inside = false;
  return mapped(evaluator, text, [&](char32_t point) {
    return std::exchange(inside, is_cased(point)) ? Case::lower : Case::title;
  });
}

Value title_words(Evaluator& evaluator, const Text& text) {
  bool starts = true;
  return mapped(evaluator, text, [&](char32_t point) {
    const bool separates =
        point == '-' || point == '(' || point == '{' || point == '[' || point == '<' || is_space(point);
    return std::exchange(starts, separates) ? Case::upper : Case::lower;
  });
}

}  // namespace hearth::tmpl::jinja
