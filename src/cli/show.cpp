// hearth show FILE: what a model file holds, in the layout of the reference's `show`.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/run_options.h"
#include "cli/show_remote.h"
#include "worker/open_model.h"

namespace hearth {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

void print_section(const std::string& title, const Rows& rows) {
  if (rows.empty()) return;
  size_t width = 0;
  for (const auto& [key, value] : rows) width = std::max(width, key.size());
  fmt::print("  {}\n", title);
  for (const auto& [key, value] : rows) {
    const std::string line = fmt::format("    {:<{}}    {}", key, width, value);
    fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  }
  fmt::print("\n");
}

uint64_t parameters_of(const Gguf& file) {
  uint64_t sum = 0;
  for (const TensorInfo& t : file.tensors()) sum += file.view(t).shape.values();
  return sum;
}

// The type that holds most of the parameters; a mixture is named after it.
std::string quantization_of(const Gguf& file) {
  std::map<DType, uint64_t> bytes;
  for (const TensorInfo& t : file.tensors()) bytes[t.type] += file.view(t).shape.values();
  if (bytes.empty()) return "unknown";
  const auto most = std::max_element(bytes.begin(), bytes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(type_info(most->first).name);
}

Rows model_rows(const Gguf& file) {
  Rows rows;
  const std::string arch(file.string("general.architecture").value_or("unknown"));
  rows.emplace_back("architecture", arch);
  if (!file.tensors().empty()) rows.emplace_back("parameters", human_count(parameters_of(file)));
  if (const auto n = file.u64(arch + ".context_length"))
    rows.emplace_back("context length", std::to_string(*n));
  if (const auto n = file.u64(arch + ".embedding_length"))
    rows.emplace_back("embedding length", std::to_string(*n));
  if (!file.tensors().empty()) rows.emplace_back("quantization", quantization_of(file));
  return rows;
}

Rows capability_rows(const Gguf& file) {
  const std::string arch(file.string("general.architecture").value_or("unknown"));
  if (file.u64(arch + ".pooling_type").value_or(0) != 0) return {{"embedding", ""}};
  Rows rows{{"completion", ""}};
  const auto source = file.string("tokenizer.chat_template");
  if (!source) return rows;
  try {
    const Template chat = Template::parse(*source);
    if (chat.mentions().variable("tools")) rows.emplace_back("tools", "");
    if (chat.mentions().variable("enable_thinking")) rows.emplace_back("thinking", "");
  } catch (const TemplateError& e) {
    rows.emplace_back("chat template", "unusable: " + e.message);
  }
  return rows;
}

Rows metadata_rows(const Gguf& file) {
  Rows rows;
  for (const MetadataEntry& entry : file.metadata())
    rows.emplace_back(std::string(entry.key), summary(entry.value));
  std::sort(rows.begin(), rows.end());
  return rows;
}

Rows tensor_rows(const Gguf& file) {
  Rows rows;
  for (const TensorInfo& t : file.tensors()) {
    std::string dims;
    for (uint32_t i = 0; i < t.n_dims; ++i) dims += fmt::format("{}{}", i > 0 ? " " : "", t.dims[i]);
    rows.emplace_back(std::string(t.name), fmt::format("{:<8} [{}]", type_info(t.type).name, dims));
  }
  return rows;
}

// First two lines that are not blank, then "..." if there is more.
Rows text_rows(std::string_view text) {
  Rows rows;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (rows.size() == 2) {
      rows.emplace_back("...", "");
      break;
    }
    rows.emplace_back(std::string(line), "");
  }
  return rows;
}

struct ShowOptions {
  std::string model;
  bool verbose = false, chat_template = false, license = false;
  bool modelfile = false, parameters = false, system = false;

  // What alone is wanted.
  std::string part() const {
    return chat_template ? "template"
           : license     ? "license"
           : modelfile   ? "modelfile"
           : parameters  ? "parameters"
           : system      ? "system"
                         : "";
  }
};

void show(const ShowOptions& options) {
  if (options.chat_template + options.license + options.modelfile + options.parameters + options.system > 1) {
    throw Error(Code::bad_request, "only one part can be shown alone",
                "give one of --license, --modelfile, --parameters, --system, --template");
  }
  RunOptions named;
  name_model(named, options.model);
  if (!named.model.empty()) return show_remote(options.model, options.part(), options.verbose);
  const bool builtin = options.model == builtin_name;
  const Gguf file = builtin ? Gguf::parse(builtin_model(), options.model) : Gguf::open(options.model);
  const auto chat = file.string("tokenizer.chat_template");
  const auto license = file.string("general.license");
  if (options.chat_template) return fmt::print("{}", chat.value_or(""));
  if (options.license) return fmt::print("{}\n", license.value_or(""));
  print_section("Model", model_rows(file));
  print_section("Capabilities", capability_rows(file));
  if (const auto text = file.string("general.description")) print_section("Description", text_rows(*text));
  if (options.verbose) {
    print_section("Metadata", metadata_rows(file));
    print_section("Tensors", tensor_rows(file));
  }
  if (license) print_section("License", text_rows(*license));
}

}  // namespace

void add_show(Arguments app) {
  auto options = std::make_shared<ShowOptions>();
  app.option("MODEL", options->model,
             "a model of a running server, a GGUF file, or ember for the built-in model")
      .required();
  app.flag("-v,--verbose", options->verbose, "all metadata and tensors");
  const Option chat = app.flag("--template", options->chat_template, "only the chat template");
  app.flag("--license", options->license, "only the licence").excludes(chat);
  app.flag("--modelfile", options->modelfile, "only the Modelfile (of a server's model)").excludes(chat);
  app.flag("--parameters", options->parameters, "only the parameters (of a server's model)").excludes(chat);
  app.flag("--system", options->system, "only the system message (of a server's model)").excludes(chat);
  app.footer("Environment: OLLAMA_HOST");
  app.run([options] { show(*options); });
}

}  // namespace hearth
