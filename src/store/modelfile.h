#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace hearth {

// A Modelfile: one instruction per line, `WORD value`, words in any case and order. A value is the rest of
// the line, or "…" or """…""" over several lines; there are no escape sequences.
struct Modelfile {
  struct Parameter {
    std::string name, value;
  };
  struct Message {
    std::string role, content;
  };

  std::vector<std::string> from;  // at least one after parse()
  std::vector<std::string> adapters;
  std::string draft;
  std::vector<Parameter> parameters;
  std::vector<Message> messages;
  std::vector<std::string> licenses;
  std::optional<std::string> prompt_template, system;
  std::string renderer, parser, requires_version;

  // UTF-8, or UTF-16 with a byte order mark. Throws Error(bad_request): "(line N): command must be one of …",
  // "(line N): unexpected EOF …", "no FROM line", ….
  static Modelfile parse(std::string_view bytes);

  // The instructions in the order FROM ADAPTER DRAFT TEMPLATE SYSTEM RENDERER PARSER REQUIRES PARAMETER
  // LICENSE MESSAGE, each value quoted where it must be. Parsing it again gives the same, save for the few
  // values that the format cannot hold (a line within that ends in the quotes around it).
  std::string print() const;
};

// Types and checks the parameters of a Modelfile: `stop` becomes an array, of the others the last counts.
// Obsolete names are dropped and reported in `warnings`. Throws Error(bad_request): "unknown parameter 'x'",
// "invalid int value [x]", ….
json::object typed_parameters(const std::vector<Modelfile::Parameter>& parameters,
                              std::vector<std::string>& warnings);

// The other way: one name and value for each scalar and each entry of an array.
std::vector<Modelfile::Parameter> untyped_parameters(const json::object& parameters);

// As `show --parameters` prints them: name padded to 30 columns, a blank, the value; strings in JSON quotes.
std::string parameter_lines(const json::object& parameters);

// The files that `FROM folder` means: the first kind of weights that is present (safetensors, then PyTorch,
// then GGUF), with the configuration and tokenizer files beside them. Throws Error: not_found, bad_request.
std::vector<std::filesystem::path> files_of_folder(const std::filesystem::path& folder);

}  // namespace hearth
