#include "worker/open_model.h"

#include <filesystem>

#include "base/error.h"
#include "model/model.h"

namespace hearth {

OpenModel OpenModel::open(const std::string& path) {
  OpenModel m;
  if (path.empty()) {
    m.name = builtin_name;
    m.file = std::make_unique<Gguf>(Gguf::parse(builtin_model(), m.name));
  } else {
    m.name = std::filesystem::path(path).filename().string();
    m.file = std::make_unique<Gguf>(Gguf::open(path));
  }
  try {
    m.tokenizer = Tokenizer::create(read_vocabulary(*m.file));
  } catch (const Error&) {
    architecture_of(*m.file);  // a file of an unknown one is not blamed for what it lacks
    throw;
  }
  if (const auto source = m.file->string("tokenizer.chat_template")) {
    m.template_source = *source;
    try {
      m.chat = Template::parse(*source);
    } catch (const TemplateError& e) {
      m.template_problem = e.message;
    }
  }
  return m;
}

}  // namespace hearth
