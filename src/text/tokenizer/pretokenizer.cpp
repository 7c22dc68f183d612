#include "text/tokenizer/pretokenizer.h"

#include <utf8proc.h>

#include "text/tokenizer/expression.h"
#include "text/tokenizer/utf8.h"

namespace hearth::text {

namespace {

using Ends = std::vector<uint32_t>;

void end_piece(Ends& ends, size_t begin, size_t end) {
  if (end > begin) ends.push_back(static_cast<uint32_t>(end));
}

utf8proc_category_t category(const Character& c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c.code));
}

bool is_digit(const Character& c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_number(const Character& c) {
  return is_digit(c) || category(c) == UTF8PROC_CATEGORY_NL || category(c) == UTF8PROC_CATEGORY_NO;
}

// What \w matches: letters, marks, digits, connectors and joiners.
bool is_word(const Character& c) {
  if (c.code == 0x200C || c.code == 0x200D) return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return false;
  }
}

}  // namespace

// One step of a pre-tokenization.
class Pretokenizer::Cutter {
 public:
  Cutter() = default;
  Cutter(const Cutter&) = delete;
  Cutter& operator=(const Cutter&) = delete;
  virtual ~Cutter() = default;

  // Cuts the pieces that end at `from` further.
  virtual void cut(std::string_view text, const Ends& from, Ends& to) const = 0;

 protected:
  // Calls `one(piece, where it begins)` for each piece.
  template <class One>
  static void for_each(std::string_view text, const Ends& from, const One& one) {
    size_t begin = 0;
    for (uint32_t end : from) {
      one(text.substr(begin, end - begin), begin);
      begin = end;
    }
  }
};

class Pretokenizer::ExpressionCutter final : public Cutter {
 public:
  explicit ExpressionCutter(const std::string& expression) : expression_(expression) {}

  void cut(std::string_view text, const Ends& from, Ends& to) const override {
    Expression::Search search(expression_);
    for_each(text, from, [&](std::string_view piece, size_t offset) {
      size_t done = 0;
      while (done < piece.size()) {
        const auto match = search.next(piece, done);
        if (!match || match->end <= done) break;
        end_piece(to, offset + done, offset + match->begin);
        end_piece(to, offset + match->begin, offset + match->end);
        done = match->end;
      }
      end_piece(to, offset + done, offset + piece.size());
    });
  }

 private:
  Expression expression_;
};

class Pretokenizer::SpaceRunCutter final : public Cutter {
 public:
  void cut(std::string_view text, const Ends& from, Ends& to) const override {
    Ends ends;  // of the characters of a run
    for_each(text, from, [&](std::string_view piece, size_t offset) {
      ends.clear();
      for (size_t at = 0; at < piece.size();) {
        const Character c = decode_character(piece, at);
        if (!is_white_space(c.code) || c.code == '\r' || c.code == '\n') break;
        at += c.size;
        ends.push_back(static_cast<uint32_t>(at));
      }
      if (ends.empty() || ends.back() < piece.size()) return end_piece(to, offset, offset + piece.size());
      for (size_t done = 0, size = 512; done < ends.size(); size /= 2)
        for (; ends.size() - done >= size && done < ends.size(); done += size)
          to.push_back(static_cast<uint32_t>(offset + ends[done + size - 1]));
    });
  }
};

class Pretokenizer::TrailingSpaceCutter final : public Cutter {
 public:
  void cut(std::string_view text, const Ends& from, Ends& to) const override {
    for_each(text, from, [&](std::string_view piece, size_t offset) {
      size_t words_end = 0;
      for (size_t at = 0; at < piece.size();) {
        const Character c = decode_character(piece, at);
        at += c.size;
        if (!is_white_space(c.code)) words_end = at;
      }
      end_piece(to, offset, offset + words_end);
      end_piece(to, offset + words_end, offset + piece.size());
    });
  }
};

class Pretokenizer::ThreesCutter final : public Cutter {
 public:
  explicit ThreesCutter(StepKind kind)
      : counts_(kind == StepKind::threes_apart ? is_number : is_digit),
        apart_(kind != StepKind::threes),
        in_words_(kind == StepKind::threes_in_words) {}

  void cut(std::string_view text, const Ends& from, Ends& to) const override {
    for_each(text, from, [&](std::string_view piece, size_t offset) {
      size_t done = 0;
      for (size_t at = 0; at < piece.size();) {
        const Character c = decode_character(piece, at);
        if (counts_(c)) {
          at = cut_run(piece, at, offset, done, to);
        } else {
          at += c.size;
        }
      }
      end_piece(to, offset + done, offset + piece.size());
    });
  }

 private:
  // Cuts in the run that begins at `at`; what lies before `done` is cut already. Returns where the run ends.
  size_t cut_run(std::string_view piece, size_t at, size_t offset, size_t& done, Ends& to) const {
    Ends digits;  // where each begins
    Character c;
    for (; at < piece.size(); at += c.size) {
      c = decode_character(piece, at);
      if (!counts_(c)) break;
      digits.push_back(static_cast<uint32_t>(at));
    }
    if (in_words_ && at < piece.size() && is_word(c)) return at;
    for (size_t i = 0; i < digits.size(); ++i) {
      if ((digits.size() - i) % 3 != 0 && !(apart_ && i == 0)) continue;
      end_piece(to, offset + done, offset + digits[i]);
      done = digits[i];
    }
    if (apart_) {
      end_piece(to, offset + done, offset + at);
      done = at;
    }
    return at;
  }

  bool (*counts_)(const Character&);
  bool apart_;     // the runs are pieces of their own
  bool in_words_;  // only runs that end at a word border count
};

Pretokenizer::Pretokenizer(const Pretokenization& how) {
  for (const Step& step : how.steps) {
    switch (step.kind) {
      case StepKind::expression:
        cutters_.push_back(std::make_unique<ExpressionCutter>(step.expression));
        break;
      case StepKind::space_runs: cutters_.push_back(std::make_unique<SpaceRunCutter>()); break;
      case StepKind::trailing_space: cutters_.push_back(std::make_unique<TrailingSpaceCutter>()); break;
      case StepKind::threes:
      case StepKind::threes_apart:
      case StepKind::threes_in_words: cutters_.push_back(std::make_unique<ThreesCutter>(step.kind)); break;
    }
  }
}

void Pretokenizer::cut(std::string_view text, std::vector<uint32_t>& ends) const {
  ends.clear();
  end_piece(ends, 0, text.size());
  Ends next;
  for (const auto& cutter : cutters_) {
    next.clear();
    cutter->cut(text, ends, next);
    ends.swap(next);
  }
}

Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer::~Pretokenizer() = default;

}  // namespace hearth::text
