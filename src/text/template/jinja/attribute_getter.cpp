#include <algorithm>
#include <numeric>

#include "text/template/jinja/filters.h"
#include "text/template/jinja/text_ops.h"

namespace hearth::tmpl::jinja {

AttributeGetter::AttributeGetter(Evaluator& evaluator, const Value& path, const Value* fallback)
    : evaluator_(evaluator), fallback_(fallback) {
  if (path.is_none()) return;
  if (!path.is_text()) {
    steps_.push_back(path);
    return;
  }
  const std::string_view text = path.view();
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('.', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    const bool digits = !part.empty() && part.size() < 10 &&
                        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (digits) {
      steps_.emplace_back(static_cast<int64_t>(std::stoll(std::string(part))));
    } else {
      steps_.push_back(evaluator.text(std::string(part), path.text().origin()));
    }
    at = end + 1;
  }
}

Value AttributeGetter::operator()(const Value& of) const {
  Value value = of;
  for (const Value& step : steps_) {
    value = item(evaluator_, value, step);
    if (fallback_ && is_undefined(value)) value = *fallback_;
  }
  return value;
}

Value without_case(Evaluator& evaluator, const Value& value) {
  return value.is_text() ? change_case(evaluator, value.text(), Case::lower) : value;
}

std::vector<Value> sorted(Evaluator& evaluator, const std::vector<Value>& items,
                          const std::vector<Value>& keys, bool reverse) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return reverse ? ordered(evaluator, CompareOp::less, keys[b], keys[a])
                   : ordered(evaluator, CompareOp::less, keys[a], keys[b]);
  });
  std::vector<Value> out;
  out.reserve(items.size());
  for (const size_t index : order) out.push_back(items[index]);
  return out;
}

}  // namespace hearth::tmpl::jinja
