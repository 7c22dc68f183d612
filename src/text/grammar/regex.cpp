#include "text/grammar/regex.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hearth::grammar {

namespace {

constexpr int most_groups = 64;
constexpr uint32_t most_count = 100'000;

CodepointSet digits() { return CodepointSet({{'0', '9'}}); }
CodepointSet words() { return CodepointSet({{'0', '9'}, {'a', 'z'}, {'A', 'Z'}, {'_', '_'}}); }
CodepointSet spaces() {
  return CodepointSet({{'\t', '\r'},
                       {' ', ' '},
                       {0xA0, 0xA0},
                       {0x1680, 0x1680},
                       {0x2000, 0x200A},
                       {0x2028, 0x2029},
                       {0x202F, 0x202F},
                       {0x205F, 0x205F},
                       {0x3000, 0x3000},
                       {0xFEFF, 0xFEFF}});
}
// The line ends that `.` does not match.
CodepointSet any() { return CodepointSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).inverted(); }

class Parser {
 public:
  Parser(std::string_view pattern, Tree& tree, const CharacterNode& character)
      : all_(pattern), rest_(pattern), tree_(tree), character_(character) {}

  NodeId parse() {
    std::vector<NodeId> ways{anchored()};
    while (take('|')) ways.push_back(anchored());
    if (!rest_.empty()) malformed("a \")\" that closes nothing");
    return tree_.choice(std::move(ways));
  }

