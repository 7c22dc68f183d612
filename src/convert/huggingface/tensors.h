#pragma once

#include <memory>
#include <vector>

#include "convert/huggingface/family.h"
#include "convert/model_source.h"
#include "formats/safetensors.h"

namespace hearth::huggingface {

// The published tensors under their GGUF names and in their GGUF form, in the order of the layers. Every
// shape is checked against `sizes`. Throws Error: corrupt_file (missing, other shape), unsupported (a tensor
// that has no place, a type without counterpart).
std::vector<SourceTensor> map_tensors(const std::shared_ptr<const Safetensors>& files, const Sizes& sizes,
                                      const Family& family);

// A tensor of numbers that are at hand.
SourceTensor tensor_of(std::string name, std::vector<float> values);

}  // namespace hearth::huggingface
