#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/prompt.h"

namespace hearth {

namespace tmpl {
struct Tree;
}

// The rules of one template language: its parser, truth, printing, look-ups and builtins.
struct Dialect;

// Jinja2 3.1 as chat templates use it: trim_blocks, lstrip_blocks, loop controls, lenient undefined values.
const Dialect& jinja() noexcept;

// Why a template could not be parsed or rendered. A caller that may present the conversation in another shape
// (null content as "", parts joined, ...) retries on `undefined` and `type` and gives up on the rest.
struct TemplateError : Error {
  enum class Kind {
    syntax,     // the source is not a template; corrupt_file
    undefined,  // the template used something that is not there; unsupported
    type,       // an operation does not fit its operands; unsupported
    limit,      // steps, depth, output or memory exceeded; unsupported
    raised,     // raise_exception: `message` is the template's text and nothing else; bad_request
  };
  TemplateError(Kind error_kind, std::string error_message, size_t error_line, size_t error_column);

  Kind kind;
  size_t line;    // from 1; 0 if unknown
  size_t column;  // in bytes, from 1; 0 if unknown
};

// What a template reads, found without running it. Names that only the template itself defines are included
// in `variables`; a name that is absent is certainly not read.
struct Mentions {
  std::set<std::string, std::less<>> variables;   // messages, tools, enable_thinking, documents, ...
  std::set<std::string, std::less<>> attributes;  // x.NAME, x['NAME'], x.get('NAME'), 'NAME' in x
  std::set<std::string, std::less<>> compared;  // string literals of ==, !=, in, is eq: 'tool', 'image', ...

  bool variable(std::string_view name) const { return variables.find(name) != variables.end(); }
  bool attribute(std::string_view name) const { return attributes.find(name) != attributes.end(); }
  bool compares(std::string_view text) const { return compared.find(text) != compared.end(); }
};

// Bounds of one rendering. Templates come from model files: each bound that is exceeded is a TemplateError of
// kind `limit` that names it.
struct RenderLimits {
  uint64_t steps = 50'000'000;  // evaluated nodes, plus bytes and elements handled in bulk
  size_t depth = 2'000;         // nested nodes, calls and values; these need less than 1 MiB of stack
  size_t output_bytes = size_t{32} << 20;
  size_t memory_bytes = size_t{256} << 20;  // values alive while rendering
};

struct RenderOptions {
  RenderLimits limits;
  // Variables of the context whose text is the model's own. All other text of the context is of origin
  // `user`.
  std::set<std::string, std::less<>> trusted = {"bos_token", "eos_token"};
  // What strftime_now prints; absent means the local time of the call.
  std::optional<std::tm> now;
};

// A parsed chat template. Immutable: one template may be rendered by several threads at once.
class Template {
 public:
  // Throws TemplateError of kind syntax with line and column.
  static Template parse(std::string_view source, const Dialect& dialect = jinja());

  // `context` is an object: each member is a variable (null is a value, an absent one is undefined). Returns
  // the text in order, neighbours of equal origin merged, no empty part. Throws TemplateError.
  Prompt render(const Json& context, const RenderOptions& options = {}) const;

  const Mentions& mentions() const noexcept;

 private:
  explicit Template(std::shared_ptr<const tmpl::Tree> tree) : tree_(std::move(tree)) {}
  std::shared_ptr<const tmpl::Tree> tree_;
};

// All parts joined.
std::string text_of(const Prompt& prompt);

}  // namespace hearth
