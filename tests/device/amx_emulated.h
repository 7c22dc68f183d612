#pragma once

// The AMX products of packed weights with a model of the tiles instead of the instructions: what is left
// needs AVX-512 with VNNI. They are those of src/device/cpu/amx/packed.cpp in a namespace of their own.
#define amx amx_emulated
#include "device/cpu/amx/kernels.h"
#undef amx
