#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace hearth {

// What kind of thing went wrong; decides exit codes and HTTP status, never the text.
enum class Code {
  bad_request,
  not_found,
  forbidden,
  unsupported,
  corrupt_file,
  out_of_memory,
  device_lost,
  busy,
  cancelled,
  io,
  bug
};

// Stable lower-case spelling of a code ("corrupt_file"), used in logs and on the wire.
std::string_view to_string(Code code) noexcept;

// The inverse of to_string; an unknown word is Code::bug.
Code code_from_string(std::string_view word) noexcept;

// The one exception type of hearth. Thrown where bad input or a failing system is met, caught at the borders
// (request, worker loop, command). `message` names the thing (key, file, offset, number), `remedy` says what
// to do about it; both are one line without a final full stop.
struct Error : std::exception {
  Error(Code error_code, std::string error_message, std::string error_remedy);

  // "message (remedy)", the form a command line shows.
  const char* what() const noexcept override { return line.c_str(); }

  Code code;
  std::string message;
  std::string remedy;

 private:
  std::string line;
};

}  // namespace hearth
