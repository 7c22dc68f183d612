#include "base/error.h"

#include <array>
#include <utility>

namespace hearth {
namespace {

constexpr std::array<std::pair<Code, std::string_view>, 11> names{{
    {Code::bad_request, "bad_request"},
    {Code::not_found, "not_found"},
    {Code::forbidden, "forbidden"},
    {Code::unsupported, "unsupported"},
    {Code::corrupt_file, "corrupt_file"},
    {Code::out_of_memory, "out_of_memory"},
    {Code::device_lost, "device_lost"},
    {Code::busy, "busy"},
    {Code::cancelled, "cancelled"},
    {Code::io, "io"},
    {Code::bug, "bug"},
}};

}  // namespace

std::string_view to_string(Code code) noexcept {
  for (const auto& [value, name] : names) {
    if (value == code) return name;
  }
  return "bug";
}

Code code_from_string(std::string_view word) noexcept {
  for (const auto& [value, name] : names) {
    if (name == word) return value;
  }
  return Code::bug;
}

Error::Error(Code error_code, std::string error_message, std::string error_remedy)
    : code(error_code), message(std::move(error_message)), remedy(std::move(error_remedy)), line(message) {
  if (!remedy.empty()) line += " (" + remedy + ")";
}

}  // namespace hearth
