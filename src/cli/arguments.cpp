#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <optional>

namespace hearth {

Option Option::required() {
  option_->required();
  return *this;
}

Option Option::shows_default() {
  option_->capture_default_str();
  return *this;
}

Option Option::in_range(uint32_t least, uint32_t most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option Option::one_of(const std::vector<std::string>& words) {
  option_->check(CLI::IsMember(words));
  return *this;
}

Option Option::excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}

Option Option::one_value_each() {
  option_->allow_extra_args(false);
  return *this;
}

template <class T>
Option Arguments::option(const std::string& names, T& value, const std::string& help) {
  return Option(app_.add_option(names, value, help));
}

template <class T>
Option Arguments::flag(const std::string& names, T& value, const std::string& help) {
  return Option(app_.add_flag(names, value, help));
}

void Arguments::alias(const std::string& name) { app_.alias(name); }
void Arguments::footer(const std::string& text) { app_.footer(text); }
void Arguments::run(std::function<void()> command) { app_.callback(std::move(command)); }

Arguments Arguments::command(const std::string& name, const std::string& summary) {
  app_.require_subcommand(1);
  return Arguments(*app_.add_subcommand(name, summary));
}

template Option Arguments::option(const std::string&, std::string&, const std::string&);
template Option Arguments::option(const std::string&, std::vector<std::string>&, const std::string&);
template Option Arguments::option(const std::string&, uint32_t&, const std::string&);
template Option Arguments::option(const std::string&, std::optional<uint32_t>&, const std::string&);
template Option Arguments::option(const std::string&, std::optional<int64_t>&, const std::string&);
template Option Arguments::option(const std::string&, std::optional<double>&, const std::string&);
template Option Arguments::flag(const std::string&, bool&, const std::string&);
template Option Arguments::flag(const std::string&, std::string&, const std::string&);

}  // namespace hearth
