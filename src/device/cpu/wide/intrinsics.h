#pragma once

// GCC 12 warns of uninitialised variables inside its own AVX-512 header (its bug 105593): the "undefined"
// operand that an instruction overwrites entirely. Silenced for that header only.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
