#include "text/template/jinja/given.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::tmpl::jinja {

Given::Given(std::string_view callee, const Args& args, std::initializer_list<std::string_view> parameters,
             size_t required)
    : callee_(callee) {
  std::copy(parameters.begin(), parameters.end(), parameters_.begin());
  if (args.positional.size() > parameters.size()) {
    fail_type(fmt::format("{}() takes at most {} argument(s), {} given", callee, parameters.size(),
                          args.positional.size()));
  }
  for (size_t i = 0; i < args.positional.size(); ++i) values_[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    const auto* found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end()) fail_type(fmt::format("{}() has no argument '{}'", callee, name));
    const Value*& slot = values_[static_cast<size_t>(found - parameters.begin())];
    if (slot) fail_type(fmt::format("{}() got two values for '{}'", callee, name));
    slot = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!values_[i]) fail_type(fmt::format("{}() needs the argument '{}'", callee, parameters_[i]));
  }
}

int64_t Given::integer(size_t index, int64_t fallback) const {
  if (!set(index)) return fallback;
  require_defined(*values_[index]);
  const auto value = small_integer(*values_[index]);
  if (!value) {
    fail_type(fmt::format("{}(): '{}' must be an integer, not {}", callee_, parameters_[index],
                          type_name(*values_[index])));
  }
  return *value;
}

const Text& Given::text(size_t index) const {
  if (!has(index) || !values_[index]->is_text()) {
    fail_type(fmt::format("{}(): '{}' must be a string, not {}", callee_, parameters_[index],
                          has(index) ? type_name(*values_[index]) : "nothing"));
  }
  return values_[index]->text();
}

}  // namespace hearth::tmpl::jinja
