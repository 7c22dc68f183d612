#pragma once

#include <functional>
#include <string>

#include "base/json.h"

namespace hearth {

// Answers standard input line by line: one JSON object in, one line out. An Error becomes {"error":…}; blank
// lines are skipped. `answer` appends its line (without the newline) to the string.
void answer_lines(const std::function<void(const Json&, std::string&)>& answer);

// A number list as JSON text: the shortest form that reads back as the same float; inf and nan as strings.
void append_floats(std::string& out, const float* values, size_t count);

}  // namespace hearth
