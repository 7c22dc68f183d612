#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/template/failure.h"
#include "text/template/gotemplate/value.h"

// A parsed Go template. Variables are places in the frame of a definition, found while parsing.
namespace hearth::gotmpl {

using tmpl::Position;

struct Builtin;
struct Pipeline;

// One word of a command.
struct Operand {
  enum class What : uint8_t { literal, nil, dot, variable, function, pipeline };
  What what = What::dot;
  Position at;
  Value literal;
  size_t slot = 0;                     // of a variable
  const Builtin* function = nullptr;   // static
  std::unique_ptr<Pipeline> pipeline;  // in parentheses
  std::vector<std::string> fields;     // .A.B behind it; `.` alone has none
};

struct Command {
  Position at;
  std::vector<Operand> words;  // at least one
};

struct Pipeline {
  Position at;
  std::vector<Command> commands;  // at least one, except in {{ template "x" }}
  std::vector<size_t> slots;      // $x := and $x =; for range up to two
  bool declares = false;          // := rather than =; the frame has a place either way
};

struct Node;
using Body = std::vector<Node>;

struct TextNode {
  TextRef text;
};
struct ActionNode {
  Pipeline pipeline;
};
// if or with, and its else ifs.
struct BranchNode {
  struct Branch {
    Pipeline pipeline;
    Body body;
  };
  bool with = false;
  std::vector<Branch> branches;
  Body otherwise;
};
struct RangeNode {
  Pipeline pipeline;
  Body body;
  Body otherwise;
};
struct CallNode {
  std::string name;
  size_t definition = 0;  // filled in when all are known
  Pipeline argument;      // without commands: nil
};
struct JumpNode {
  bool leaves = false;  // break rather than continue
};

struct Node {
  Position at;
  size_t offset = 0;  // in the source
  std::variant<TextNode, ActionNode, BranchNode, RangeNode, CallNode, JumpNode> what;
};

struct Definition {
  std::string name;  // "" is the template itself
  Body body;
  size_t slots = 1;  // of the frame; 0 is $
};

// What a template mentions.
struct Names {
  std::set<std::string, std::less<>> fields;  // of . and of variables: Messages, Role, Function, ...
  std::set<std::string, std::less<>> texts;   // literals: "tool", ...

  bool field(std::string_view name) const { return fields.find(name) != fields.end(); }
  bool text(std::string_view text) const { return texts.find(text) != texts.end(); }
};

struct Tree {
  std::vector<Definition> definitions;  // the first is the template itself
  size_t source_size = 0;
  Names names;
};

}  // namespace hearth::gotmpl
