#include "base/error.h"
#include "worker/open_model.h"

// HEARTH_EMBER_FILE is the model file in the source tree (see CMakeLists.txt). The assembler copies it into
// the read-only data of the binary, so that starting costs no reading: pages come from the file cache as they
// are used.
#ifdef HEARTH_EMBER_FILE
__asm__(
    ".section .rodata\n"
    ".balign 64\n"
    ".global hearth_ember_begin\n"
    ".hidden hearth_ember_begin\n"
    "hearth_ember_begin:\n"
    ".incbin \"" HEARTH_EMBER_FILE
    "\"\n"
    ".global hearth_ember_end\n"
    ".hidden hearth_ember_end\n"
    "hearth_ember_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" const std::byte hearth_ember_begin[];
extern "C" const std::byte hearth_ember_end[];
#endif

namespace hearth {

std::span<const std::byte> builtin_model() {
#ifdef HEARTH_EMBER_FILE
  return {hearth_ember_begin, hearth_ember_end};
#else
  throw Error(Code::not_found, "this build has no built-in model", "name a GGUF file");
#endif
}

}  // namespace hearth
