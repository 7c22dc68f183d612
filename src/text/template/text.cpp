#include "text/template/text.h"

namespace hearth::tmpl {

void Marked::append(std::string_view bytes, Origin origin) {
  if (bytes.empty()) return;
  if (bytes_.empty()) {
    first_ = origin;
  } else if (origin != origin_after(changes_.size())) {
    changes_.push_back(bytes_.size());
  }
  bytes_.append(bytes);
}

void Marked::append(const Marked& text, size_t from, size_t to) {
  text.pieces(from, to, [this](std::string_view bytes, Origin origin) { append(bytes, origin); });
}

}  // namespace hearth::tmpl
