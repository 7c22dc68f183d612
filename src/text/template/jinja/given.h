#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include "text/template/jinja/python.h"

namespace hearth::tmpl::jinja {

// Arguments of a builtin matched with its parameters, by place or by name. Throws (type) when there are too
// many, unknown ones, or fewer than `required`. At most four parameters; the callee's name and theirs are
// static text.
class Given {
 public:
  Given(std::string_view callee, const Args& args, std::initializer_list<std::string_view> parameters,
        size_t required = 0);

  bool has(size_t index) const { return values_[index] != nullptr; }
  // Given and not none.
  bool set(size_t index) const { return has(index) && !values_[index]->is_none(); }
  const Value& operator[](size_t index) const { return *values_[index]; }

  Value value(size_t index, const Value& fallback = {}) const {
    return has(index) ? *values_[index] : fallback;
  }
  bool flag(size_t index, bool fallback) const { return has(index) ? truth(*values_[index]) : fallback; }
  int64_t integer(size_t index, int64_t fallback) const;  // none is the fallback too
  const Text& text(size_t index) const;                   // must be given

 private:
  static constexpr size_t most = 4;
  std::string_view callee_;
  std::array<std::string_view, most> parameters_{};
  std::array<const Value*, most> values_{};
};

}  // namespace hearth::tmpl::jinja
