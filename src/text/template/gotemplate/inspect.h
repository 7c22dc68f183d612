#pragma once

#include "text/chat_template.h"
#include "text/template/gotemplate/tree.h"

namespace hearth::gotmpl {

// Of the definitions that can run.
Names names_of(const Tree& tree);

// An action {{ .Response }} behind everything.
void append_response(Tree& tree);

// The offset of the first action that uses .Response; the largest number if there is none.
size_t response_offset(const Tree& tree);

ParserHints hints_of(const Tree& tree);

}  // namespace hearth::gotmpl
