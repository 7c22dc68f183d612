#pragma once

#include <string_view>
#include <vector>

#include "text/template/jinja/python.h"

// What methods and filters do with text. Every character keeps its origin.
namespace hearth::tmpl::jinja {

enum class Side : uint8_t { left, right, both };

// Removes white space, or the characters of `set`.
Value strip(Evaluator& evaluator, const Text& text, Side side, const Text* set);

enum class Case : uint8_t { upper, lower, swap, title, capital, fold };

// `title` capitalizes after everything that is not a letter.
Value change_case(Evaluator& evaluator, const Text& text, Case to);

// Capitalizes after white space, hyphens and opening brackets, as the filter `title` does.
Value title_words(Evaluator& evaluator, const Text& text);

// All occurrences if `count` is negative.
Value replace(Evaluator& evaluator, const Text& text, const Text& from, const Text& to, int64_t count);

Value join(Evaluator& evaluator, const Text& separator, const std::vector<Value>& items);

// Splits at white space runs (no separator) or at each separator, at most `most` times (negative: no limit).
std::vector<Value> split(Evaluator& evaluator, const Text& text, const Text* separator, int64_t most);
std::vector<Value> split_from_right(Evaluator& evaluator, const Text& text, const Text* separator,
                                    int64_t most);
std::vector<Value> split_lines(Evaluator& evaluator, const Text& text, bool keep_ends);

// Pads with `fill` up to `width` characters; `left` of the padding goes in front.
Value pad(Evaluator& evaluator, const Text& text, size_t front, size_t back, const Text* fill);

}  // namespace hearth::tmpl::jinja
