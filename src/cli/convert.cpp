// hearth debug quantize and hearth debug convert: what create does to a model, by itself.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/environment.h"
#include "cli/human.h"
#include "convert/huggingface.h"
#include "convert/quantize.h"
#include "formats/output_file.h"

namespace hearth {
namespace {

struct ConvertOptions {
  std::string in, out, type, importance;
  bool requantize = false;
};

// A line of progress that is written over, for a person; nothing for a pipe.
ProgressFn progress_line() {
  if (::isatty(STDERR_FILENO) == 0) return {};
  return [last = -1](uint64_t done, uint64_t total) mutable {
    const int percent =
        total == 0 ? 100 : static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total));
    if (percent == last) return;
    last = percent;
    fmt::print(stderr, "\r{:3} %{}", percent, done == total ? "\n" : "");
  };
}

void report(const std::string& out, const Written& written, std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "wrote {} ({}) in {}\n", out, human_bytes(written.bytes), human_duration(time.count()));
}

void debug_quantize(const ConvertOptions& o) {
  const auto start = std::chrono::steady_clock::now();
  QuantizeOptions options{o.type, thread_setting(), nullptr, o.requantize};
  ImportanceMatrix importance;
  if (!o.importance.empty()) {
    importance = read_importance(Gguf::open(o.importance));
    options.importance = &importance;
  }
  report(o.out, quantize(Gguf::open(o.in), o.out, options, progress_line()), start);
}

void debug_convert(const ConvertOptions& o) {
  const auto start = std::chrono::steady_clock::now();
  const ModelSource source =
      open_huggingface(o.in, std::filesystem::absolute(o.in).lexically_normal().filename());
  for (const std::string& note : source.notes) fmt::print(stderr, "Note: {}\n", note);
  const WriteOptions options{o.type.empty() ? nullptr : &find_mixture(o.type), thread_setting(), nullptr,
                             false};
  const uint64_t bytes = planned_bytes(source, options);
  OutputFile file(o.out);
  file.require_space(bytes);
  const Written written = write_model(source, file.fd(), options, progress_line());
  file.commit();
  report(o.out, written, start);
}

std::string type_help() {
  std::vector<std::string_view> names;
  for (const Mixture& m : known_mixtures()) names.push_back(m.name);
  return fmt::format("one of {}", fmt::join(names, ", "));
}

}  // namespace

void add_quantize(Arguments app);
void add_convert(Arguments app);

void add_quantize(Arguments app) {
  auto o = std::make_shared<ConvertOptions>();
  app.option("IN", o->in, "GGUF file in F16, BF16 or F32").required();
  app.option("OUT", o->out, "GGUF file to write").required();
  app.option("TYPE", o->type, type_help()).required();
  app.option("--imatrix", o->importance, "importance matrix (GGUF): which columns matter how much");
  app.flag("--allow-requantize", o->requantize, "also from types that have lost already");
  app.run([o] { debug_quantize(*o); });
}

void add_convert(Arguments app) {
  auto o = std::make_shared<ConvertOptions>();
  app.option("FOLDER", o->in, "a model as published: config.json, tokenizer.json, *.safetensors").required();
  app.option("OUT", o->out, "GGUF file to write").required();
  app.option("--quantize", o->type, type_help());
  app.run([o] { debug_convert(*o); });
}

}  // namespace hearth
