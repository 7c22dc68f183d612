#include <fmt/format.h>

#include <algorithm>

#include "text/template/jinja/number_format.h"

// "{}".format(value).
namespace hearth::tmpl::jinja {
namespace {

constexpr int deepest_spec = 2;  // "{:{}}": a specification may itself hold fields, once

class BraceFormatter {
 public:
  BraceFormatter(Evaluator& evaluator, const Args& args) : evaluator_(evaluator), args_(args) {}

  void run(const Marked& format, int depth, Marked& out) {
    if (depth == 0) fail_type("max string recursion exceeded");
    const std::string_view bytes = format.bytes();
    for (size_t at = 0; at < bytes.size();) {
      const size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
      evaluator_.meter().expect(out.size() + brace - at);
      out.append(format, at, brace);
      if (brace == bytes.size()) return;
      if (brace + 1 < bytes.size() && bytes[brace + 1] == bytes[brace]) {
        out.append(format, brace, brace + 1);
        at = brace + 2;
        continue;
      }
      if (bytes[brace] == '}') fail_type("single '}' encountered in format string");
      const size_t end = field_end(bytes, brace + 1);
      Marked inner;
      inner.append(format, brace + 1, end);
      field(inner, depth, out);
      at = end + 1;
    }
  }

 private:
  static size_t field_end(std::string_view bytes, size_t at) {
    for (size_t open = 1; at < bytes.size(); ++at) {
      if (bytes[at] == '{') ++open;
      if (bytes[at] == '}' && --open == 0) return at;
    }
    fail_type("expected '}' before end of string");
  }

  // name!r:spec
  void field(const Marked& field, int depth, Marked& out) {
    evaluator_.meter().step();
    const std::string_view bytes = field.bytes();
    size_t name_end = 0;
    for (bool subscript = false; name_end < bytes.size(); ++name_end) {
      const char c = bytes[name_end];
      subscript = c == '[' || (subscript && c != ']');
      if (!subscript && (c == '!' || c == ':')) break;
    }
    Value value = resolve(bytes.substr(0, name_end));
    size_t at = name_end;
    if (at < bytes.size() && bytes[at] == '!') {
      const char conversion = at + 1 < bytes.size() ? bytes[at + 1] : '\0';
      if (conversion != 's' && conversion != 'r') fail_type("unknown conversion specifier");
      value = converted(value, conversion);
      at += 2;
    }
    Marked spec_text;
    if (at < bytes.size()) {
      if (bytes[at] != ':') fail_type("expected ':' after conversion specifier");
      Marked raw;
      raw.append(field, at + 1, bytes.size());
      run(raw, depth - 1, spec_text);
    }
    if (spec_text.empty()) return print(evaluator_, value, out);
    append(value, parse(spec_text.bytes()), out);
  }

  Value converted(const Value& value, char conversion) {
    Marked text;
    if (conversion == 's') {
      print(evaluator_, value, text);
    } else {
      represent(evaluator_, value, Origin::model, text);
    }
    return evaluator_.text(std::move(text));
  }

  // 0.name[key]
  Value resolve(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = argument(path.substr(0, end));
    for (size_t at = end; at < path.size();) {
      if (path[at] == '.') {
        const size_t stop = std::min(path.find_first_of(".[", at + 1), path.size());
        const Value name = evaluator_.text(std::string(path.substr(at + 1, stop - at - 1)), Origin::model);
        value = attribute(evaluator_, value, name.text_ref());
        at = stop;
        continue;
      }
      const size_t stop = path.find(']', at);
      if (path[at] != '[' || stop == std::string_view::npos) fail_type("missing ']' in format string");
      const std::string_view key = path.substr(at + 1, stop - at - 1);
      const auto index = index_of(key);
      value =
          item(evaluator_, value, index ? Value(*index) : evaluator_.text(std::string(key), Origin::model));
      at = stop + 1;
    }
    return value;
  }

  static std::optional<int64_t> index_of(std::string_view digits) {
    if (digits.empty() || digits.size() > 9) return std::nullopt;
    int64_t value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    return value;
  }

