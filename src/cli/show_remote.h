#pragma once

#include <string>

namespace hearth {

// `hearth show` of a model that a server has. `part`: "license", "modelfile", "parameters", "system" or
// "template" for that text alone; empty for the overview.
void show_remote(const std::string& model, const std::string& part, bool verbose);

}  // namespace hearth
