#pragma once

#include <string_view>
#include <vector>

#include "text/template/tree.h"

namespace hearth {

// Everything in which template languages differ: the evaluator calls these and asks no further questions. All
// but `parse` and `truth` may throw tmpl::Failure.
struct Dialect {
  // Fills everything but the mentions.
  void (*parse)(std::string_view source, tmpl::Tree& tree);

  bool (*truth)(const tmpl::Value& value);
  void (*print)(tmpl::Evaluator& evaluator, const tmpl::Value& value, tmpl::Marked& out);

  // A name that neither the template nor the context defines, and that is no function.
  tmpl::Value (*missing)(tmpl::Evaluator& evaluator, const tmpl::TextRef& name);
  tmpl::Value (*attribute)(tmpl::Evaluator& evaluator, const tmpl::Value& of, const tmpl::TextRef& name);
  tmpl::Value (*item)(tmpl::Evaluator& evaluator, const tmpl::Value& of, const tmpl::Value& key);
  // Absent bounds are none.
  tmpl::Value (*slice)(tmpl::Evaluator& evaluator, const tmpl::Value& of, const tmpl::Value& start,
                       const tmpl::Value& stop, const tmpl::Value& step);

  // What a loop goes through.
  std::vector<tmpl::Value> (*elements)(tmpl::Evaluator& evaluator, const tmpl::Value& of);

  tmpl::Value (*unary)(tmpl::Evaluator& evaluator, tmpl::UnaryOp op, const tmpl::Value& value);
  tmpl::Value (*binary)(tmpl::Evaluator& evaluator, tmpl::BinaryOp op, const tmpl::Value& left,
                        const tmpl::Value& right);
  bool (*compare)(tmpl::Evaluator& evaluator, tmpl::CompareOp op, const tmpl::Value& left,
                  const tmpl::Value& right);
  // Calls a value that is neither a function nor a macro.
  tmpl::Value (*call)(tmpl::Evaluator& evaluator, const tmpl::Value& callee, tmpl::Args& args);

  // Builtins by name; null when there is none.
  tmpl::Native (*function)(std::string_view name);
  tmpl::Native (*filter)(std::string_view name);
  tmpl::Native (*test)(std::string_view name);
  tmpl::Native (*method)(const tmpl::Value& of, std::string_view name);
};

}  // namespace hearth
