#pragma once

#include "base/json.h"
#include "protocol/messages.h"

namespace hearth {

// What a body says of tools, put into the request. `choice`: absent, "auto", "none", "required" ("any"), one
// tool by its name, {"type": "function", "function": {"name"}} or {"type": …, "name"}, or some of them,
// {"type": "allowed_tools", "mode", "tools"}. Throws Error(bad_request).
void choose_tools(Request& request, const json::array& tools, const Json* choice);

}  // namespace hearth
