// Any bytes: parsing ends with a Modelfile or an Error, and what was parsed prints as something that parses.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "store/modelfile.h"

namespace hearth {
namespace {

// A value that holds triple quotes may have no written form; see Modelfile::print.
bool can_be_printed(const Modelfile& file) {
  const auto fine = [](const std::string& value) { return value.find(R"(""")") == std::string::npos; };
  bool all = fine(file.draft) && fine(file.renderer) && fine(file.parser) && fine(file.requires_version) &&
             fine(file.system.value_or("")) && fine(file.prompt_template.value_or(""));
  for (const auto* list : {&file.from, &file.adapters, &file.licenses}) {
    for (const auto& value : *list) all = all && fine(value);
  }
  for (const auto& parameter : file.parameters) all = all && fine(parameter.value);
  for (const auto& message : file.messages) all = all && fine(message.content);
  return all;
}

void run(std::string_view bytes) {
  try {
    const Modelfile file = Modelfile::parse(bytes);
    std::vector<std::string> warnings;
    if (can_be_printed(file)) {
      const std::string text = file.print();
      if (Modelfile::parse(text).print() != text) std::abort();
    }
    const json::object typed = typed_parameters(file.parameters, warnings);
    if (typed_parameters(untyped_parameters(typed), warnings) != typed) std::abort();
    (void)parameter_lines(typed);
  } catch (const Error& error) {
    if (error.code != Code::bad_request || error.message.empty()) std::abort();
  }
}

}  // namespace
}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hearth::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
