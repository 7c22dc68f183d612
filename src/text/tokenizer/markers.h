#pragma once

#include "text/tokenizer/lexicon.h"

namespace hearth::text {

// Finds the special tokens of a lexicon, by id where the file names them and by their usual texts where not;
// marks the tokens that are recognised only where wanted; lists those that end generation.
void settle_markers(Lexicon& lexicon, const Vocabulary& vocabulary);

}  // namespace hearth::text
