#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

// What a command takes, declared on CLI11's parser. Commands speak to these few functions instead of
// CLI/CLI.hpp, which takes five to ten seconds to compile wherever it is included.
namespace hearth {

// Thrown by a command that has said what there is to say: its code is the program's answer.
struct ExitCode {
  int code = 1;
};

class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option required();
  Option shows_default();  // in the help
  Option in_range(uint32_t least, uint32_t most);
  Option one_of(const std::vector<std::string>& words);
  Option excludes(Option other);
  Option one_value_each();  // of a list: what follows the first value is no other one

 private:
  CLI::Option* option_;
};

class Arguments {
 public:
  explicit Arguments(CLI::App& app) : app_(app) {}
  // names: "FILE", "-p,--prompt". The value must outlive the parser. Exists for the types that are named at
  // the end of arguments.cpp.
  template <class T>
  Option option(const std::string& names, T& value, const std::string& help);
  template <class T>
  Option flag(const std::string& names, T& value, const std::string& help);
  void alias(const std::string& name);
  void footer(const std::string& text);
  // What the command does when it was chosen and its arguments are read.
  void run(std::function<void()> command);
  // Commands of this command, of which one must be given.
  Arguments command(const std::string& name, const std::string& summary);

 private:
  CLI::App& app_;
};

}  // namespace hearth
