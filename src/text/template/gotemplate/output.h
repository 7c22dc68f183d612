#pragma once

#include <string_view>

#include "text/template/gotemplate/value.h"

namespace hearth::gotmpl {

// Text that grows while it is counted. What comes of it is held by whoever makes a value of it.
class Output {
 public:
  // `final`: the text of the rendering, bounded as such rather than as memory.
  explicit Output(Meter& meter, bool final = false) : meter_(meter), final_(final) {}

  void add(std::string_view bytes, Origin origin) {
    expect(bytes.size());
    text_.append(bytes, origin);
  }
  void add(const Marked& text) { add(text, 0, text.size()); }
  void add(const Marked& text, size_t from, size_t to) {
    expect(to - from);
    meter_.step(from / 16);  // the changes of origin before it are gone through
    text_.append(text, from, to);
  }

  const Marked& text() const { return text_; }
  Marked take() { return std::move(text_); }
  Meter& meter() const { return meter_; }

 private:
  void expect(size_t bytes) const {
    meter_.scan(bytes);
    if (final_) return meter_.output(text_.size() + bytes);
    meter_.expect(text_.size() + bytes);
  }

  Meter& meter_;
  const bool final_;
  Marked text_;
};

}  // namespace hearth::gotmpl
