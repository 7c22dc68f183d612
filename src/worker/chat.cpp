#include "worker/chat.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>

namespace hearth {
namespace {

std::string piece_of(const Tokenizer& tokenizer, std::optional<TokenId> token) {
  return token ? std::string(tokenizer.piece(*token)) : std::string();
}

// What a template does not take in one shape it may take in another: these are tried in order.
struct Shape {
  bool null_content = false;    // of messages that only call tools
  bool text_arguments = false;  // of tool calls, instead of an object
  bool system_apart = true;     // else its text stands in front of the first user message
};
constexpr std::array shapes{Shape{true, false, true}, Shape{false, false, true}, Shape{false, true, true},
                            Shape{false, false, false}};

json::array calls_json(const ChatMessage& m, bool text_arguments) {
  json::array calls;
  for (const ToolCall& c : m.tool_calls) {
    Json arguments = c.arguments;
    if (text_arguments && !arguments.is_string()) arguments = json::serialize(arguments);
    json::object function{{"name", c.name}, {"arguments", std::move(arguments)}, {"index", calls.size()}};
    calls.push_back({{"id", c.id}, {"type", "function"}, {"function", std::move(function)}});
  }
  return calls;
}

json::object message_json(const ChatMessage& m, const Shape& shape) {
  json::object o{{"role", m.role}, {"content", m.content}};
  if (shape.null_content && m.content.empty() && !m.tool_calls.empty()) o["content"] = nullptr;
  if (!m.thinking.empty()) {
    o["thinking"] = m.thinking;
    o["reasoning_content"] = m.thinking;
  }
  if (!m.tool_calls.empty()) o["tool_calls"] = calls_json(m, shape.text_arguments);
  if (!m.tool_name.empty()) {
    o["name"] = m.tool_name;
    o["tool_name"] = m.tool_name;
  }
  if (!m.tool_call_id.empty()) o["tool_call_id"] = m.tool_call_id;
  return o;
}

// Templates that know no system message raise; then its text goes in front of the first user message.
std::vector<ChatMessage> without_system(const std::vector<ChatMessage>& messages) {
  std::vector<ChatMessage> rest;
  std::string system;
  for (const ChatMessage& m : messages) {
    if (m.role == "system") {
      system += m.content + "\n\n";
      continue;
    }
    rest.push_back(m);
    if (m.role == "user" && !system.empty()) {
      rest.back().content = system + m.content;
      system.clear();
    }
  }
  return rest;
}

// Where everything lies in channels, thinking has three levels and cannot be switched off.
std::string level_of(const Request& request, const ChosenTemplate& chosen) {
  const bool highest = chosen.format.calls == CallStyle::channels && request.think.level == "max";
  return highest ? "high" : request.think.level;
}

json::object jinja_context(const Request& request, const ChosenTemplate& chosen, const Tokenizer& tokenizer,
                           const Shape& shape) {
  json::array list;
  const auto messages = shape.system_apart ? request.messages : without_system(request.messages);
  for (const ChatMessage& m : messages) list.push_back(message_json(m, shape));
  json::object context{{"messages", std::move(list)},
                       {"tools", request.tools},
                       {"documents", nullptr},
                       {"add_generation_prompt", true},
                       {"bos_token", piece_of(tokenizer, tokenizer.bos())},
                       {"eos_token", piece_of(tokenizer, tokenizer.eos())}};
  if (const auto think = thinks(request, chosen)) {
    context["enable_thinking"] = *think;
    context["thinking"] = *think;
  }
  if (const std::string level = level_of(request, chosen); !level.empty())
    context["reasoning_effort"] = level;
  return context;
}

Prompt render_jinja(const Request& request, const ChosenTemplate& chosen, const Tokenizer& tokenizer) {
  std::optional<TemplateError> first;
  for (const Shape& shape : shapes) {
    try {
      return chosen.jinja->render(jinja_context(request, chosen, tokenizer, shape));
    } catch (const TemplateError& e) {
      if (e.kind == TemplateError::Kind::limit) throw;
      if (!first) first = e;
    }
  }
  throw *first;
}

Prompt render_go(const Request& request, const ChosenTemplate& chosen) {
  Conversation c;
  c.tools = request.tools;
  c.think = thinks(request, chosen);
  c.think_level = level_of(request, chosen);
  if (request.suffix) {
    std::string before;
    for (const NamedText& t : request.around) before += t.name + "\n" + t.text + "\n";
    c.prompt = before + request.raw.value_or("");
    c.suffix = request.suffix;
    return chosen.go->render(c);
  }
  for (const ChatMessage& m : request.messages) c.messages.emplace_back(message_json(m, Shape{}));
  return chosen.go->render(c);
}

// What a Go template writes around the thinking and before the calls of earlier messages, where its text has
// none of the marks that are known.
void add_hints(const ParserHints& hints, OutputFormat& format) {
  if (format.think_close.empty() && !hints.thinking_open.empty() && format.calls != CallStyle::channels) {
    format.think_open = hints.thinking_open;
    format.think_close = hints.thinking_close;
  }
  std::string tag = hints.tool_call;
  while (!tag.empty() && (tag.back() == '[' || tag.back() == '{' || tag.back() == ' ' || tag.back() == '\n'))
    tag.pop_back();
  if (format.calls != CallStyle::bare || tag.empty()) return;
  format.calls = CallStyle::tagged;
  format.call_open = tag;
  format.call_close.clear();
}

// Text before and behind a hole between the vocabulary's own marks (Bavarian et al. 2022, "prefix, suffix,
// middle"); other files in front, as models are trained on whole projects (Hui et al. 2024).
Prompt render_hole(const Request& request, const Tokenizer& tokenizer) {
  const SpecialTokens& s = tokenizer.special();
  const auto mark = [&](std::optional<TokenId> token) {
    return Part{piece_of(tokenizer, token), Origin::model};
  };
  const bool files = s.fim_sep.has_value();
  Prompt prompt;
  for (const NamedText& t : request.around) {
    if (files) prompt.push_back(mark(s.fim_sep));
    prompt.push_back({(t.name.empty() ? "" : t.name + "\n") + t.text + "\n", Origin::user});
  }
  if (files && !request.around.empty()) prompt.push_back(mark(s.fim_sep));
  prompt.push_back(mark(s.fim_pre));
  prompt.push_back({request.raw.value_or(""), Origin::user});
  prompt.push_back(mark(s.fim_suf));
  prompt.push_back({*request.suffix, Origin::user});
  prompt.push_back(mark(s.fim_mid));
  return prompt;
}

Prompt texts_alone(const Request& request) {
  Prompt prompt;
  for (const ChatMessage& m : request.messages) {
    if (!prompt.empty()) prompt.push_back({"\n", Origin::model});
    prompt.push_back({m.content, Origin::user});
  }
  return prompt;
}

}  // namespace

const ChatTemplates::Parsed& ChatTemplates::go(const std::string& source) {
  const auto known = parsed_.find(source);
  if (known != parsed_.end()) return known->second;
  constexpr size_t most = 16;
  if (parsed_.size() >= most) parsed_.clear();
  try {
    GoTemplate tree = GoTemplate::parse(source);
    const TemplateAbilities abilities = tree.abilities();
    return parsed_.emplace(source, Parsed{std::move(tree), abilities}).first->second;
  } catch (const TemplateError& e) {
    throw Error(Code::bad_request, fmt::format("template error: {}", e.message), "correct the template");
  }
}

ChosenTemplate ChatTemplates::choose(const Request& request) {
  ChosenTemplate chosen = choose_template_of(request);
  chosen.format = format_of_template(chosen.source);
  if (chosen.go != nullptr) add_hints(chosen.go->hints(), chosen.format);
  if (const auto named = format_of_parser(request.parser)) {
    chosen.format = *named;
    chosen.abilities.tools = chosen.abilities.tools || named->calls != CallStyle::none;
    chosen.abilities.thinking = chosen.abilities.thinking || !named->think_close.empty();
  } else if (!request.parser.empty() && unknown_parsers_.insert(request.parser).second) {
    std::fprintf(stderr, "the parser \"%s\" is not known here: answers are read as the template tells\n",
                 request.parser.c_str());
  }
  if (chosen.format.calls == CallStyle::channels) chosen.abilities.thinking = true;
  return chosen;
}

ChosenTemplate ChatTemplates::choose_template_of(const Request& request) {
  const auto chosen_go = [&](const std::string& source) {
    const Parsed& p = go(source);
    return ChosenTemplate{&p.tree, nullptr, p.abilities, source, {}};
  };
  if (request.template_text) return chosen_go(*request.template_text);
  if (request.suffix && request.go_template && go(*request.go_template).abilities.insert)
    return chosen_go(*request.go_template);
  if (request.suffix && marks_holes(*model_.tokenizer)) return {};
  TemplateAbilities jinja;
  if (model_.chat) jinja = abilities_of(*model_.chat, model_.template_source);
  const Parsed* own = request.go_template ? &go(*request.go_template) : nullptr;
  switch (choose_template(own != nullptr ? &own->abilities : nullptr, model_.chat ? &jinja : nullptr,
                          request.prefer_go)) {
    case TemplateChoice::go: return chosen_go(*request.go_template);
    case TemplateChoice::jinja: return {nullptr, &*model_.chat, jinja, model_.template_source, {}};
    case TemplateChoice::none: break;
  }
  if (!model_.template_problem.empty()) {
    throw Error(
        Code::unsupported,
        fmt::format("the chat template of {} cannot be used: {}", model_.name, model_.template_problem),
        "use another file of this model, or send a raw prompt");
  }
  return {};
}

bool marks_holes(const Tokenizer& tokenizer) noexcept {
  const SpecialTokens& s = tokenizer.special();
  return s.fim_pre && s.fim_suf && s.fim_mid;
}

void check_abilities(const Request& request, const ChosenTemplate& chosen, const OpenModel& model) {
  const std::string& name = request.model.empty() ? model.name : request.model;
  if (request.think.set && request.think.on && !request.think.if_able && !chosen.abilities.thinking) {
    throw Error(Code::bad_request, fmt::format("\"{}\" does not support thinking", name),
                "leave \"think\" out or use a model that thinks");
  }
  const bool tools = request.tools.is_array() && !request.tools.as_array().empty();
  const std::string& full = request.full_model.empty() ? name : request.full_model;
  if (tools && !chosen.abilities.tools) {
    throw Error(Code::bad_request, fmt::format("{} does not support tools", full),
                "leave \"tools\" out or use a model whose template shows them");
  }
  if (request.suffix && !chosen.abilities.insert && !marks_holes(*model.tokenizer)) {
    throw Error(
        Code::bad_request, fmt::format("{} does not support insert", full),
        "leave \"suffix\" out or use a model whose template has a .Suffix, or whose vocabulary marks holes");
  }
}

std::optional<bool> thinks(const Request& request, const ChosenTemplate& chosen) {
  if (!chosen.abilities.thinking) return std::nullopt;
  if (request.think_budget == 0U) return false;
  return request.think.set ? request.think.on : true;
}

Prompt render_chat(const Request& request, const ChosenTemplate& chosen, const Tokenizer& tokenizer) {
  if (request.suffix && !(chosen.go != nullptr && chosen.abilities.insert))
    return render_hole(request, tokenizer);
  if (chosen.go != nullptr) return render_go(request, chosen);
  if (chosen.jinja == nullptr) return texts_alone(request);
  // The text of a last assistant message is the beginning of the answer.
  if (request.messages.size() > 1 && request.messages.back().role == "assistant" &&
      request.messages.back().tool_calls.empty()) {
    Request before = request;
    before.messages.pop_back();
    Prompt prompt = render_jinja(before, chosen, tokenizer);
    prompt.push_back({request.messages.back().content, Origin::user});
    return prompt;
  }
  return render_jinja(request, chosen, tokenizer);
}

}  // namespace hearth
