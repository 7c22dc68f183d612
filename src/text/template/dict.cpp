#include <cmath>
#include <functional>

#include "text/template/big_integer.h"

namespace hearth::tmpl {
namespace {

constexpr size_t linear_limit = 8;

size_t hash_text(std::string_view text) { return std::hash<std::string_view>{}(text); }

bool same_number(const Value& a, const Value& b, bool& same) {
  const auto integral = [](const Value& value, int64_t& out) {
    if (value.is_bool()) return out = value.boolean() ? 1 : 0, true;
    if (value.is_integer()) return out = value.integer(), true;
    if (!value.is_double()) return false;
    const double number = value.floating();
    if (!(std::abs(number) < 9e18) || std::floor(number) != number) return false;
    return out = static_cast<int64_t>(number), true;
  };
  int64_t left = 0;
  int64_t right = 0;
  if (!integral(a, left) || !integral(b, right)) return false;
  same = left == right;
  return true;
}

// Tuples in tuples deeper than this are no keys: hashing recurses.
constexpr size_t deepest_key = 16;

bool is_key_within(const Value& value, size_t depth) {
  if (!value.is_object()) return true;
  switch (value.object()->kind) {
    case Kind::tuple: break;
    case Kind::list:
    case Kind::dict: return false;
    default: return true;
  }
  if (depth == 0) return false;
  for (const Value& item : value.as<Tuple>()->items) {
    if (!is_key_within(item, depth - 1)) return false;
  }
  return true;
}

}  // namespace

bool is_key(const Value& value) { return is_key_within(value, deepest_key); }

bool same_key(const Value& a, const Value& b) {
  if (a.is_text() || b.is_text()) return a.is_text() && b.is_text() && a.view() == b.view();
  bool same = false;
  if (same_number(a, b, same)) return same;
  if (a.is_double() && b.is_double()) return a.floating() == b.floating();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (!a.is_object() || !b.is_object()) return false;
  if (const auto* x = a.as<BigInteger>(), *y = b.as<BigInteger>(); x && y) return x->value == y->value;
  const auto *x = a.as<Tuple>(), *y = b.as<Tuple>();
  if (x && y) {
    if (x->items.size() != y->items.size()) return false;
    for (size_t i = 0; i < x->items.size(); ++i) {
      if (!same_key(x->items[i], y->items[i])) return false;
    }
    return true;
  }
  if (is_undefined(a) && is_undefined(b)) return true;
  return a.object() == b.object();
}

size_t hash_key(const Value& key) {
  if (key.is_text()) return hash_text(key.view());
  if (key.is_bool()) return key.boolean() ? 1 : 0;
  if (key.is_integer()) return static_cast<size_t>(key.integer());
  if (key.is_double()) {
    const double number = key.floating();
    const bool whole = std::abs(number) < 9e18 && std::floor(number) == number;
    return whole ? static_cast<size_t>(static_cast<int64_t>(number)) : std::hash<double>{}(number);
  }
  if (const auto* tuple = key.as<Tuple>()) {
    size_t hash = tuple->items.size();
    for (const Value& item : tuple->items) hash = hash * 1'000'003 + hash_key(item);
    return hash;
  }
  if (const auto* big = key.as<BigInteger>()) return static_cast<size_t>(big->value & 0xFFFFFFFF);
  if (key.is_none()) return 0x9E3779B9;
  return is_undefined(key) ? 0x7F4A7C15 : std::hash<Object*>{}(key.object());
}

template <class Same>
size_t Dict::index_of(size_t hash, Same same) const {
  if (index_.empty()) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (same(items[i].first)) return i;
    }
    return npos;
  }
  const auto [begin, end] = index_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    if (same(items[at->second].first)) return at->second;
  }
  return npos;
}

const Value* Dict::find(const Value& key) const {
  const size_t hash = index_.empty() ? 0 : hash_key(key);
  const size_t at = index_of(hash, [&](const Value& other) { return same_key(key, other); });
  return at == npos ? nullptr : &items[at].second;
}

const Value* Dict::find(std::string_view key) const {
  const size_t hash = index_.empty() ? 0 : hash_text(key);
  const size_t at =
      index_of(hash, [&](const Value& other) { return other.is_text() && other.view() == key; });
  return at == npos ? nullptr : &items[at].second;
}

Value* Dict::find(const Value& key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

void Dict::set(Value key, Value value) {
  if (Value* present = find(key)) {
    *present = std::move(value);
    return;
  }
  items.emplace_back(std::move(key), std::move(value));
  if (!index_.empty()) {
    index_.emplace(hash_key(items.back().first), items.size() - 1);
  } else if (items.size() > linear_limit) {
    rebuild();
  }
}

bool Dict::erase(const Value& key) {
  const Value* present = std::as_const(*this).find(key);
  if (!present) return false;
  size_t at = 0;
  while (&items[at].second != present) ++at;
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
  rebuild();
  return true;
}

void Dict::clear() {
  items.clear();
  index_.clear();
}

void Dict::rebuild() {
  index_.clear();
  if (items.size() <= linear_limit) return;
  for (size_t i = 0; i < items.size(); ++i) index_.emplace(hash_key(items[i].first), i);
}

}  // namespace hearth::tmpl
