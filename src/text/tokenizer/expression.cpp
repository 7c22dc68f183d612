#include "text/tokenizer/expression.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <new>

#include "base/error.h"

namespace hearth::text {

namespace {

constexpr size_t kSmallStack = size_t{32} << 10,
                 kLargeStack = size_t{4} << 20;  // bytes for compiled matching
constexpr uint32_t kHeapLimit = 32 << 10;        // KiB for interpreted matching
constexpr uint32_t kMatchLimit = 20'000'000;     // steps of interpreted matching
constexpr size_t kWindow = 4096;                 // bytes looked at after a failure

PCRE2_SPTR units(const char* text) { return reinterpret_cast<PCRE2_SPTR>(text); }

// PCRE2's \s has U+180E, which Unicode no longer counts as White_Space.
std::string with_unicode_space(const std::string& expression) {
  std::string out;
  for (size_t i = 0; i < expression.size(); ++i) {
    out.push_back(expression[i]);
    if (expression[i] != '\\' || i + 1 == expression.size()) continue;
    ++i;
    if (expression[i] == 's') {
      out += "p{wspace}";
    } else if (expression[i] == 'S') {
      out += "P{wspace}";
    } else {
      out.push_back(expression[i]);
    }
  }
  return out;
}

}  // namespace

struct Expression::Code {
  pcre2_code* code = nullptr;
  bool compiled = false;

  ~Code() { pcre2_code_free(code); }
};

struct Expression::Search::Memory {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;

  ~Memory() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

Expression::Expression(const std::string& expression) : code_(std::make_unique<Code>()) {
  int error = 0;
  size_t offset = 0;
  const std::string text = with_unicode_space(expression);
  code_->code = pcre2_compile(units(text.data()), text.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_NO_AUTO_CAPTURE,
                              &error, &offset, nullptr);
  if (!code_->code)
    throw Error(hearth::Code::bug, fmt::format("expression {} has error {} at {}", text, error, offset),
                "report this");
  // Where memory cannot be made executable this fails, and matching is interpreted.
  code_->compiled = pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE) == 0;
}

Expression::~Expression() = default;

Expression::Search::Search(const Expression& expression)
    : expression_(expression), memory_(std::make_unique<Memory>()) {
  memory_->data = pcre2_match_data_create(1, nullptr);
  memory_->context = pcre2_match_context_create(nullptr);
  if (!memory_->data || !memory_->context) throw std::bad_alloc();
  pcre2_set_heap_limit(memory_->context, kHeapLimit);
  pcre2_set_match_limit(memory_->context, kMatchLimit);
}

Expression::Search::~Search() = default;

int Expression::Search::match(std::string_view text, size_t at) {
  if (!expression_.code_->compiled) return match_slowly(text, at);
  const auto run = [&] {
    return pcre2_jit_match(expression_.code_->code, units(text.data()), text.size(), at, 0, memory_->data,
                           memory_->context);
  };
  int result = run();
  if (result == PCRE2_ERROR_JIT_STACKLIMIT && !memory_->stack) {
    memory_->stack = pcre2_jit_stack_create(kSmallStack, kLargeStack, nullptr);
    if (!memory_->stack) throw std::bad_alloc();
    pcre2_jit_stack_assign(memory_->context, nullptr, memory_->stack);
    result = run();
  }
  return result;
}

int Expression::Search::match_slowly(std::string_view text, size_t at) {
  return pcre2_match(expression_.code_->code, units(text.data()), text.size(), at,
                     PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, memory_->data, memory_->context);
}

std::optional<Expression::Match> Expression::Search::next(std::string_view text, size_t at) {
  int result = match(text, at);
  if (result < 0 && result != PCRE2_ERROR_NOMATCH) {
    size_t end = std::min(text.size(), at + kWindow);
    while (end < text.size() && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) ++end;
    result = match_slowly(text.substr(0, end), at);
    if (result < 0) return Match{at, end};
  }
  if (result < 0) return std::nullopt;
  const size_t* found = pcre2_get_ovector_pointer(memory_->data);
  return Match{found[0], found[1]};
}

}  // namespace hearth::text
