#pragma once

#include <string>

namespace hearth {

// Lets the user change a text in the editor that OLLAMA_EDITOR, VISUAL or EDITOR names (else vi) and gives it
// back without the last newline. Throws Error(io) if the editor cannot be run or fails; the text is unchanged
// then.
std::string edit_in_program(const std::string& text);

}  // namespace hearth
