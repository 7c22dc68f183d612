#pragma once

#include <string>

#include "text/template/jinja/python.h"

namespace hearth::tmpl::jinja {

struct JsonStyle {
  bool ascii = false;  // everything beyond ASCII as \uXXXX
  bool sorted = false;
  bool multiline = false;
  Marked indent;  // of one level
  Marked between{", ", Origin::model};
  Marked after_key{": ", Origin::model};
};

// json.dumps. Punctuation has the origin of its container, text its own.
void write_json(Evaluator& evaluator, const Value& value, const JsonStyle& style, Marked& out);

Native json_filter(std::string_view name);

}  // namespace hearth::tmpl::jinja
