#include "text/template/gotemplate/quote.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include "text/template/unicode.h"

namespace hearth::gotmpl {
namespace {

// Letters, marks, numbers, punctuation, symbols and the ASCII blank.
bool is_printable(char32_t point) {
  if (point == ' ') return true;
  if (point > 0x10FFFF) return false;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(point));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_SO;
}

}  // namespace

std::string in_quotes(std::string_view text, char quote) {
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    const char32_t point = tmpl::decode(text, at);
    constexpr std::string_view controls = "\a\b\f\n\r\t\v";
    if (point == tmpl::invalid_byte) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[from]));
    } else if (point == static_cast<unsigned char>(quote) || point == '\\') {
      out += '\\';
      out += text[from];
    } else if (is_printable(point)) {
      out.append(text, from, at - from);
    } else if (const size_t known = point < 0x20 ? controls.find(text[from]) : std::string_view::npos;
               known != std::string_view::npos) {
      out += '\\';
      out += "abfnrtv"[known];
    } else if (point < 0x80) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(point));
    } else if (point < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(point));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(point));
    }
  }
  return out += quote;
}

void escape_html(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      case '\0': out += "\xEF\xBF\xBD"; break;
      default: out += c;
    }
  }
}

void escape_javascript(std::string_view text, std::string& out) {
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    const char32_t point = tmpl::decode(text, at);
    if (point == '\\' || point == '\'' || point == '"') {
      out += '\\';
      out += text[from];
    } else if (point < 0x20 || point == '<' || point == '>' || point == '&' || point == '=') {
      out += fmt::format("\\u{:04X}", static_cast<uint32_t>(point));
    } else if (point == tmpl::invalid_byte || point < 0x80 || is_printable(point)) {
      out.append(text, from, at - from);
    } else {
      out += fmt::format("\\u{:04X}", static_cast<uint32_t>(point));
    }
  }
}

void escape_query(std::string_view text, std::string& out) {
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("-_.~").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

}  // namespace hearth::gotmpl
