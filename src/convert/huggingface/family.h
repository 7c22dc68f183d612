#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/huggingface/config.h"
#include "formats/gguf_writer.h"

namespace hearth::huggingface {

// A class of published models ("architectures" in config.json) and what its GGUF form is.
struct Family {
  std::string_view published, architecture;
  // The rotary pairs of q and k lie half a head apart in published files and side by side in the GGUF form.
  bool side_by_side = false;
  bool head_norms = false;  // of q and k
  bool experts = false;
};

// Throws Error(unsupported) listing the known.
const Family& find_family(const Config& config);

// The sizes that tensors are checked against.
struct Sizes {
  uint32_t layers = 0, width = 0, ffn = 0, heads = 0, kv_heads = 0, head_size = 0, vocabulary = 0,
           context = 0;
  uint32_t experts = 0, experts_used = 0;
  float eps = 0;
  bool tied = false;
};
Sizes read_sizes(const Config& config, const Family& family, std::vector<std::string>& notes);

// Everything under "ARCHITECTURE." in the GGUF's metadata.
void put_sizes(const Sizes& sizes, const Family& family, GgufWriter& head);

// Rotary embedding: base and scaling as metadata; the divisors of the frequencies that llama 3 keeps in the
// tensor rope_freqs, one per pair, empty where there are none. Throws Error(unsupported) for scalings that
// GGUF has no keys for.
std::vector<float> put_rope(const Config& config, const Sizes& sizes, const Family& family, GgufWriter& head);

}  // namespace hearth::huggingface
