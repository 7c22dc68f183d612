// Calls written in Python.
#include <cstdlib>

#include "text/output/calls.h"

namespace hearth::calls {
namespace {

constexpr int most_depth = 64;

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::optional<std::vector<OutputCall>> calls() {
    std::vector<OutputCall> list;
    const bool brackets = take('[');
    for (;;) {
      auto one = call();
      if (!one) return std::nullopt;
      list.push_back(std::move(*one));
      const bool comma = take(',');
      skip();
      if (at_ == text_.size() || text_[at_] == ']') break;
      if (brackets && !comma) return std::nullopt;
    }
    if (brackets && !take(']')) return std::nullopt;
    skip();
    return at_ == text_.size() ? std::optional(std::move(list)) : std::nullopt;
  }

 private:
  void skip() { at_ = std::min(text_.find_first_not_of(blanks, at_), text_.size()); }
  bool take(char c) {
    skip();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string word() {
    skip();
    const size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  text_[at_] == '_' || text_[at_] == '.' || text_[at_] == '-'))
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::optional<OutputCall> call() {
    OutputCall c{word(), json::object()};
    if (c.name.empty() || !take('(')) return std::nullopt;
    while (!take(')')) {
      const std::string key = word();
      if (key.empty() || !take('=')) return std::nullopt;
      auto v = value(0);
      if (!v) return std::nullopt;
      c.arguments.as_object()[key] = std::move(*v);
      if (!take(',')) {
        if (take(')')) break;
        return std::nullopt;
      }
    }
    return c;
  }

  std::optional<Json> value(int depth) {
    skip();
    if (at_ == text_.size() || depth > most_depth) return std::nullopt;
    const char c = text_[at_];
    if (c == '"' || c == '\'') return string();
    if (c == '[') return list(depth);
    if (c == '{') return map(depth);
    const std::string w = word();
    if (w == "True" || w == "true") return Json(true);
    if (w == "False" || w == "false") return Json(false);
    if (w == "None" || w == "null") return Json(nullptr);
    auto number = parsed(w);
    return number && number->is_number() ? number : std::nullopt;
  }

  std::optional<Json> list(int depth) {
    json::array items;
    ++at_;
    while (!take(']')) {
      auto v = value(depth + 1);
      if (!v) return std::nullopt;
      items.push_back(std::move(*v));
      if (!take(',')) {
        if (take(']')) break;
        return std::nullopt;
      }
    }
    return Json(std::move(items));
  }

  std::optional<Json> map(int depth) {
    json::object members;
    ++at_;
    while (!take('}')) {
      skip();
      const auto key = at_ < text_.size() ? string() : std::nullopt;
      if (!key || !take(':')) return std::nullopt;
      auto v = value(depth + 1);
      if (!v) return std::nullopt;
      members[key->as_string()] = std::move(*v);
      if (!take(',')) {
        if (take('}')) break;
        return std::nullopt;
      }
    }
    return Json(std::move(members));
  }

  std::optional<Json> string() {
    const char quote = text_[at_];
    if (quote != '"' && quote != '\'') return std::nullopt;
    // As JSON spells it: only the quotes differ.
    std::string spelt = "\"";
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      const char c = text_[at_];
      if (c == '\\' && at_ + 1 < text_.size()) {
        const char next = text_[++at_];
        spelt += next == '\'' ? "'" : std::string{'\\', next};
      } else if (c == '"') {
        spelt += "\\\"";
      } else if (c == '\n') {
        spelt += "\\n";
      } else {
        spelt += c;
      }
    }
    if (at_ == text_.size()) return std::nullopt;
    ++at_;
    return parsed(spelt + "\"");
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<OutputCall>> of_python(std::string_view body) { return Reader(body).calls(); }

}  // namespace hearth::calls
