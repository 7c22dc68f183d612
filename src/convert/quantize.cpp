#include "convert/quantize.h"

#include "formats/output_file.h"

namespace hearth {

Written quantize(const Gguf& in, const std::filesystem::path& out, const QuantizeOptions& o,
                 const ProgressFn& progress) {
  const ModelSource source = source_of(in, "the model");
  const WriteOptions options{&find_mixture(o.recipe), o.threads, o.importance, o.allow_requantize};
  const uint64_t bytes = planned_bytes(source, options);
  OutputFile file(out);
  file.require_space(bytes);
  const Written written = write_model(source, file.fd(), options, progress);
  file.commit();
  return written;
}

}  // namespace hearth
