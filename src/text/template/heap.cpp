#include "text/template/big_integer.h"
#include "text/template/evaluator.h"

// What values are made of: everything that Evaluator creates on its heap.
namespace hearth::tmpl {

Value Evaluator::list(std::vector<Value> items, Origin origin) {
  const size_t bytes = items.size() * sizeof(Value);
  return create<List>(bytes, std::move(items), origin);
}

Value Evaluator::tuple(std::vector<Value> items) {
  const size_t bytes = items.size() * sizeof(Value);
  return create<Tuple>(bytes, std::move(items));
}

Value Evaluator::iterator(std::vector<Value> items) {
  const size_t bytes = items.size() * sizeof(Value);
  return create<Iterator>(bytes, std::move(items));
}

Dict* Evaluator::dict(Origin origin) { return create<Dict>(0, origin); }

void Evaluator::set(Dict& dict, Value key, Value value) {
  constexpr size_t entry = 2 * sizeof(Value) + 4 * sizeof(size_t);
  meter_.hold(entry);
  dict.set(std::move(key), std::move(value));
}

Value Evaluator::undefined(const char* owner, const Value& name) { return create<Undefined>(0, owner, name); }

Value Evaluator::import(const Json& json, Origin origin) {
  const Meter::Level level(meter_);
  meter_.step();
  switch (json.kind()) {
    case json::kind::null: return {};
    case json::kind::bool_: return json.get_bool();
    case json::kind::int64: return json.get_int64();
    case json::kind::double_: return json.get_double();
    case json::kind::uint64:
      if (json.get_uint64() <= INT64_MAX) return static_cast<int64_t>(json.get_uint64());
      return create<BigInteger>(0, BigInt(json.get_uint64()));
    case json::kind::string: return text(std::string(json.get_string()), origin);
    case json::kind::array: {
      std::vector<Value> items;
      items.reserve(json.get_array().size());
      for (const Json& item : json.get_array()) items.push_back(import(item, origin));
      return list(std::move(items), origin);
    }
    case json::kind::object: break;
  }
  Dict* imported = dict(origin);
  imported->items.reserve(json.get_object().size());
  for (const auto& member : json.get_object()) {
    set(*imported, text(std::string(member.key()), origin), import(member.value(), origin));
  }
  return imported;
}

Value Evaluator::printed(const Value& value) {
  if (value.is_text()) return value;
  Marked out;
  dialect().print(*this, value, out);
  return text(std::move(out));
}

}  // namespace hearth::tmpl
