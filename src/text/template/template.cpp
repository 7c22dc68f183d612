#include "text/template.h"

#include <fmt/format.h>

#include "text/template/evaluator.h"
#include "text/template/mentions.h"

namespace hearth {
namespace {

using Kind = TemplateError::Kind;

Code code_of(Kind kind) {
  switch (kind) {
    case Kind::syntax: return Code::corrupt_file;
    case Kind::raised: return Code::bad_request;
    case Kind::undefined:
    case Kind::type:
    case Kind::limit: break;
  }
  return Code::unsupported;
}

const char* remedy_of(Kind kind) {
  switch (kind) {
    case Kind::syntax: return "use another template for this model";
    case Kind::raised: return "change the messages: the model's chat template refuses them";
    case Kind::limit: return "shorten the conversation or use another template";
    case Kind::undefined:
    case Kind::type: break;
  }
  return "the model's chat template does not handle these messages";
}

}  // namespace

TemplateError::TemplateError(Kind error_kind, std::string error_message, size_t error_line,
                             size_t error_column)
    : Error(code_of(error_kind), std::move(error_message), remedy_of(error_kind)),
      kind(error_kind),
      line(error_line),
      column(error_column) {}

TemplateError tmpl::error_of(Failure failure) {
  std::string message = std::move(failure.message);
  if (failure.kind != TemplateError::Kind::raised && failure.at.line > 0) {
    message =
        fmt::format("chat template, line {}, column {}: {}", failure.at.line, failure.at.column, message);
  }
  return {failure.kind, std::move(message), failure.at.line, failure.at.column};
}

Template Template::parse(std::string_view source, const Dialect& dialect) {
  auto tree = std::make_shared<tmpl::Tree>();
  tree->dialect = &dialect;
  try {
    dialect.parse(source, *tree);
  } catch (tmpl::Failure& failure) {
    throw tmpl::error_of(std::move(failure));
  }
  tree->mentions = tmpl::mentions_of(*tree);
  return Template(std::move(tree));
}

Prompt Template::render(const Json& context, const RenderOptions& options) const {
  tmpl::Marked text;
  try {
    text = tmpl::Evaluator(*tree_, context, options).render();
  } catch (tmpl::Failure& failure) {
    throw tmpl::error_of(std::move(failure));
  }
  Prompt prompt;
  text.pieces(0, text.size(), [&](std::string_view bytes, Origin origin) {
    prompt.push_back({std::string(bytes), origin});
  });
  return prompt;
}

const Mentions& Template::mentions() const noexcept { return tree_->mentions; }

std::string text_of(const Prompt& prompt) {
  std::string text;
  for (const Part& part : prompt) text += part.text;
  return text;
}

}  // namespace hearth
