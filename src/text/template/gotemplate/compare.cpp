#include "text/template/gotemplate/compare.h"

#include <fmt/format.h>

namespace hearth::gotmpl {
namespace {

[[noreturn]] void incompatible(const Value& left, const Value& right) {
  tmpl::fail_type(fmt::format("values of types {} and {} do not compare", type_name(left), type_name(right)));
}

}  // namespace

bool equal(const Value& left, const Value& right) {
  if (is_nil(left) || is_nil(right)) return is_nil(left) && is_nil(right);
  if (std::holds_alternative<ObjectRef>(left) || std::holds_alternative<ObjectRef>(right))
    incompatible(left, right);
  if (left.index() != right.index()) incompatible(left, right);
  if (const Text* text = text_in(left)) return text->view() == text_in(right)->view();
  return left == right;
}

bool less(const Value& left, const Value& right) {
  if (left.index() != right.index()) incompatible(left, right);
  if (const auto* number = std::get_if<int64_t>(&left)) return *number < std::get<int64_t>(right);
  if (const auto* number = std::get_if<double>(&left)) return *number < std::get<double>(right);
  if (const Text* text = text_in(left)) return text->view() < text_in(right)->view();
  incompatible(left, right);
}

}  // namespace hearth::gotmpl
