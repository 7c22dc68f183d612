#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::text {

// A regular expression over valid UTF-8, compiled to machine code where the system allows it.
class Expression {
 public:
  // Throws Error (`bug`) for a faulty expression: they are all our own.
  explicit Expression(const std::string& expression);
  ~Expression();

  struct Match {
    size_t begin = 0, end = 0;
  };

  // One search through one text, front to back. Keeps what PCRE2 needs for matching; for one thread.
  class Search {
   public:
    explicit Search(const Expression& expression);
    ~Search();
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;

    // The first match at or behind `at`; none if there is none. Where PCRE2 gives up, because a match would
    // need more memory or steps than it may have, the search goes on as if the text ended a few thousand
    // bytes behind.
    std::optional<Match> next(std::string_view text, size_t at);

   private:
    struct Memory;
    int match(std::string_view text, size_t at);
    int match_slowly(std::string_view text, size_t at);

    const Expression& expression_;
    std::unique_ptr<Memory> memory_;
  };

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace hearth::text
