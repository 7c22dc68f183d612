// Any bytes are a GGUF file or one clear Error: no crash, no read outside the input, no allocation it does
// not justify.
#include <cstdint>
#include <span>

#include "base/error.h"
#include "formats/gguf.h"

namespace {

void ask_everything(const hearth::Gguf& file) {
  for (const auto& entry : file.metadata()) {
    (void)hearth::summary(entry.value);
    const auto quietly = [](auto&& ask) {
      try {
        ask();
      } catch (const hearth::Error&) {  // of another type than asked for: a fine answer
      }
    };
    quietly([&] { (void)file.u64(entry.key); });
    quietly([&] { (void)file.f64(entry.key); });
    quietly([&] { (void)file.boolean(entry.key); });
    quietly([&] { (void)file.string(entry.key); });
    quietly([&] { (void)file.strings(entry.key); });
    quietly([&] { (void)file.ints(entry.key); });
    quietly([&] { (void)file.floats(entry.key); });
  }
  unsigned sum = 0;
  for (const auto& tensor : file.tensors()) {
    if (!tensor.data.empty())
      sum += static_cast<unsigned>(tensor.data.front()) + static_cast<unsigned>(tensor.data.back());
  }
  __asm__ volatile("" : : "r"(sum));  // the reads must happen
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    ask_everything(hearth::Gguf::parse(std::as_bytes(std::span(data, size)), "input"));
  } catch (const hearth::Error&) {
  }
  return 0;
}
