// Any bytes: either refused with an Error, or a set of tensors whose every byte can be read.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = hearth::Safetensors::parse(std::as_bytes(std::span(data, size)), "input");
    size_t bytes = 0;
    unsigned sum = 0;
    for (const hearth::SafeTensor& t : file.tensors()) {
      bytes += t.data.size();
      if (file.find(t.name) != &t) std::abort();
      if (t.type != nullptr && t.values() * t.type->block_bytes != t.data.size()) std::abort();
      for (const std::byte b : t.data) sum += static_cast<unsigned>(b);
    }
    if (bytes > size) std::abort();
    __asm__ volatile("" : : "r"(sum));  // the reads must happen
  } catch (const hearth::Error&) {
  }
  return 0;
}
