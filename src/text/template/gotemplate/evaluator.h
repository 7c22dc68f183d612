#pragma once

#include "text/template.h"
#include "text/template/gotemplate/functions.h"
#include "text/template/gotemplate/output.h"
#include "text/template/gotemplate/tree.h"

namespace hearth::gotmpl {

// What functions may look at.
struct Environment {
  Meter& meter;
  const RenderOptions& options;
  Maker maker;
};

// One execution of a template.
class Evaluator {
 public:
  static constexpr size_t whole = static_cast<size_t>(-1);

  Evaluator(const Tree& tree, const Environment& environment) : tree_(tree), environment_(environment) {}

  // Appends to `out`. Nodes of the template itself that begin behind source offset `last` are left out.
  void run(const Value& root, Output& out, size_t last = whole);

 private:
  enum class Flow : uint8_t { on, leave, repeat };
  struct Frame {
    std::vector<Value> slots;
    size_t last;
  };

  void call(const Definition& definition, Value argument, Output& out, size_t last);
  Flow body(const Body& body, const Value& dot, Frame& frame, Output& out);
  Flow node(const Node& node, const Value& dot, Frame& frame, Output& out);
  Flow branch(const BranchNode& node, const Value& dot, Frame& frame, Output& out);
  Flow range(const RangeNode& node, const Value& dot, Frame& frame, Output& out);
  template <class Element>
  Flow loop(const RangeNode& node, size_t count, Element element, Frame& frame, Output& out);

  Value pipeline(const Pipeline& pipeline, const Value& dot, Frame& frame, bool stores = true);
  Value command(const Command& command, const Value& dot, Frame& frame, const Value* last);
  Value invoke(const Builtin& function, const Command& command, const Value& dot, Frame& frame,
               const Value* last);
  Value operand(const Operand& operand, const Value& dot, Frame& frame);
  Value field(const Value& of, const std::string& name);

  const Tree& tree_;
  const Environment& environment_;
};

}  // namespace hearth::gotmpl
