// Compiled with the flags that its name ends with, and therefore without anything of the standard library's.
#define HEARTH_AMX_EMULATION
#define amx amx_emulated
#include "device/cpu/amx/packed.cpp"
