#include "text/template/gotemplate/inspect.h"

#include <algorithm>

namespace hearth::gotmpl {
namespace {

bool mentions(const Pipeline& pipeline, std::string_view field);

bool mentions(const Operand& operand, std::string_view field) {
  if (operand.pipeline && mentions(*operand.pipeline, field)) return true;
  return std::find(operand.fields.begin(), operand.fields.end(), field) != operand.fields.end();
}

bool mentions(const Pipeline& pipeline, std::string_view field) {
  for (const Command& command : pipeline.commands) {
    for (const Operand& word : command.words) {
      if (mentions(word, field)) return true;
    }
  }
  return false;
}

// Calls visit(node, siblings, index) for each node of a body and of those in it, in the order of the source.
// It stops where visit answers false.
template <class Visit>
bool walk(const Body& body, const Visit& visit) {
  for (size_t i = 0; i < body.size(); ++i) {
    if (!visit(body[i], body, i)) return false;
    if (const auto* branch = std::get_if<BranchNode>(&body[i].what)) {
      for (const auto& each : branch->branches) {
        if (!walk(each.body, visit)) return false;
      }
      if (!walk(branch->otherwise, visit)) return false;
    } else if (const auto* range = std::get_if<RangeNode>(&body[i].what)) {
      if (!walk(range->body, visit) || !walk(range->otherwise, visit)) return false;
    }
  }
  return true;
}

// ---- names ----

class Collector {
 public:
  explicit Collector(const Tree& tree) : tree_(tree), seen_(tree.definitions.size()) {}

  Names collect() {
    std::vector<size_t> todo{0};
    while (!todo.empty()) {
      const size_t definition = todo.back();
      todo.pop_back();
      if (seen_[definition]) continue;
      seen_[definition] = true;
      walk(tree_.definitions[definition].body, [&](const Node& node, const Body&, size_t) {
        add(node);
        if (const auto* call = std::get_if<CallNode>(&node.what)) todo.push_back(call->definition);
        return true;
      });
    }
    return std::move(names_);
  }

 private:
  void add(const Node& node) {
    if (const auto* action = std::get_if<ActionNode>(&node.what)) add(action->pipeline);
    if (const auto* range = std::get_if<RangeNode>(&node.what)) add(range->pipeline);
    if (const auto* call = std::get_if<CallNode>(&node.what)) add(call->argument);
    if (const auto* branch = std::get_if<BranchNode>(&node.what)) {
      for (const auto& each : branch->branches) add(each.pipeline);
    }
  }
  void add(const Pipeline& pipeline) {
    for (const Command& command : pipeline.commands) {
      for (const Operand& word : command.words) {
        if (word.pipeline) add(*word.pipeline);
        if (const Text* text = text_in(word.literal)) names_.texts.emplace(text->view());
        names_.fields.insert(word.fields.begin(), word.fields.end());
      }
    }
  }

  const Tree& tree_;
  std::vector<bool> seen_;
  Names names_;
};

// ---- hints ----

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const size_t from = std::min(text.find_first_not_of(blanks), text.size());
  return text.substr(from, text.find_last_not_of(blanks) + 1 - from);
}

std::string_view text_at(const Body& body, size_t index) {
  const auto* node = index < body.size() ? std::get_if<TextNode>(&body[index].what) : nullptr;
  return node ? trimmed(node->text->view()) : std::string_view();
}

// The last line before and the first line behind what prints .Thinking: other lines belong to the turn.
bool find_thinking(const Body& body, ParserHints& hints) {
  return !walk(body, [&](const Node& node, const Body& siblings, size_t index) {
    const auto* action = std::get_if<ActionNode>(&node.what);
    if (!action || !action->pipeline.slots.empty() || !mentions(action->pipeline, "Thinking")) return true;
    std::string_view open = text_at(siblings, index - 1);
    std::string_view close = text_at(siblings, index + 1);
    open = trimmed(open.substr(open.rfind('\n') + 1));
    close = trimmed(close.substr(0, close.find('\n')));
    if (open.empty() || close.empty()) return true;
    hints.thinking_open = open;
    hints.thinking_close = close;
    return false;
  });
}

void find_thinking(const Tree& tree, ParserHints& hints) {
  walk(tree.definitions.front().body, [&](const Node& node, const Body&, size_t) {
    const auto* range = std::get_if<RangeNode>(&node.what);
    return !(range && mentions(range->pipeline, "Messages") && find_thinking(range->body, hints));
  });
}

// The first text of a body that is not blank.
std::string_view first_text(const Body& body) {
  std::string_view found;
  walk(body, [&](const Node&, const Body& siblings, size_t index) {
    found = text_at(siblings, index);
    return found.empty();
  });
  return found;
}

void find_tool_call(const Tree& tree, ParserHints& hints) {
  walk(tree.definitions.front().body, [&](const Node& node, const Body&, size_t) {
    const auto* branch = std::get_if<BranchNode>(&node.what);
    if (!branch || branch->with) return true;
    for (const auto& each : branch->branches) {
      if (!mentions(each.pipeline, "ToolCalls")) continue;
      const std::string_view text = first_text(each.body);
      const std::string_view tag = trimmed(text.substr(0, text.find('{')));
      if (!tag.empty()) hints.tool_call = tag;
      return false;
    }
    return true;
  });
}

}  // namespace

Names names_of(const Tree& tree) { return Collector(tree).collect(); }

void append_response(Tree& tree) {
  Operand word;
  word.fields.emplace_back("Response");
  Command command;
  command.words.push_back(std::move(word));
  ActionNode action;
  action.pipeline.commands.push_back(std::move(command));
  tree.definitions.front().body.push_back({{}, tree.source_size + 1, std::move(action)});
}

size_t response_offset(const Tree& tree) {
  size_t found = static_cast<size_t>(-1);
  walk(tree.definitions.front().body, [&](const Node& node, const Body&, size_t) {
    const auto* action = std::get_if<ActionNode>(&node.what);
    if (!action || !mentions(action->pipeline, "Response")) return true;
    found = node.offset;
    return false;
  });
  return found;
}

ParserHints hints_of(const Tree& tree) {
  ParserHints hints;
  find_thinking(tree, hints);
  find_tool_call(tree, hints);
  return hints;
}

}  // namespace hearth::gotmpl
