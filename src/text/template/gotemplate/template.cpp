#include "text/chat_template.h"
#include "text/template/gotemplate/evaluator.h"
#include "text/template/gotemplate/inspect.h"
#include "text/template/gotemplate/parser.h"
#include "text/template/gotemplate/variables.h"

namespace hearth {
namespace {

using gotmpl::Evaluator;
using gotmpl::Maker;
using gotmpl::Value;

// One rendering: its limits, and the text that one or more executions append to.
class Rendering {
 public:
  Rendering(const gotmpl::Tree& tree, const RenderOptions& options)
      : tree_(tree),
        meter_(options.limits),
        maker_(&meter_),
        environment_{meter_, options, maker_},
        out_(meter_, true) {}

  const Maker& maker() const { return maker_; }

  void run(const Value& dot, size_t last = Evaluator::whole) {
    Evaluator(tree_, environment_).run(dot, out_, last);
  }

  Prompt prompt() const {
    Prompt prompt;
    const tmpl::Marked& text = out_.text();
    text.pieces(0, text.size(), [&](std::string_view bytes, Origin origin) {
      prompt.push_back({std::string(bytes), origin});
    });
    return prompt;
  }

 private:
  const gotmpl::Tree& tree_;
  tmpl::Meter meter_;
  const Maker maker_;
  const gotmpl::Environment environment_;
  gotmpl::Output out_;
};

template <class Work>
Prompt rendered(const gotmpl::Tree& tree, const RenderOptions& options, Work work) {
  try {
    Rendering rendering(tree, options);
    work(rendering);
    return rendering.prompt();
  } catch (tmpl::Failure& failure) {
    throw tmpl::error_of(std::move(failure));
  }
}

// A template without .Messages sees the conversation as rounds of system, prompt and response.
class Rounds {
 public:
  Rounds(Rendering& rendering, const Conversation& conversation)
      : rendering_(rendering), conversation_(conversation) {}

  void add(const Json& message) {
    const std::string_view role = gotmpl::text_member(message, "role");
    const std::string content(gotmpl::text_member(message, "content"));
    if (role == "system") {
      if (!prompt_.empty() || !response_.empty()) run(Evaluator::whole);
      system_ = content;
    } else if (role == "user") {
      if (!response_.empty()) run(Evaluator::whole);
      prompt_ = content;
    } else if (role == "assistant") {
      response_ = content;
    }
  }

  // Nodes behind `last` are left out.
  void run(size_t last) {
    const Maker& maker = rendering_.maker();
    rendering_.run(gotmpl::variables(maker, conversation_,
                                     {{"System", maker.text(system_, Origin::user)},
                                      {"Prompt", maker.text(prompt_, Origin::user)},
                                      {"Response", maker.text(response_, Origin::user)}}),
                   last);
    system_.clear();
    prompt_.clear();
    response_.clear();
  }

 private:
  Rendering& rendering_;
  const Conversation& conversation_;
  std::string system_, prompt_, response_;
};

void render_conversation(const gotmpl::Tree& tree, const Conversation& conversation, Rendering& rendering) {
  const Maker& maker = rendering.maker();
  const auto text = [&](const std::string& bytes) { return maker.text(bytes, Origin::user); };
  if (conversation.prompt && conversation.suffix) {
    return rendering.run(gotmpl::variables(maker, conversation,
                                           {{"Prompt", text(*conversation.prompt)},
                                            {"Suffix", text(*conversation.suffix)},
                                            {"Response", text("")}}));
  }
  const std::vector<Json> messages = gotmpl::collated(conversation);
  if (tree.names.field("Messages")) {
    return rendering.run(gotmpl::variables(maker, conversation,
                                           {{"System", text(gotmpl::system_of(messages))},
                                            {"Messages", gotmpl::messages_value(maker, messages)},
                                            {"Tools", gotmpl::tools_value(maker, conversation.tools)},
                                            {"Response", text("")}}));
  }
  Rounds rounds(rendering, conversation);
  for (const Json& message : messages) rounds.add(message);
  rounds.run(gotmpl::response_offset(tree));
}

}  // namespace

GoTemplate GoTemplate::parse(std::string_view source) {
  auto tree = std::make_shared<gotmpl::Tree>();
  try {
    *tree = gotmpl::parse(source);
    tree->names = gotmpl::names_of(*tree);
    if (!tree->names.field("Messages") && !tree->names.field("Response")) gotmpl::append_response(*tree);
  } catch (tmpl::Failure& failure) {
    throw tmpl::error_of(std::move(failure));
  }
  return GoTemplate(std::move(tree));
}

Prompt GoTemplate::render(const Conversation& conversation, const RenderOptions& options) const {
  return rendered(*tree_, options,
                  [&](Rendering& rendering) { render_conversation(*tree_, conversation, rendering); });
}

Prompt GoTemplate::render_data(const Json& data, const RenderOptions& options) const {
  return rendered(*tree_, options, [&](Rendering& rendering) {
    const Value dot =
        rendering.maker().import(data, Maker::Numbers::natural, gotmpl::Style::plain, Origin::user);
    rendering.run(dot, tree_->source_size);
  });
}

TemplateAbilities GoTemplate::abilities() const {
  const gotmpl::Names& names = tree_->names;
  return {names.field("Tools"), !hints().thinking_open.empty(), names.field("Suffix"),
          names.field("ToolCalls") && names.text("tool")};
}

ParserHints GoTemplate::hints() const { return gotmpl::hints_of(*tree_); }

}  // namespace hearth
