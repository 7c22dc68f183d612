// hearth debug synth: a model of a known shape with made-up weights, as a file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/human.h"
#include "convert/shapes.h"

namespace hearth {
namespace {

struct SynthOptions {
  std::string shape, quant = "Q4_K_M", out;
};

void synth(const SynthOptions& o) {
  const GgufWriter writer = synthetic_model(o.shape, o.quant);
  const std::filesystem::path path = o.out;
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::error_code failure;
  const auto space = std::filesystem::space(folder, failure);
  if (failure)
    throw Error(Code::not_found, fmt::format("no such folder: {}", folder.string()), "create it first");
  if (space.available < writer.file_bytes()) {
    throw Error(Code::io,
                fmt::format("{} takes {}, the disk has {}", o.out, human_bytes(writer.file_bytes()),
                            human_bytes(space.available)),
                "free space or choose a smaller shape");
  }
  writer.write(path);
  fmt::print(stderr, "wrote {} ({})\n", o.out, human_bytes(writer.file_bytes()));
}

}  // namespace

void add_synth(Arguments app);

void add_synth(Arguments app) {
  auto o = std::make_shared<SynthOptions>();
  std::vector<std::string_view> names;
  for (const ModelShape& s : known_shapes()) names.push_back(s.name);
  app.option("--shape", o->shape, fmt::format("one of {}", fmt::join(names, ", "))).required();
  app.option("--quant", o->quant, fmt::format("one of {}", fmt::join(known_quants(), ", "))).shows_default();
  app.option("OUT", o->out, "GGUF file to write").required();
  app.run([o] { synth(*o); });
}

}  // namespace hearth
