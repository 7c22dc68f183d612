// Any bytes are a GGUF file or one clear Error: no crash, no read outside the input, no allocation it does
// not justify.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "formats/gguf.h"

namespace {

template <class F>
void quietly(F&& ask) {
  try {
    ask();
  } catch (const hearth::Error&) {  // of another type than asked for: a fine answer
  }
}

void ask_everything(const hearth::Gguf& file) {
  for (const auto& entry : file.metadata()) {
    (void)hearth::summary(entry.value);
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
    quietly([&] {
      const hearth::WeightView view = file.view(tensor);
      const auto row = hearth::row_bytes(view.type, view.shape.cols);
      if (!row || *row * view.shape.rows * view.shape.stack != view.data.size()) std::abort();
    });
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
