#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/prompt.h"
#include "text/template.h"

namespace hearth {

namespace gotmpl {
struct Tree;
}

// A conversation as a Go template is given it, in the words of Ollama's API.
struct Conversation {
  // Objects: role, content, thinking, images, tool_calls [{id, function {name, arguments, index}}],
  // tool_name, tool_call_id. Arguments are an object or text that holds one. What is missing or of another
  // type is empty.
  std::vector<Json> messages;
  Json tools;  // array of {type, function {name, description, parameters}}, or null

  std::string system;  // "" = none; otherwise a system message before all others

  std::optional<bool> think;  // absent: not set by the request
  std::string think_level;    // low, medium, high, max; implies think

  // Fill-in-the-middle: with both, the messages are not looked at.
  std::optional<std::string> prompt, suffix;
};

// What a model can do as far as its template tells.
struct TemplateAbilities {
  bool tools = false;     // is shown the tools
  bool thinking = false;  // marks what was thought
  bool insert = false;    // fill-in-the-middle
  bool replay = false;    // is shown earlier tool calls and their results
};

// What a template tells about the answers it expects.
struct ParserHints {
  // Text around the thinking of earlier messages, trimmed: <think>, </think>. Both or neither.
  std::string thinking_open, thinking_close;
  // What stands before the JSON of a tool call, "{" where it is bare. If it is "{" or "[", tools are to be
  // looked for only in answers whose first character that is.
  std::string tool_call = "{";
};

// A template in Go's text/template as found in Ollama's models (spec: "Go template language subset").
// Immutable: one template may be rendered by several threads at once.
class GoTemplate {
 public:
  // Throws TemplateError of kind syntax with line and column.
  static GoTemplate parse(std::string_view source);

  // The prompt of a conversation. Text of the conversation has origin `user`, also where it went through
  // functions. A template that mentions .Messages runs once; another one runs once for each round of system,
  // prompt and response, and the last run ends right behind .Response. Throws TemplateError.
  Prompt render(const Conversation& conversation, const RenderOptions& options = {}) const;

  // The template as it stands, with `data` as its dot; whole JSON numbers are integers. Objects are maps, so
  // an unknown member is no error.
  Prompt render_data(const Json& data, const RenderOptions& options = {}) const;

  TemplateAbilities abilities() const;
  ParserHints hints() const;

 private:
  explicit GoTemplate(std::shared_ptr<const gotmpl::Tree> tree) : tree_(std::move(tree)) {}
  std::shared_ptr<const gotmpl::Tree> tree_;
};

// Those of a Jinja template (which never inserts). `source` is the text that `parsed` came from.
TemplateAbilities abilities_of(const Template& parsed, std::string_view source);

enum class TemplateChoice : uint8_t { none, go, jinja };

// Which of a model's templates renders its chats; null is one that the model does not have. `go_wanted` is
// the setting GO_TEMPLATE: true prefers the Go template, false never takes it. Otherwise the Jinja template
// wins if it can strictly more of tools and thinking, or as much including tools while only it can replay
// tool calls; but never against a Go template that can replay where it cannot.
TemplateChoice choose_template(const TemplateAbilities* go, const TemplateAbilities* jinja,
                               std::optional<bool> go_wanted);

// Whether the text of a prompt begins with `text` in the template's own words: a BOS that is there already is
// not added again.
bool begins_with(const Prompt& prompt, std::string_view text);

}  // namespace hearth
