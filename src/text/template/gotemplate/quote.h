#pragma once

#include <string>
#include <string_view>

namespace hearth::gotmpl {

// Between quotes, as Go's strconv.Quote writes it: what cannot be printed is escaped.
std::string in_quotes(std::string_view text, char quote);

// For HTML: & < > quotes and NUL.
void escape_html(std::string_view text, std::string& out);

// For a JavaScript string.
void escape_javascript(std::string_view text, std::string& out);

// For the query of an address: a blank is +, all but letters, digits and -_.~ is %XX.
void escape_query(std::string_view text, std::string& out);

}  // namespace hearth::gotmpl
