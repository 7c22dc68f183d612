#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

enum class Severity : uint8_t {
  note,     // worth knowing; nothing is lost
  warning,  // costs speed or memory, or will surprise
  problem   // a device, a backend or a model does not work
};
std::string_view to_string(Severity severity) noexcept;

// What to do: in words, and as lines that can be pasted into a shell in this order. Both may be empty:
// nothing needs to be done.
struct Fix {
  std::string text = {};
  std::vector<std::string> commands = {};
  bool on_host = false;  // the commands are for the host of this container, or for another machine

  bool empty() const noexcept { return text.empty() && commands.empty(); }
};

struct Finding {
  std::string code;         // stable: "amd.override.wrong-node"
  std::string device = {};  // PCI address; empty = the whole machine
  Severity severity = Severity::problem;
  std::string sentence = {};
  Fix fix = {};
  std::string result = {};  // what hearth does meanwhile; empty = what it did before
};

}  // namespace hearth
