#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace hearth::tmpl::jinja {

// strftime with English names whatever the locale; directives it does not know are kept as they are.
std::string strftime(std::string_view format, const std::tm& time);

}  // namespace hearth::tmpl::jinja
