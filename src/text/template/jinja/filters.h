#pragma once

#include <string_view>

#include "text/template/jinja/python.h"

// The tables that `filter` looks through.
namespace hearth::tmpl::jinja {

Native text_filter(std::string_view name);
Native number_filter(std::string_view name);
Native sequence_filter(std::string_view name);
Native selection_filter(std::string_view name);

// Calls the filter `name` on a value, as map("name") does.
Value apply_filter(Evaluator& evaluator, const Value& name, const Value& value, const Args& args);
bool apply_test(Evaluator& evaluator, const Value& name, const Value& value, const Args& args);

// x.y.0 of each item; with a default for what is undefined.
class AttributeGetter {
 public:
  // `path` is a string with dots, or an integer; none gives the item itself.
  AttributeGetter(Evaluator& evaluator, const Value& path, const Value* fallback = nullptr);
  Value operator()(const Value& item) const;

 private:
  Evaluator& evaluator_;
  std::vector<Value> steps_;
  const Value* fallback_;
};

// Lower case for text, for comparisons that ignore case; everything else as it is.
Value without_case(Evaluator& evaluator, const Value& value);

// Sorts by the keys, keeping the order of equals.
std::vector<Value> sorted(Evaluator& evaluator, const std::vector<Value>& items,
                          const std::vector<Value>& keys, bool reverse);

}  // namespace hearth::tmpl::jinja
