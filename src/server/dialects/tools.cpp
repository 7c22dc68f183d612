#include "server/dialects/tools.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "server/dialects/fields.h"

namespace hearth {
namespace {

// Of a tool or of a choice of one.
std::string name_of(const Json& tool) {
  const json::object* function = fields::object(tool, "function");
  const Json from = function != nullptr ? Json(*function) : tool;
  return fields::text(from, "name").value_or("");
}

// Those of the tools that have these names.
json::array named(const json::array& tools, const std::vector<std::string>& names) {
  json::array chosen;
  for (const Json& t : tools) {
    if (std::find(names.begin(), names.end(), name_of(t)) != names.end()) chosen.push_back(t);
  }
  if (chosen.empty()) {
    throw Error(Code::bad_request, "tool_choice names a tool that is not among the tools",
                "name one of them");
  }
  return chosen;
}

void choose_mode(Request& r, const json::array& tools, const std::string& mode) {
  if (mode == "none") return;
  r.calls.must = mode == "required" || mode == "any";
  if (!r.calls.must && mode != "auto" && !mode.empty()) {
    throw Error(Code::bad_request, fmt::format("tool_choice \"{}\" is not known", mode),
                "use auto, none, required, or name a tool");
  }
  r.tools = tools;
}

}  // namespace

void choose_tools(Request& r, const json::array& tools, const Json* choice) {
  if (tools.empty()) {
    const bool wanted = choice != nullptr && *choice != "auto" && *choice != "none";
    if (wanted)
      throw Error(Code::bad_request, "tool_choice needs tools", "send tools, or leave tool_choice out");
    return;
  }
  if (choice == nullptr) return choose_mode(r, tools, "auto");
  if (choice->is_string()) return choose_mode(r, tools, std::string(choice->as_string()));
  if (!choice->is_object()) fields::wrong_type("tool_choice", "string or object");
  const std::string type = fields::text(*choice, "type").value_or("");
  if (type == "auto" || type == "none" || type == "any" || type == "required")
    return choose_mode(r, tools, type);
  if (type == "allowed_tools") {
    const json::object* inner = fields::object(*choice, "allowed_tools");
    const Json allowed = inner != nullptr ? Json(*inner) : *choice;
    std::vector<std::string> names;
    const json::array* list = fields::list(allowed, "tools");
    for (const Json& t : list != nullptr ? *list : json::array()) names.push_back(name_of(t));
    return choose_mode(r, named(tools, names), fields::text(allowed, "mode").value_or("auto"));
  }
  r.tools = named(tools, {name_of(*choice)});
  r.calls.must = true;
}

}  // namespace hearth
