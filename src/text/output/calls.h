#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/output.h"

// Texts that tell of calls, read. None: it is no call.
namespace hearth::calls {

inline constexpr std::string_view blanks = " \t\r\n";
std::string_view trimmed(std::string_view text);

// Where the JSON value that begins at the first byte ends; none if it has not ended yet.
std::optional<size_t> json_end(std::string_view text);
std::optional<Json> parsed(std::string_view text);

// An object {name, arguments}, also as {"function": {…}} and with arguments as text that holds an object; or
// an array of such.
std::optional<std::vector<OutputCall>> of_json(const Json& value, const OutputFormat& format);

// The three below are given what lies between the tags. `parameters`: as in OutputOptions.
std::optional<OutputCall> of_function(std::string_view body, const Json& parameters);
std::optional<OutputCall> of_keys(std::string_view body, const Json& parameters);
std::optional<OutputCall> of_separated(std::string_view body, std::string_view separator);

// One call or several, in brackets or not: f(a=1, b='x'), g(c=[True, None]).
std::optional<std::vector<OutputCall>> of_python(std::string_view body);

}  // namespace hearth::calls