  Value argument(std::string_view name) {
    const auto index = name.empty() ? std::optional<int64_t>(next_++) : index_of(name);
    numbered_ |= index && !name.empty();
    if (numbered_ && next_ > 0) fail_type("cannot mix numbered and unnumbered fields in a format string");
    if (index) {
      if (static_cast<size_t>(*index) >= args_.positional.size()) {
        fail_type("replacement index out of range for positional arguments");
      }
      return args_.positional[static_cast<size_t>(*index)];
    }
    for (const auto& [known, value] : args_.named) {
      if (known == name) return value;
    }
    fail_type(fmt::format("format(): there is no argument '{}'", name));
  }

  // [[fill]align][sign][#][0][width][grouping][.precision][type]
  static FormatSpec parse(std::string_view text) {
    FormatSpec spec;
    size_t at = 0;
    const auto is_align = [&](size_t i) {
      return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
    };
    size_t behind_fill = 0;
    const char32_t fill = text.empty() ? ' ' : decode(text, behind_fill);
    if (!text.empty() && is_align(behind_fill)) {
      spec.fill = fill;
      spec.align = text[behind_fill];
      at = behind_fill + 1;
    } else if (is_align(0)) {
      spec.align = text[at++];
    }
    const auto peek = [&] { return at < text.size() ? text[at] : '\0'; };
    const auto number = [&] {
      int64_t value = 0;
      for (; peek() >= '0' && peek() <= '9'; ++at) {
        value = value * 10 + (peek() - '0');
        if (value > INT32_MAX) fail_type("too many decimal digits in format string");
      }
      return value;
    };
    if (peek() == '+' || peek() == '-' || peek() == ' ') spec.sign = text[at++];
    if (peek() == '#') spec.alternate = ++at > 0;
    if (peek() == '0') {
      if (!spec.align) {
        spec.fill = '0';
        spec.align = '=';
      }
      ++at;
    }
    spec.width = number();
    if (peek() == ',' || peek() == '_') spec.grouping = text[at++];
    if (peek() == '.') {
      ++at;
      spec.precision = number();
    }
    if (at < text.size()) spec.type = text[at++];
    if (at < text.size()) fail_type("invalid format specifier");
    return spec;
  }

  void append(const Value& value, const FormatSpec& spec, Marked& out) {
    if (is_number(value)) return append_number(value, spec, out);
    if (spec.type != 0 && spec.type != 's') {
      fail_type(
          fmt::format("unknown format code '{}' for an object of type '{}'", spec.type, type_name(value)));
    }
    Marked body;
    print(evaluator_, value, body);
    if (spec.precision >= 0) {
      Marked cut;
      cut.append(body, 0, offset_of(body.bytes(), static_cast<size_t>(spec.precision)));
      body = std::move(cut);
    }
    append_padded(evaluator_, body, spec, '<', out);
  }

  void append_number(const Value& value, const FormatSpec& spec, Marked& out) {
    if (spec.type == 'c') fail_type("the format code 'c' is not supported");
    const bool as_float =
        value.is_double() || std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
    if (spec.type != 0 && std::string_view("dxXobneEfFgG%").find(spec.type) == std::string_view::npos) {
      fail_type(fmt::format("unknown format code '{}' for a number", spec.type));
    }
    if (value.is_double() && std::string_view("dxXob").find(spec.type) != std::string_view::npos &&
        spec.type != 0) {
      fail_type(fmt::format("unknown format code '{}' for a float", spec.type));
    }
    const bool float_format = as_float && !(is_integral(value) && spec.type == 0);
    std::string body =
        float_format ? format_double(as_double(value), spec) : format_integer(big(value), spec);
    append_padded(evaluator_, Marked(std::move(body), Origin::model), spec, '>', out);
  }

  Evaluator& evaluator_;
  const Args& args_;
  int64_t next_ = 0;
  bool numbered_ = false;
};

}  // namespace

Value format_braces(Evaluator& evaluator, const Text& format, const Args& args) {
  Marked out;
  BraceFormatter(evaluator, args).run(format, deepest_spec, out);
  return evaluator.text(std::move(out));
}

}  // namespace hearth::tmpl::jinja
