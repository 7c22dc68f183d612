// Go or Jinja, and what a Jinja template can do.
#include "text/chat_template.h"

namespace hearth {

TemplateAbilities abilities_of(const Template& parsed, std::string_view source) {
  const auto has = [&](std::string_view text) { return source.find(text) != std::string_view::npos; };
  const Mentions& mentions = parsed.mentions();
  TemplateAbilities abilities;
  abilities.tools = mentions.variable("tools") || has("tool_call");
  abilities.thinking =
      has("</think>") && (has("<think>") || has("split('</think>')") || has("split(\"</think>\")"));
  abilities.replay = mentions.attribute("tool_calls") && mentions.compares("tool");
  return abilities;
}

TemplateChoice choose_template(const TemplateAbilities* go, const TemplateAbilities* jinja,
                               std::optional<bool> go_wanted) {
  if (go && go_wanted == true) return TemplateChoice::go;
  if (go_wanted == false) go = nullptr;
  if (!go || !jinja) return go ? TemplateChoice::go : jinja ? TemplateChoice::jinja : TemplateChoice::none;
  const bool covers = jinja->tools >= go->tools && jinja->thinking >= go->thinking;
  const bool equals = jinja->tools == go->tools && jinja->thinking == go->thinking;
  const bool only_go_replays = go->replay && !jinja->replay;
  const bool only_jinja_replays = jinja->replay && !go->replay;
  if (covers && !equals && !only_go_replays) return TemplateChoice::jinja;
  if (equals && go->tools && only_jinja_replays) return TemplateChoice::jinja;
  return TemplateChoice::go;
}

bool begins_with(const Prompt& prompt, std::string_view text) {
  return !text.empty() && !prompt.empty() && prompt.front().origin == Origin::model &&
         std::string_view(prompt.front().text).substr(0, text.size()) == text;
}

}  // namespace hearth
