#pragma once

#include <optional>
#include <vector>

#include "device/device.h"
#include "device/vulkan/memory.h"

namespace hearth::vulkan {

// A range of weight rows (or of experts) that one binding can hold.
struct WeightPart {
  uint64_t at = 0, bytes = 0;        // in the copy of all weights
  uint32_t first_row = 0, rows = 0;  // of one matrix
  uint32_t first_expert = 0, experts = 1;
};

// A weight as the kernels want it: the file's own blocks, or `packed` ones, cut where a binding or an
// allocation must end.
struct WeightHome {
  DType type{};
  bool packed = false;
  uint32_t rows = 0, cols = 0, stack = 1;
  uint64_t row_bytes = 0;
  std::vector<WeightPart> parts;  // none: not on this device
};

// Where every weight of a program's operations lies. Tables of embeddings stay in the file: their rows are
// decoded by the CPU.
struct Residence {
  std::vector<WeightHome> weights;    // [weight id − 1]
  std::optional<uint64_t> codebooks;  // where the tables of the IQ types lie
  uint64_t bytes = 0;                 // of all; the copy is cut into blocks of block_bytes
};
Residence residence_of(const Program& program, const Capabilities& limits);

// The limit of a block of weights.
uint64_t weight_block(const Capabilities& limits);

// All codebooks of the IQ types, in the order of shaders/types/codebook.glsl.
std::vector<uint16_t> codebooks();

// The name of a type in the names of shaders: "q4_k"; "q8_0_packed".
std::string shader_type(DType type, bool packed = false);

// Blocks of Q8_0 have 34 bytes, of which kernels cannot read sixteen at once. Where a row has whole eights of
// them, eight lie on the device as eight scales and then the levels, in as many bytes.
inline constexpr uint64_t packed_bytes = 272;
bool packs(DType type, uint64_t cols);
// `from` and `to`: whole eights of blocks.
void pack(std::span<const std::byte> from, std::byte* to);

// Whether there are kernels that multiply the type as integers.
bool multiplies_integers(DType type);

// Why the device cannot run an operation.
std::optional<Refusal> refuse(const Op& op, const Program& program, KvTypes kv, const Capabilities& limits);

}  // namespace hearth::vulkan