 private:
  [[noreturn]] void malformed(const std::string& what) const {
    throw Error(Code::bad_request, fmt::format("the pattern \"{}\" has {}", all_, what),
                "correct the pattern");
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error(Code::unsupported, fmt::format("the pattern \"{}\" has {}", all_, what),
                "write it with classes, groups and repetitions");
  }

  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take(std::string_view text) {
    if (rest_.substr(0, text.size()) != text) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  NodeId anything() { return tree_.repeat(character_(CodepointSet::all()), 0, unbounded); }

  NodeId anchored() {
    std::vector<NodeId> parts;
    if (!take('^')) parts.push_back(anything());
    parts.push_back(sequence(0));
    if (!take('$')) parts.push_back(anything());
    if (!rest_.empty() && rest_[0] != '|' && rest_[0] != ')') unsupported("an anchor inside");
    return tree_.sequence(std::move(parts));
  }

  NodeId alternatives(int depth) {
    std::vector<NodeId> ways{sequence(depth)};
    while (take('|')) ways.push_back(sequence(depth));
    return tree_.choice(std::move(ways));
  }

  NodeId sequence(int depth) {
    std::vector<NodeId> parts;
    while (std::optional<NodeId> item = atom(depth)) parts.push_back(repetitions(*item));
    return tree_.sequence(std::move(parts));
  }

  std::optional<NodeId> atom(int depth) {
    if (rest_.empty() || rest_[0] == '|' || rest_[0] == ')') return std::nullopt;
    if (rest_[0] == '$' && depth == 0) return std::nullopt;
    if (rest_[0] == '^' || rest_[0] == '$') unsupported("an anchor inside");
    if (take('(')) return group(depth);
    if (take('[')) return character_(char_class());
    if (take('.')) return character_(any());
    if (rest_[0] == '*' || rest_[0] == '+' || rest_[0] == '?') malformed("a repetition of nothing");
    if (take('\\')) return character_(escape(false));
    return character_(CodepointSet::of(take_codepoint(rest_)));
  }

  NodeId group(int depth) {
    if (depth >= most_groups) malformed(fmt::format("more than {} groups one in the other", most_groups));
    if (take("?:")) {
    } else if (take("?=") || take("?!") || take("?<=") || take("?<!")) {
      unsupported("a look-around group");
    } else if (take("?P<") || take("?<")) {
      const size_t end = rest_.find('>');
      if (end == std::string_view::npos) malformed("a name of a group that does not end");
      rest_.remove_prefix(end + 1);
    } else if (!rest_.empty() && rest_[0] == '?') {
      unsupported("a group with flags");
    }
    const NodeId inner = alternatives(depth + 1);
    if (!take(')')) malformed("a group that does not end");
    return inner;
  }

  NodeId repetitions(NodeId what) {
    uint32_t min = 0, max = unbounded;
    if (take('*')) {
    } else if (take('+')) {
      min = 1;
    } else if (take('?')) {
      max = 1;
    } else if (!counts(min, max)) {
      return what;
    }
    if (!rest_.empty() && rest_[0] == '+') unsupported("a possessive repetition");
    take('?');  // as few as possible: the same texts match
    if (!rest_.empty() && (rest_[0] == '*' || rest_[0] == '?')) malformed("a repetition of a repetition");
    return tree_.repeat(what, min, max);
  }

  // {n}, {n,} or {n,m}; anything else after { is taken literally, as ECMAScript does.
  bool counts(uint32_t& min, uint32_t& max) {
    const std::string_view before = rest_;
    const auto number = [&]() -> std::optional<uint32_t> {
      uint32_t value = 0;
      size_t used = 0;
      for (; used < rest_.size() && rest_[used] >= '0' && rest_[used] <= '9'; ++used) {
        value = value * 10 + static_cast<uint32_t>(rest_[used] - '0');
        if (value > most_count) malformed(fmt::format("a count above {}", most_count));
      }
      rest_.remove_prefix(used);
      if (used == 0) return std::nullopt;
      return value;
    };
    if (take('{')) {
      const std::optional<uint32_t> low = number();
      std::optional<uint32_t> high = low;
      if (low && take(',')) {
        high = number();
        if (!high) high = unbounded;
      }
      if (low && take('}')) {
        if (*low > *high) malformed("a repetition whose minimum is above its maximum");
        min = *low;
        max = *high;
        return true;
      }
    }
    rest_ = before;
    return false;
  }

  CodepointSet char_class() {
    const bool negated = take('^');
    CodepointSet set;
    while (!take(']')) {
      if (rest_.empty()) malformed("a class that does not end");
      const std::optional<char32_t> first = class_item(set);
      if (rest_.size() < 2 || rest_[0] != '-' || rest_[1] == ']') {
        if (first) set = set.joined(CodepointSet::of(*first));
        continue;
      }
      take('-');
      CodepointSet other;
      const std::optional<char32_t> last = class_item(other);
      if (!first || !last) malformed("a range of a class that ends in a class");
      if (*last < *first) malformed("a range of a class that runs backwards");
      set = set.joined(CodepointSet({{*first, *last}}));
    }
    return negated ? set.inverted() : set;
  }

  // One character, or none where it is a class of its own, which is joined to `set`.
  std::optional<char32_t> class_item(CodepointSet& set) {
    if (rest_[0] == '[' && rest_.size() > 1 && rest_[1] == ':') unsupported("a named class");
    if (!take('\\')) return take_codepoint(rest_);
    const CodepointSet item = escape(true);
    if (item.ranges().size() == 1 && item.ranges()[0].first == item.ranges()[0].last)
      return item.ranges()[0].first;
    set = set.joined(item);
    return std::nullopt;
  }

  CodepointSet escape(bool in_class) {
    if (rest_.empty()) malformed("a \\ at its end");
    const char32_t c = take_codepoint(rest_);
    switch (c) {
      case 'd': return digits();
      case 'D': return digits().inverted();
      case 'w': return words();
      case 'W': return words().inverted();
      case 's': return spaces();
      case 'S': return spaces().inverted();
      case 't': return CodepointSet::of('\t');
      case 'n': return CodepointSet::of('\n');
      case 'r': return CodepointSet::of('\r');
      case 'f': return CodepointSet::of('\f');
      case 'v': return CodepointSet::of('\v');
      case 'x': return CodepointSet::of(hex(2));
      case 'u': return CodepointSet::of(hex(4));
      default: break;
    }
    if (c == 'b' && in_class) return CodepointSet::of('\b');
    if (c == '0' && (rest_.empty() || rest_[0] < '0' || rest_[0] > '9')) return CodepointSet::of(0);
    if (c == 'b' || c == 'B' || c == 'A' || c == 'Z' || c == 'z' || c == 'G') unsupported("a boundary");
    if ((c >= '0' && c <= '9') || c == 'k') unsupported("a back reference");
    if (c == 'p' || c == 'P') unsupported("a property class");
    if (c < 0x80 && words().contains(c) && c != '_')
      unsupported(fmt::format("the escape \\{}", static_cast<char>(c)));
    return CodepointSet::of(c);
  }

  char32_t hex(size_t count) {
    char32_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      const char c = rest_.empty() ? '\0' : rest_[0];
      const bool digit = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'f', upper = c >= 'A' && c <= 'F';
      if (!digit && !lower && !upper)
        malformed(fmt::format("an escape without {} hexadecimal digits", count));
      value = value * 16 + static_cast<char32_t>(digit ? c - '0' : lower ? c - 'a' + 10 : c - 'A' + 10);
      rest_.remove_prefix(1);
    }
    if (value >= 0xD800 && value <= 0xDFFF) unsupported("half of a surrogate pair");
    return value;
  }

  std::string_view all_, rest_;
  Tree& tree_;
  const CharacterNode& character_;
};

}  // namespace

NodeId parse_regex(std::string_view pattern, Tree& tree, const CharacterNode& character) {
  return Parser(pattern, tree, character).parse();
}

}  // namespace hearth::grammar
