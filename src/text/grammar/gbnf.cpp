#include "text/grammar/gbnf.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hearth::grammar {

namespace {

constexpr size_t most_text = 1U << 20;
constexpr int most_groups = 128;  // one in the other

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Tree parse() {
    skip();
    while (at_ < text_.size()) rule();
    const std::pair<const std::string, Use>* missing = nullptr;
    for (const auto& entry : rules_) {
      if (tree_.rule(entry.second.rule).defined) continue;
      if (!missing || entry.second.first_use < missing->second.first_use) missing = &entry;
    }
    if (missing)
      fail(missing->second.first_use, fmt::format("the rule \"{}\" is not defined", missing->first),
           fmt::format("add a line \"{} ::= …\"", missing->first));
    const auto root = rules_.find("root");
    if (root == rules_.end())
      fail(0, "there is no rule \"root\"", "name the rule that texts start with \"root\"");
    tree_.root = root->second.rule;
    return std::move(tree_);
  }

 private:
  struct Use {
    RuleId rule = 0;
    size_t first_use = 0;
  };

  [[noreturn]] void fail(size_t at, const std::string& what, std::string remedy) const {
    size_t line = 1, column = 1;
    for (const char c : text_.substr(0, at)) {
      if (c == '\n') {
        ++line;
        column = 1;
      } else if ((static_cast<uint8_t>(c) & 0xC0) != 0x80) {
        ++column;
      }
    }
    throw Error(Code::bad_request, fmt::format("grammar, line {}, column {}: {}", line, column, what),
                std::move(remedy));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string name() {
    const size_t start = at_;
    while (is_name(peek())) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  RuleId rule_named(const std::string& name, size_t at) {
    const auto [it, fresh] = rules_.emplace(name, Use{0, at});
    if (fresh) it->second.rule = tree_.declare(name);
    return it->second.rule;
  }

  // Whether a definition starts here: a name and `::=`.
  bool definition_ahead() {
    const size_t start = at_;
    name();
    skip();
    const bool found = text_.substr(at_, 3) == "::=";
    at_ = start;
    return found;
  }

  void rule() {
    const size_t start = at_;
    const std::string rule_name = name();
    if (rule_name.empty())
      fail(start, fmt::format("expected the name of a rule, not {}", found()),
           "begin each rule with \"name ::=\"");
    skip();
    if (text_.substr(at_, 3) != "::=")
      fail(at_, fmt::format("expected \"::=\" after \"{}\"", rule_name), "write rules as \"name ::= …\"");
    at_ += 3;
    const RuleId id = rule_named(rule_name, start);
    if (tree_.rule(id).defined)
      fail(start, fmt::format("the rule \"{}\" is defined twice", rule_name),
           "join the definitions with \"|\"");
    skip();
    tree_.define(id, alternatives(0));
  }

  NodeId alternatives(int depth) {
    std::vector<NodeId> found{sequence(depth)};
    while (peek() == '|') {
      ++at_;
      skip();
      found.push_back(sequence(depth));
    }
    return tree_.choice(std::move(found));
  }

  NodeId sequence(int depth) {
    std::vector<NodeId> parts;
    while (std::optional<NodeId> item = atom(depth)) {
      skip();
      parts.push_back(repetitions(*item));
    }
    return tree_.sequence(std::move(parts));
  }

  std::optional<NodeId> atom(int depth) {
    const char c = peek();
    const size_t start = at_;
    if (c == '"') return literal();
    if (c == '[') return char_class();
    if (c == '.') {
      ++at_;
      return tree_.set(CodepointSet::all());
    }
    if (c == '(') {
      if (depth >= most_groups)
        fail(start, fmt::format("groups are nested more than {} deep", most_groups), "split them into rules");
      ++at_;
      skip();
      const NodeId group = alternatives(depth + 1);
      if (peek() != ')') fail(at_, fmt::format("expected \")\", not {}", this->found()), "close the group");
      ++at_;
      return group;
    }
    if (is_name(c)) {
      if (definition_ahead()) return std::nullopt;
      const std::string used = name();
      return tree_.use(rule_named(used, start));
    }
    if (c == '|' || c == ')' || at_ >= text_.size()) {
      if (c == ')' && depth == 0) fail(start, "a \")\" that closes nothing", "remove it");
      return std::nullopt;
    }
    if (c == '*' || c == '+' || c == '?' || c == '{')
      fail(start, fmt::format("\"{}\" repeats nothing", c), "put what is repeated before it");
    fail(start, fmt::format("unexpected {}", found()),
         "use \"literals\", [classes], names, groups, | and repetitions");
  }

  NodeId repetitions(NodeId what) {
    for (;; skip()) {
      const char c = peek();
      if (c == '*') {
        what = tree_.repeat(what, 0, unbounded);
      } else if (c == '+') {
        what = tree_.repeat(what, 1, unbounded);
      } else if (c == '?') {
        what = tree_.optional(what);
      } else if (c == '{') {
        what = counted(what);
        continue;
      } else {
        return what;
      }
      ++at_;
    }
  }

  NodeId counted(NodeId what) {
    const size_t start = at_++;
    skip();
    const std::optional<uint32_t> min = number();
    skip();
    std::optional<uint32_t> max = min;
    if (peek() == ',') {
      ++at_;
      skip();
      max = number();
      if (!max) max = unbounded;
      skip();
    }
    if (peek() != '}' || (!min && max == unbounded) || !max)
      fail(start, "a repetition that is not {n}, {n,}, {,m} or {n,m}", "write the counts as decimal numbers");
    ++at_;
    if (min.value_or(0) > *max)
      fail(start, "a repetition whose minimum is above its maximum", "swap the counts");
    return tree_.repeat(what, min.value_or(0), *max);
  }

  std::optional<uint32_t> number() {
    const size_t start = at_;
    uint32_t value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + static_cast<uint32_t>(peek() - '0');
      if (value > 1'000'000'000)
        fail(start, "a repetition of more than a thousand million", "use a smaller count");
      if (at_ - start > 10) fail(start, "a count with too many digits", "use a smaller count");
    }
    if (at_ == start) return std::nullopt;
    return value;
  }

  NodeId literal() {
    const size_t start = at_++;
    std::string bytes;
    while (peek() != '"') {
      if (at_ >= text_.size()) fail(start, "a literal that does not end", "close it with \"");
      append_utf8(bytes, character());
    }
    ++at_;
    return tree_.literal(std::move(bytes));
  }

  NodeId char_class() {
    const size_t start = at_++;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<CodepointRange> ranges;
    while (peek() != ']') {
      if (at_ >= text_.size()) fail(start, "a class that does not end", "close it with ]");
      const char32_t first = character();
      char32_t last = first;
      if (peek() == '-' && text_.substr(at_ + 1, 1) != "]") {
        ++at_;
        if (at_ >= text_.size()) fail(start, "a class that does not end", "close it with ]");
        last = character();
        if (last < first) fail(start, "a range of a class that runs backwards", "swap its ends");
      }
      ranges.push_back({first, last});
    }
    ++at_;
    CodepointSet set(ranges);
    if (negated) set = set.inverted();
    if (set.empty()) fail(start, "a class of no characters", "name the characters it allows");
    return tree_.set(std::move(set));
  }

  // One character of a literal or class.
  char32_t character() {
    const size_t start = at_;
    if (peek() != '\\') {
      std::string_view rest = text_.substr(at_);
      try {
        const char32_t c = take_codepoint(rest);
        at_ = text_.size() - rest.size();
        return c;
      } catch (const Error& error) {
        fail(start, error.message, error.remedy);
      }
    }
    ++at_;
    const char c = peek();
    ++at_;
    switch (c) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'x': return hex(start, 2);
      case 'u': return hex(start, 4);
      case 'U': return hex(start, 8);
      case '\\':
      case '"':
      case '\'':
      case '[':
      case ']':
      case '-':
      case '^':
      case '/': return static_cast<char32_t>(c);
      default: break;
    }
    at_ = start;
    fail(start, "an unknown escape", R"(use \n \r \t \\ \" \[ \] \- \^ \xNN \uNNNN or \UNNNNNNNN)");
  }

  char32_t hex(size_t start, size_t digits) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0)
        fail(start, fmt::format("an escape without {} hexadecimal digits", digits), "write all digits");
      value = value << 4 | static_cast<uint32_t>(digit);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
      fail(start, "an escape that is no Unicode character",
           "use a code point up to 10FFFF outside D800 to DFFF");
    return value;
  }

  // What is here, for messages.
  std::string found() const {
    if (at_ >= text_.size()) return "the end";
    const auto c = static_cast<uint8_t>(text_[at_]);
    return c > 0x20 && c < 0x7F ? fmt::format("\"{}\"", text_[at_]) : fmt::format("byte {:02x}", c);
  }

  std::string_view text_;
  size_t at_ = 0;
  Tree tree_;
  std::unordered_map<std::string, Use> rules_;
};

}  // namespace

Tree parse_gbnf(std::string_view text) {
  if (text.size() > most_text)
    throw Error(Code::bad_request, fmt::format("a grammar of {} bytes", text.size()),
                fmt::format("use one of at most {}", most_text));
  return Parser(text).parse();
}

}  // namespace hearth::grammar
