#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu_features.h"
#include "device/cpu/table.h"

namespace hearth::cpu {

// An instruction set that hearth has kernels for.
struct CpuSet {
  const CpuTable* table;
  bool CpuFeatures::*needs;       // null: runs everywhere
  std::string_view instructions;  // what `needs` stands for, in words
};

// All sets, best first; the last is portable.
std::span<const CpuSet> cpu_sets();

// The kernels this process uses: a chosen table whose gaps are filled from the sets below it, with the name
// of the set that each entry came from.
struct ResolvedTable {
  struct Type {
    TypeKernels kernels{};
    std::string_view decode_set, gemv_set;
    const PackedKernels* packed = nullptr;  // null: only as the file has it
    std::string_view packed_set;
  };

  std::string_view set;     // the best set that was allowed
  std::vector<Type> types;  // every weight type, in the order of GGUF's numbers
  // The fastest matrix product, which may round weights and activations to bfloat16, and the fastest that
  // keeps floats; the same if the set has no other.
  const MatmulKernels* matmul = nullptr;
  std::string_view matmul_set;
  const MatmulKernels* matmul_f32 = nullptr;
  std::string_view matmul_f32_set;
  const KvKernels* kv[4] = {};
  std::string_view kv_set[4];
  const RowKernels* rows = nullptr;
  std::string_view rows_set;
  // Attention of prompts: the fastest, and the fastest that keeps floats.
  const AttendKernels* attend = nullptr;
  std::string_view attend_set;
  const AttendKernels* attend_f32 = nullptr;
  std::string_view attend_f32_set;

  const StateKernels* state = nullptr;
  std::string_view state_set;

  RoundRow round_row = nullptr;  // set wherever there are packed kernels
  const PeakKernel* peak = nullptr;
  std::string_view peak_set;

  // The kernels of a type by its GGUF number; null for numbers that are not weight types.
  const TypeKernels* type(uint32_t number) const noexcept;
  // The packed kernels of a type; null if this set has none.
  const PackedKernels* packed(uint32_t number) const noexcept;

  // One line for logs and bench: "avx512bf16: matmul avx512bf16, kv avx512, rows avx512; avx512: F32 F16 …;
  // portable: IQ1_S …".
  std::string describe() const;
};

// `wanted` is the best set that may be used (HEARTH_CPU); empty means the best that the processor has. Throws
// bad_request for an unknown name, unsupported for a set that this processor or system lacks.
ResolvedTable resolve(std::string_view wanted, const CpuFeatures& features);

}  // namespace hearth::cpu
