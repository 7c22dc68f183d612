#include "text/template/jinja/text_ops.h"

#include <algorithm>

namespace hearth::tmpl::jinja {
namespace {

bool in_set(std::string_view character, const Text* set) {
  if (set) return set->view().find(character) != std::string_view::npos;
  size_t at = 0;
  return is_space(decode(character, at));
}

size_t character_end(std::string_view text, size_t at) {
  ++at;
  while (at < text.size() && continues(text[at])) ++at;
  return at;
}

size_t character_start(std::string_view text, size_t end) {
  --end;
  while (end > 0 && continues(text[end])) --end;
  return end;
}

// The characters of white space, from `at`, or of anything else.
size_t run_end(std::string_view text, size_t at, bool space) {
  while (at < text.size()) {
    const size_t end = character_end(text, at);
    if (in_set(text.substr(at, end - at), nullptr) != space) break;
    at = end;
  }
  return at;
}

size_t run_start(std::string_view text, size_t end, bool space) {
  while (end > 0) {
    const size_t start = character_start(text, end);
    if (in_set(text.substr(start, end - start), nullptr) != space) break;
    end = start;
  }
  return end;
}

bool ends_line(char32_t point) {
  return (point >= 0x0A && point <= 0x0D) || (point >= 0x1C && point <= 0x1E) || point == 0x85 ||
         point == 0x2028 || point == 0x2029;
}

}  // namespace

Value strip(Evaluator& evaluator, const Text& text, Side side, const Text* set) {
  const std::string_view bytes = text.view();
  evaluator.meter().scan(bytes.size());
  size_t from = 0;
  size_t to = bytes.size();
  while (side != Side::right && from < to) {
    const size_t end = character_end(bytes, from);
    if (!in_set(bytes.substr(from, end - from), set)) break;
    from = end;
  }
  while (side != Side::left && to > from) {
    const size_t start = character_start(bytes, to);
    if (!in_set(bytes.substr(start, to - start), set)) break;
    to = start;
  }
  return substring(evaluator, text, from, std::max(from, to));
}

Value replace(Evaluator& evaluator, const Text& text, const Text& from, const Text& to, int64_t count) {
  const std::string_view bytes = text.view();
  Marked out;
  size_t done = 0;
  const auto put = [&](size_t until) {
    evaluator.meter().expect(out.size() + (until - done) + to.size());
    evaluator.meter().scan(until - done + to.size());
    evaluator.meter().step();
    out.append(text, done, until);
    out.append(to);
    done = until;
  };
  if (from.empty()) {
    for (size_t at = 0; count != 0; --count) {
      put(at);
      if (at >= bytes.size()) break;
      at = character_end(bytes, at);
    }
  } else {
    for (size_t at = bytes.find(from.view()); at != std::string_view::npos && count != 0; --count) {
      put(at);
      done = at + from.size();
      at = bytes.find(from.view(), done);
    }
  }
  evaluator.meter().scan(bytes.size());
  out.append(text, done, bytes.size());
  return evaluator.text(std::move(out));
}

Value join(Evaluator& evaluator, const Text& separator, const std::vector<Value>& items) {
  Marked out;
  for (size_t i = 0; i < items.size(); ++i) {
    evaluator.meter().expect(out.size() + separator.size());
    evaluator.meter().scan(separator.size());
    if (i > 0) out.append(separator);
    print(evaluator, items[i], out);
  }
  return evaluator.text(std::move(out));
}

std::vector<Value> split(Evaluator& evaluator, const Text& text, const Text* separator, int64_t most) {
  const std::string_view bytes = text.view();
  evaluator.meter().scan(bytes.size());
  std::vector<Value> parts;
  const auto limited = [&] { return most >= 0 && parts.size() >= static_cast<size_t>(most); };
  const auto add = [&](size_t from, size_t to) {
    evaluator.meter().step();
    parts.push_back(substring(evaluator, text, from, to));
  };
  if (separator) {
    if (separator->empty()) fail_type("empty separator");
    size_t from = 0;
    while (!limited()) {
      const size_t at = bytes.find(separator->view(), from);
      if (at == std::string_view::npos) break;
      add(from, at);
      from = at + separator->size();
    }
    add(from, bytes.size());
    return parts;
  }
  size_t from = run_end(bytes, 0, true);
  while (from < bytes.size()) {
    if (limited()) {
      add(from, bytes.size());
      break;
    }
    const size_t to = run_end(bytes, from, false);
    add(from, to);
    from = run_end(bytes, to, true);
  }
  return parts;
}

std::vector<Value> split_from_right(Evaluator& evaluator, const Text& text, const Text* separator,
                                    int64_t most) {
  const std::string_view bytes = text.view();
  evaluator.meter().scan(bytes.size());
  std::vector<Value> parts;
  const auto limited = [&] { return most >= 0 && parts.size() >= static_cast<size_t>(most); };
  const auto add = [&](size_t from, size_t to) {
    evaluator.meter().step();
    parts.push_back(substring(evaluator, text, from, to));
  };
  if (separator) {
    if (separator->empty()) fail_type("empty separator");
    size_t end = bytes.size();
    while (!limited() && end >= separator->size()) {
      const size_t at = bytes.rfind(separator->view(), end - separator->size());
      if (at == std::string_view::npos) break;
      add(at + separator->size(), end);
      end = at;
    }
    add(0, end);
  } else {
    size_t end = run_start(bytes, bytes.size(), true);
    while (end > 0) {
      if (limited()) {
        add(0, end);
        break;
      }
      const size_t from = run_start(bytes, end, false);
      add(from, end);
      end = run_start(bytes, from, true);
    }
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Value> split_lines(Evaluator& evaluator, const Text& text, bool keep_ends) {
  const std::string_view bytes = text.view();
  evaluator.meter().scan(bytes.size());
  std::vector<Value> lines;
  size_t from = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = at;
    const char32_t point = decode(bytes, at);
    if (!ends_line(point)) continue;
    if (point == '\r' && at < bytes.size() && bytes[at] == '\n') ++at;
    evaluator.meter().step();
    lines.push_back(substring(evaluator, text, from, keep_ends ? at : end));
    from = at;
  }
  if (from < bytes.size()) lines.push_back(substring(evaluator, text, from, bytes.size()));
  return lines;
}

Value pad(Evaluator& evaluator, const Text& text, size_t front, size_t back, const Text* fill) {
  if (fill && fill->length() != 1) fail_type("the fill character must be exactly one character long");
  const size_t unit = fill ? fill->size() : 1;
  evaluator.meter().expect(front);
  evaluator.meter().expect(back);
  evaluator.meter().expect(text.size() + (front + back) * unit);
  evaluator.meter().step(front + back);
  Marked out;
  const auto put = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (fill) {
        out.append(*fill);
      } else {
        out.append(" ", Origin::model);
      }
    }
  };
  put(front);
  out.append(text);
  put(back);
  return evaluator.text(std::move(out));
}

}  // namespace hearth::tmpl::jinja
