// Any bytes as manifest, configuration, name, digest and challenge of a registry: parsed or refused, never
// more.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "store/manifest.h"
#include "store/name.h"

namespace hearth {
namespace {

template <class Function>
void refused_or_done(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    if (error.code != Code::corrupt_file && error.code != Code::bad_request) std::abort();
  }
}

void run(std::string_view bytes) {
  refused_or_done([&] {
    const Manifest manifest = Manifest::parse(std::string(bytes));
    if (manifest.bytes != bytes || manifest.digest != digest_of(bytes)) std::abort();
    (void)manifest.size();
    if (!manifest.config) return;
    const Manifest again = Manifest::make(*manifest.config, manifest.layers);
    if (again.layers.size() != manifest.layers.size() || again.blobs() != manifest.blobs()) std::abort();
  });
  refused_or_done([&] {
    ModelConfig config = ModelConfig::parse(bytes);
    (void)config.print({});
    config.other.clear();  // numbers of the JSON library may differ in the last bit when read again
    const std::string printed = config.print({});
    if (ModelConfig::parse(printed).print({}) != printed) std::abort();
  });
  if (const auto name = ModelName::parse(bytes)) {
    const auto again = ModelName::parse(name->full_display());
    if (!again || !again->matches(*name) || !ModelName::from_path(name->path())) std::abort();
  }
  if (const auto digest = Digest::parse(bytes)) {
    if (Digest::parse(digest->file_name()) != digest) std::abort();
  }
}

}  // namespace
}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hearth::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
