#pragma once

#include "device/program.h"
#include "model/keys.h"

namespace hearth {

// The rope table of a model from its keys (rope.freq_base, rope.dimension_count, rope.scaling.*) and, where
// the file has one, the tensor of frequency factors (llama 3: rope_freqs.weight). `split`: pairs lie half a
// head apart. Scaling types none, linear and yarn (Peng et al. 2023, "YaRN", section 3.2–3.4); others throw
// Error(unsupported).
RopeTable read_rope(const Keys& keys, uint32_t head_size, bool split, const std::vector<float>& factors);

}  // namespace hearth
