#pragma once

#include "text/template/jinja/parser.h"

namespace hearth::tmpl::jinja {

// A level of recursion of the parser; bounds the stack it needs.
class Parser::Nested {
 public:
  explicit Nested(Parser& parser) : parser_(parser) {
    if (parser_.nested_ >= deepest) fail_syntax("the template is nested too deeply", parser_.current().at);
    ++parser_.nested_;
  }
  ~Nested() { --parser_.nested_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  static constexpr size_t deepest = 200;
  Parser& parser_;
};

}  // namespace hearth::tmpl::jinja
