#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "protocol/messages.h"
#include "text/chat_template.h"
#include "text/output.h"
#include "worker/open_model.h"

namespace hearth {

// Which template renders a request, and what the model can do through it.
struct ChosenTemplate {
  const GoTemplate* go = nullptr;  // at most one of the two; neither: the texts alone
  const Template* jinja = nullptr;
  TemplateAbilities abilities;
  std::string source;   // of the chosen one
  OutputFormat format;  // how its answers are marked
};

// The templates of one model: the Jinja one in its file, and the Go ones that requests bring along, each
// parsed once.
class ChatTemplates {
 public:
  explicit ChatTemplates(const OpenModel& model) : model_(model) {}

  // Throws Error where the template that is wanted is broken, with its line and column.
  ChosenTemplate choose(const Request& request);

 private:
  ChosenTemplate choose_template_of(const Request& request);
  struct Parsed {
    GoTemplate tree;
    TemplateAbilities abilities;
  };
  const Parsed& go(const std::string& source);

  const OpenModel& model_;
  std::map<std::string, Parsed> parsed_;   // bounded
  std::set<std::string> unknown_parsers_;  // said in the log already
};

// What is asked of the template beyond the messages: refuses what the model cannot do, in the words that
// clients look for ("does not support thinking").
void check_abilities(const Request& request, const ChosenTemplate& chosen, const OpenModel& model);

// The vocabulary marks what is before and behind a hole, so that no template is needed to fill it.
bool marks_holes(const Tokenizer& tokenizer) noexcept;

// Whether the template is told to think: not set where the model cannot.
std::optional<bool> thinks(const Request& request, const ChosenTemplate& chosen);

// The request's messages as a prompt. Throws TemplateError with the template's own words, Error(bad_request).
Prompt render_chat(const Request& request, const ChosenTemplate& chosen, const Tokenizer& tokenizer);

}  // namespace hearth
