#include "text/template/tree.h"

namespace hearth::tmpl {
namespace {

using Visit = std::function<void(const Expr&)>;

void visit_if_there(const ExprPtr& expr, const Visit& visit) {
  if (expr) visit(*expr);
}

void visit_arguments(const Arguments& arguments, const Visit& visit) {
  for (const ExprPtr& value : arguments.positional) visit(*value);
  for (const auto& named : arguments.named) visit(*named.second);
  visit_if_there(arguments.rest, visit);
  visit_if_there(arguments.named_rest, visit);
}

template <class Chain>
void visit_chain(const Chain& chain, const Visit& visit) {
  visit(*chain.first);
  for (const auto& operand : chain.rest) visit(*operand.second);
}

}  // namespace

void for_each_child(const Expr& expr, const Visit& visit) {
  switch (expr.kind) {
    case ExprKind::constant:
    case ExprKind::name: return;
    case ExprKind::list:
    case ExprKind::tuple:
    case ExprKind::concat:
    case ExprKind::all_of:
    case ExprKind::any_of:
      for (const ExprPtr& item : static_cast<const Group&>(expr).items) visit(*item);
      return;
    case ExprKind::dict:
      for (const auto& [key, value] : static_cast<const DictLiteral&>(expr).items) {
        visit(*key);
        visit(*value);
      }
      return;
    case ExprKind::attribute: return visit(*static_cast<const Attribute&>(expr).of);
    case ExprKind::item:
      visit(*static_cast<const Item&>(expr).of);
      return visit(*static_cast<const Item&>(expr).key);
    case ExprKind::slice: {
      const auto& slice = static_cast<const Slice&>(expr);
      visit(*slice.of);
      for (const ExprPtr* bound : {&slice.start, &slice.stop, &slice.step}) visit_if_there(*bound, visit);
      return;
    }
    case ExprKind::call:
      visit(*static_cast<const Call&>(expr).callee);
      return visit_arguments(static_cast<const Call&>(expr).arguments, visit);
    case ExprKind::native:
      visit_if_there(static_cast<const NativeCall&>(expr).operand, visit);
      return visit_arguments(static_cast<const NativeCall&>(expr).arguments, visit);
    case ExprKind::unary: return visit(*static_cast<const Unary&>(expr).operand);
    case ExprKind::negation: return visit(*static_cast<const Negation&>(expr).operand);
    case ExprKind::arithmetic: return visit_chain(static_cast<const Arithmetic&>(expr), visit);
    case ExprKind::comparison: return visit_chain(static_cast<const Comparison&>(expr), visit);
    case ExprKind::conditional: {
      const auto& choice = static_cast<const Conditional&>(expr);
      for (const ExprPtr* part : {&choice.condition, &choice.then, &choice.otherwise})
        visit_if_there(*part, visit);
      return;
    }
  }
}

Symbol Tree::symbol(const std::string& name) {
  const auto [found, added] = symbols.emplace(name, static_cast<Symbol>(names.size()));
  if (added) names.emplace_back(new Text(Marked(name, Origin::model), nullptr));
  return found->second;
}

}  // namespace hearth::tmpl
