#pragma once

#include <cstdint>
#include <string>

#include "text/template.h"

namespace hearth::tmpl {

// A place in the source; line 0 means unknown. Columns count bytes from 1.
struct Position {
  uint32_t line = 0;
  uint32_t column = 0;
};

// What is thrown inside the engine. The innermost node that knows its place adds it on the way up; at the
// border it becomes a TemplateError.
struct Failure {
  TemplateError::Kind kind;
  std::string message;
  Position at;
};

[[noreturn]] inline void fail_type(std::string message) {
  throw Failure{TemplateError::Kind::type, std::move(message), {}};
}
[[noreturn]] inline void fail_undefined(std::string message) {
  throw Failure{TemplateError::Kind::undefined, std::move(message), {}};
}
[[noreturn]] inline void fail_syntax(std::string message, Position at) {
  throw Failure{TemplateError::Kind::syntax, std::move(message), at};
}

// What a caller of the engine gets.
TemplateError error_of(Failure failure);

}  // namespace hearth::tmpl
