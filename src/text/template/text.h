#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/prompt.h"
#include "text/template/meter.h"
#include "text/template/unicode.h"

namespace hearth::tmpl {

class Text;
using TextRef = boost::intrusive_ptr<const Text>;

// Bytes of which each remembers its origin. There are two origins, so the places where it changes suffice.
class Marked {
 public:
  Marked() = default;
  Marked(std::string bytes, Origin origin) : bytes_(std::move(bytes)), first_(origin) {}

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  // All of one origin: that origin. Otherwise user.
  Origin origin() const { return changes_.empty() ? first_ : Origin::user; }

  void append(std::string_view bytes, Origin origin);
  void append(const Marked& text) { append(text, 0, text.size()); }
  void append(const Marked& text, size_t from, size_t to);  // bytes [from, to)
  void reserve(size_t bytes) { bytes_.reserve(bytes); }

  // Calls visit(std::string_view, Origin) for each piece of bytes [from, to) in order.
  template <class Visit>
  void pieces(size_t from, size_t to, Visit visit) const {
    size_t change = 0;
    while (change < changes_.size() && changes_[change] <= from) ++change;
    while (from < to) {
      const size_t end = change < changes_.size() && changes_[change] < to ? changes_[change] : to;
      visit(std::string_view(bytes_).substr(from, end - from), origin_after(change));
      from = end;
      ++change;
    }
  }

 protected:
  size_t held() const { return bytes_.capacity() + changes_.capacity() * sizeof(size_t); }

 private:
  Origin origin_after(size_t change) const {
    return static_cast<Origin>(static_cast<unsigned>(first_) ^ static_cast<unsigned>(change & 1));
  }

  std::string bytes_;
  Origin first_ = Origin::model;
  std::vector<size_t> changes_;  // offsets, ascending
};

// An immutable string value. Counted against the meter of its rendering; constants of a tree have none.
class Text : public Marked, public boost::intrusive_ref_counter<Text> {
 public:
  Text(Marked content, Meter* meter)
      : Marked(std::move(content)), length_(count_characters(bytes())), meter_(meter) {
    if (meter_) meter_->hold(cost());
  }
  ~Text() {
    if (meter_) meter_->release(cost());
  }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

  std::string_view view() const { return bytes(); }

  // Number of characters.
  size_t length() const { return length_; }

  // Byte offset of a character (index <= length()).
  size_t offset(size_t index) const { return length_ == size() ? index : offset_of(view(), index); }

 private:
  size_t cost() const { return sizeof(Text) + held(); }

  size_t length_;
  Meter* meter_;
};

}  // namespace hearth::tmpl
