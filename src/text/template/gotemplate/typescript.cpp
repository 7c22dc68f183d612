#include "text/template/gotemplate/typescript.h"

#include <array>

namespace hearth::gotmpl {
namespace {

std::string_view type_of(std::string_view schema) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> types{{
      {"string", "string"},
      {"number", "number"},
      {"integer", "number"},
      {"boolean", "boolean"},
      {"array", "any[]"},
      {"object", "Record<string, any>"},
      {"null", "null"},
  }};
  for (const auto& [name, type] : types) {
    if (name == schema) return type;
  }
  return "any";
}

const List* list_field(const Value& property, std::string_view name) {
  const auto* record = as<Record>(property);
  const Value* value = record ? record->find(name) : nullptr;
  const auto* list = value ? as<List>(*value) : nullptr;
  return list && !list->items.empty() ? list : nullptr;
}

}  // namespace

void print_typescript(const Value& property, Output& out) {
  const Meter::Level level(out.meter());
  if (const List* variants = list_field(property, "AnyOf")) {
    for (size_t i = 0; i < variants->items.size(); ++i) {
      if (i > 0) out.add(" | ", Origin::model);
      print_typescript(variants->items[i], out);
    }
    return;
  }
  const List* types = list_field(property, "Type");
  if (!types) return out.add("any", Origin::model);
  for (size_t i = 0; i < types->items.size(); ++i) {
    if (i > 0) out.add(" | ", Origin::model);
    const Text* name = text_in(types->items[i]);
    out.add(type_of(name ? name->view() : ""), Origin::model);
  }
}

}  // namespace hearth::gotmpl
