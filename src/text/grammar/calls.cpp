// Calls of tools as a grammar.
#include "text/grammar/calls.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/grammar/frame.h"
#include "text/grammar/schema.h"
#include "text/grammar/schema_compiler.h"

namespace hearth::grammar {
namespace {

struct Parameter {
  std::string name;
  bool required = false, text = false;  // text: it is spelt without quotes
  std::vector<std::string> words;       // the only texts there are; empty: any
  size_t part = 0;                      // of the joined tree, where it is no text
};

struct Tool {
  std::string name;
  size_t part = 0;  // of the joined tree: all its arguments
  std::vector<Parameter> parameters;
};

const Json* member(const Json* from, std::string_view key) {
  return from != nullptr && from->is_object() ? from->get_object().if_contains(key) : nullptr;
}

// References of a schema that now stands further down in a document.
void move_references(Json& schema, const std::string& to) {
  if (auto* object = schema.if_object()) {
    for (auto& [key, value] : *object) {
      const bool reference = key == "$ref" && value.is_string() && value.get_string().starts_with("#");
      if (reference) {
        value = to + std::string(std::string_view(value.get_string()).substr(1));
      } else {
        move_references(value, to);
      }
    }
  } else if (auto* list = schema.if_array()) {
    for (Json& value : *list) move_references(value, to);
  }
}

bool can_be_kept(const Json& schema) {
  try {
    schema_tree(schema);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// A tool's parameters as a schema that can be kept.
Json parameters_of(const Json& function, const std::string& name) {
  const Json* given = member(&function, "parameters");
  Json schema = given != nullptr && given->is_object() ? *given : Json(json::object());
  json::object& o = schema.as_object();
  const Json* properties = o.if_contains("properties");
  const bool named = properties != nullptr && properties->is_object() && !properties->get_object().empty();
  o["type"] = "object";
  if (!named && !o.contains("additionalProperties") && !o.contains("$ref")) o["additionalProperties"] = false;
  const Json* strict = member(&function, "strict");
  if (strict != nullptr && *strict == true) {
    try {
      schema_tree(schema);
    } catch (const Error& e) {
      throw Error(Code::bad_request, fmt::format("the parameters of the tool \"{}\": {}", name, e.message),
                  e.remedy);
    }
  }
  return can_be_kept(schema) ? schema : Json(json::object{{"type", "object"}});
}

// A document with the parameters of all tools, and where in it they are.
class Document {
 public:
  Document(const Json& list, bool apart) {
    for (const Json& t : list.as_array()) {
      const Json* function = member(&t, "function");
      const Json* name = member(function, "name");
      if (name == nullptr || !name->is_string()) continue;
      Json schema = parameters_of(*function, std::string(name->get_string()));
      const std::string place = fmt::format("#/$defs/{}", tools.size());
      move_references(schema, place);
      Tool tool{std::string(name->get_string()), 0, {}};
      if (apart) {
        add_parameters(tool, schema.as_object(), place);
      } else {
        tool.part = add(place);
      }
      schemas_.emplace(std::to_string(tools.size()), std::move(schema));
      tools.push_back(std::move(tool));
    }
    root = json::object{{"$defs", schemas_}};
  }

  Json root;
  std::vector<std::string> places;
  std::vector<Tool> tools;

 private:
  size_t add(const std::string& place) {
    places.push_back(place);
    return places.size() - 1;
  }

  void add_parameters(Tool& tool, const json::object& schema, const std::string& place) {
    const Json whole = schema;
    const Json* properties = member(&whole, "properties");
    if (properties == nullptr || !properties->is_object()) return;
    for (const auto& [key, value] : properties->get_object()) {
      Parameter p;
      p.name = key;
      if (const Json* required = member(&whole, "required"); required != nullptr && required->is_array()) {
        for (const Json& r : required->get_array()) p.required = p.required || r == key;
      }
      const Json* type = member(&value, "type");
      p.text = type != nullptr && *type == "string";
      if (const Json* words = member(&value, "enum"); p.text && words != nullptr && words->is_array()) {
        for (const Json& w : words->get_array()) {
          if (w.is_string()) p.words.emplace_back(w.get_string());
        }
      }
      if (!p.text) p.part = add(pointer(inside(inside(place, "properties"), key)));
      tool.parameters.push_back(std::move(p));
    }
  }

  // Pointers in references are escaped as parts of addresses are.
  static std::string pointer(const std::string& place) {
    std::string out;
    for (const char c : place) out += c == '%' ? "%25" : std::string(1, c);
    return out;
  }

  json::object schemas_;
};

class CallRules {
 public:
  CallRules(Tree& tree, JsonRules& rules, const std::vector<NodeId>& parts, const OutputFormat& format)
      : tree_(tree), rules_(rules), parts_(parts), format_(format) {}

  // One call of any of the tools, from behind the opening tag to its closing tag.
  NodeId call(const std::vector<Tool>& tools) {
    std::vector<NodeId> ways;
    ways.reserve(tools.size());
    for (const Tool& tool : tools) ways.push_back(body(tool));
    NodeId one = tree_.rule("call", tree_.choice(std::move(ways)));
    const bool lists = format_.calls == CallStyle::tagged && format_.call_close.empty();
    if (lists || format_.calls == CallStyle::bare || format_.name_key != "name")
      one = tree_.choice({one, rules_.list('[', one, 1, unbounded, ']')});
    if (format_.call_close.empty()) return tree_.sequence({gap(tree_), one});
    return tree_.sequence({gap(tree_), one, gap(tree_), text(format_.call_close)});
  }

  NodeId opening() { return format_.calls == CallStyle::bare ? tree_.empty() : text(format_.call_open); }

  // A call as a message of its own.
  NodeId message(const std::vector<Tool>& tools) {
    std::vector<NodeId> ways;
    for (const Tool& tool : tools) {
      const NodeId name = text(" to=functions." + tool.name);
      const NodeId head = tree_.choice({tree_.sequence({text("<|channel|>commentary"), name}),
                                        tree_.sequence({name, text("<|channel|>commentary")})});
      const NodeId kind = tree_.optional(
          tree_.sequence({tree_.optional(text(" ")), tree_.optional(text("<|constrain|>")), text("json")}));
      ways.push_back(tree_.sequence({head, kind, text("<|message|>"), parts_[tool.part]}));
    }
    return tree_.choice(std::move(ways));
  }

 private:
  NodeId text(std::string bytes) { return tree_.literal(std::move(bytes)); }
  NodeId key(const std::string& name) { return text(json_string(name)); }

  NodeId body(const Tool& tool) {
    switch (format_.calls) {
      case CallStyle::named: return tree_.sequence({text(tool.name + "[ARGS]"), parts_[tool.part]});
      case CallStyle::separated: return separated(tool);
      case CallStyle::functions: return function(tool);
      case CallStyle::keyed: return keyed(tool);
      case CallStyle::python: return python(tool);
      default: return object(tool);
    }
  }

  NodeId object(const Tool& tool) {
    std::vector<NodeId> list{text("{"), rules_.space()};
    if (format_.name_key != "name") {  // these number their calls
      list.push_back(tree_.optional(
          tree_.sequence({rules_.member(key("tool_call_id"), rules_.string()), rules_.comma()})));
    }
    list.insert(list.end(),
                {rules_.member(key(format_.name_key), key(tool.name)), rules_.comma(),
                 rules_.member(key(format_.arguments_key), parts_[tool.part]), rules_.space(), text("}")});
    return tree_.sequence(std::move(list));
  }

  // Two spellings: a bare name, or the kind of call, the name and a block of JSON; a third one numbers.
  NodeId separated(const Tool& tool) {
    const NodeId arguments = parts_[tool.part], separator = text(format_.separator);
    const NodeId plain = tree_.sequence({text(tool.name), separator, arguments});
    const NodeId digits = tree_.repeat(tree_.set(CodepointSet({{'0', '9'}})), 1, 3);
    const NodeId numbered =
        tree_.sequence({text("functions." + tool.name + ":"), digits, separator, arguments});
    const NodeId block = tree_.sequence(
        {text("function"), separator, text(tool.name + "\n```json\n"), arguments, text("\n```")});
    return format_.call_open.starts_with("<|") ? numbered : tree_.choice({plain, block});
  }

  NodeId value(const Parameter& p, const std::string& end) {
    if (!p.text) return tree_.sequence({parts_[p.part], gap(tree_), text(end)});
    if (p.words.empty()) return text_through(tree_, end);
    std::vector<NodeId> words;
    for (const std::string& w : p.words) words.push_back(text(w));
    return tree_.sequence({tree_.choice(std::move(words)), gap(tree_), text(end)});
  }

  template <class Spell>
  NodeId all(const Tool& tool, Spell spell) {
    std::vector<NodeId> list;
    for (const Parameter& p : tool.parameters) {
      const NodeId one = spell(p);
      list.push_back(p.required ? one : tree_.optional(one));
    }
    return list.empty() ? tree_.empty() : tree_.sequence(std::move(list));
  }

  NodeId function(const Tool& tool) {
    const NodeId parameters = all(tool, [&](const Parameter& p) {
      return tree_.sequence({text("<parameter=" + p.name + ">\n"), value(p, "</parameter>"), gap(tree_)});
    });
    return tree_.sequence(
        {text("<function=" + tool.name + ">"), gap(tree_), parameters, text("</function>")});
  }

  NodeId keyed(const Tool& tool) {
    const NodeId parameters = all(tool, [&](const Parameter& p) {
      return tree_.sequence({text("<arg_key>" + p.name + "</arg_key>"), gap(tree_), text("<arg_value>"),
                             value(p, "</arg_value>"), gap(tree_)});
    });
    return tree_.sequence({text(tool.name), gap(tree_), parameters});
  }

  // Values are written as in JSON, which is Python but for three words that are read in either spelling.
  NodeId python(const Tool& tool) {
    NodeId arguments = tree_.empty();
    // From the last parameter to the first: what may follow one that is written begins with a comma.
    NodeId more = tree_.empty();
    for (size_t i = tool.parameters.size(); i-- > 0;) {
      const Parameter& p = tool.parameters[i];
      const NodeId spelt = tree_.sequence({text(p.name + "="), literal(p)});
      const NodeId first = tree_.sequence({spelt, more});
      const NodeId next = tree_.sequence({text(", "), spelt, more});
      arguments = p.required ? first : tree_.choice({first, arguments});
      more = tree_.rule(p.name, p.required ? next : tree_.choice({next, more}));
    }
    const NodeId one = tree_.sequence({text(tool.name + "("), arguments, text(")")});
    return tree_.choice({one, tree_.sequence({text("["), one, text("]")})});
  }
  NodeId literal(const Parameter& p) {
    if (!p.text) return parts_[p.part];
    if (p.words.empty()) return rules_.string();
    std::vector<NodeId> words;
    for (const std::string& w : p.words) words.push_back(key(w));
    return tree_.choice(std::move(words));
  }

  Tree& tree_;
  JsonRules& rules_;
  const std::vector<NodeId>& parts_;
  const OutputFormat& format_;
};

NodeId in_channels(Tree& tree, CallRules& calls, const std::vector<Tool>& tools, bool must) {
  const NodeId call = calls.message(tools), earlier = earlier_messages(tree);
  if (must) return tree.sequence({earlier, call});
  const NodeId any = tree.repeat(tree.set(CodepointSet::all()), 0, unbounded);
  const NodeId kind = tree.choice({tree.literal("final"), tree.literal("commentary")});
  const NodeId text = tree.sequence({tree.literal("<|channel|>"), kind, tree.literal("<|message|>"), any});
  return tree.sequence({earlier, tree.choice({call, text})});
}

}  // namespace

std::optional<Tree> calls_tree(const OutputFormat& format, const Json& tools, const CallDemand& demand,
                               const GrammarFrame& frame) {
  if (format.calls == CallStyle::none || !tools.is_array()) return std::nullopt;
  if (format.calls == CallStyle::bare && !demand.must) return std::nullopt;
  const bool apart = format.calls == CallStyle::functions || format.calls == CallStyle::keyed ||
                     format.calls == CallStyle::python;
  const Document document(tools, apart);
  if (document.tools.empty()) return std::nullopt;
  return SchemaCompiler(document.root)
      .join(document.places, [&](Tree& tree, JsonRules& rules, const std::vector<NodeId>& parts) {
        CallRules calls(tree, rules, parts, format);
        if (format.calls == CallStyle::channels) return in_channels(tree, calls, document.tools, demand.must);
        const NodeId one = tree.rule("tagged call", calls.call(document.tools));
        const bool wraps = !format.wrap_open.empty();
        const auto wrap = [&](const std::string& marker) {
          return wraps ? tree.sequence({tree.literal(marker), gap(tree)}) : tree.empty();
        };
        const NodeId next = tree.sequence({gap(tree), calls.opening(), one});
        const bool several = demand.several && format.calls != CallStyle::bare;
        const NodeId more = several ? tree.repeat(next, 0, unbounded) : tree.empty();
        const NodeId end = tree.sequence({more, gap(tree), tree.optional(wrap(format.wrap_close))});
        if (demand.must) {
          const NodeId calls_only =
              tree.sequence({gap(tree), tree.optional(wrap(format.wrap_open)), calls.opening(), one, end});
          return with_thinking(tree, calls_only, frame);
        }
        const NodeId free = text_then(tree, format.call_open, tree.sequence({one, end}));
        return with_thinking(tree, free, frame);
      });
}

}  // namespace hearth::grammar
