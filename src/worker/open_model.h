#pragma once

#include <memory>
#include <optional>
#include <string>

#include "formats/gguf.h"
#include "text/template.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace hearth {

// The tokenizer's data from a GGUF's metadata (tokenizer.ggml.*).
Vocabulary read_vocabulary(const Gguf& file);

// The model that is compiled into the binary. Throws Error(not_found) in a build without one.
std::span<const std::byte> builtin_model();
inline constexpr std::string_view builtin_name = "ember";

// A model file and what its texts need. An empty path opens the built-in model.
struct OpenModel {
  static OpenModel open(const std::string& path);

  std::string name;  // for messages: the file's name, or "ember"
  std::unique_ptr<Gguf> file;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<Template> chat;  // none: the file carries no chat template
  std::string template_source;   // its text
  std::string template_problem;  // why there is a template that cannot be used; empty otherwise
};

}  // namespace hearth
