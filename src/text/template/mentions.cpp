#include "text/template/mentions.h"

namespace hearth::tmpl {
namespace {

class Collector {
 public:
  explicit Collector(const Tree& tree) : tree_(tree) {}

  Mentions run() {
    body(tree_.body);
    return std::move(found_);
  }

 private:
  void body(const Body& of) {
    for (const auto& each : of.statements) statement(*each);
  }

  void statement(const Statement& of) {
    switch (of.kind) {
      case StatementKind::print: return expression(*static_cast<const Print&>(of).value);
      case StatementKind::branch: return branch(static_cast<const Branch&>(of));
      case StatementKind::loop: return loop(static_cast<const ForStatement&>(of));
      case StatementKind::assign: return expression(*static_cast<const Assign&>(of).value);
      case StatementKind::capture:
      case StatementKind::filter_block: {
        const auto& capture = static_cast<const Capture&>(of);
        for (const auto& filter : capture.filters) expression(*filter);
        return body(capture.body);
      }
      case StatementKind::macro: return macro(static_cast<const MacroStatement&>(of));
      case StatementKind::call_block:
        expression(*static_cast<const CallBlock&>(of).call);
        return macro(*static_cast<const CallBlock&>(of).caller);
      case StatementKind::scope:
        for (const auto& variable : static_cast<const Scope&>(of).variables) expression(*variable.second);
        return body(static_cast<const Scope&>(of).body);
      case StatementKind::text:
      case StatementKind::leave_loop:
      case StatementKind::next_pass: return;
    }
  }

  void branch(const Branch& of) {
    for (const auto& [condition, then] : of.arms) {
      expression(*condition);
      body(then);
    }
    body(of.otherwise);
  }

  void loop(const ForStatement& of) {
    expression(*of.over);
    if (of.condition) expression(*of.condition);
    body(of.body);
    body(of.otherwise);
  }

  void macro(const MacroStatement& of) {
    for (const Parameter& parameter : of.parameters) {
      if (parameter.fallback) expression(*parameter.fallback);
    }
    body(of.body);
  }

  void expression(const Expr& of) {
    switch (of.kind) {
      case ExprKind::name:
        found_.variables.emplace(tree_.names[static_cast<const Name&>(of).symbol]->view());
        break;
      case ExprKind::attribute:
        found_.attributes.emplace(static_cast<const Attribute&>(of).name->view());
        break;
      case ExprKind::item: add_text(*static_cast<const Item&>(of).key, found_.attributes); break;
      case ExprKind::call: call(static_cast<const Call&>(of)); break;
      case ExprKind::native:
        for (const auto& argument : static_cast<const NativeCall&>(of).arguments.positional)
          compared(*argument);
        break;
      case ExprKind::comparison: comparison(static_cast<const Comparison&>(of)); break;
      default: break;
    }
    for_each_child(of, [this](const Expr& child) { expression(child); });
  }

  // x.get('name')
  void call(const Call& of) {
    if (of.callee->kind != ExprKind::attribute || of.arguments.positional.empty()) return;
    if (static_cast<const Attribute&>(*of.callee).name->view() != "get") return;
    add_text(*of.arguments.positional[0], found_.attributes);
  }

  void comparison(const Comparison& of) {
    compared(*of.first);
    const bool is_membership = of.rest[0].first == CompareOp::in || of.rest[0].first == CompareOp::not_in;
    if (is_membership) add_text(*of.first, found_.attributes);
    for (const auto& operand : of.rest) compared(*operand.second);
  }

  // A string, or a list of them.
  void compared(const Expr& of) {
    add_text(of, found_.compared);
    if (of.kind != ExprKind::list && of.kind != ExprKind::tuple) return;
    for (const ExprPtr& item : static_cast<const Group&>(of).items) add_text(*item, found_.compared);
  }

  static void add_text(const Expr& of, std::set<std::string, std::less<>>& to) {
    if (of.kind != ExprKind::constant) return;
    const Value& value = static_cast<const Constant&>(of).value;
    if (value.is_text()) to.emplace(value.view());
  }

  const Tree& tree_;
  Mentions found_;
};

}  // namespace

Mentions mentions_of(const Tree& tree) { return Collector(tree).run(); }

}  // namespace hearth::tmpl
