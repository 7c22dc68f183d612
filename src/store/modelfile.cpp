#include "store/modelfile.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "store/modelfile/encoding.h"
#include "store/name.h"

namespace hearth {
namespace {

[[noreturn]] void fail(size_t line, std::string_view what, std::string remedy) {
  throw Error(Code::bad_request, fmt::format("(line {}): {}", line, what), std::move(remedy));
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trim(std::string_view text) {
  constexpr std::string_view white = " \t\n";
  const size_t first = text.find_first_not_of(white);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(white) - first + 1);
}

// A value that begins with quotes is complete once it also ends with them.
enum class Quoting { none, complete, open };

Quoting unquote(std::string_view& value) {
  for (const std::string_view quote : {R"(""")", R"(")"}) {
    if (!value.starts_with(quote)) continue;
    if (value.size() < 2 * quote.size() || !value.ends_with(quote)) return Quoting::open;
    value = value.substr(quote.size(), value.size() - 2 * quote.size());
    return Quoting::complete;
  }
  return Quoting::none;
}

class Parser {
 public:
  explicit Parser(std::string text) : text_(std::move(text)) {}

  Modelfile run() {
    while (skip_to_instruction()) instruction();
    if (file_.from.empty()) {
      throw Error(Code::bad_request, "no FROM line", "begin with FROM and a model name or a GGUF file");
    }
    return std::move(file_);
  }

 private:
  bool at_end() const { return at_ == text_.size(); }

  // Past empty lines, blanks and comments; false at the end.
  bool skip_to_instruction() {
    while (!at_end()) {
      if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (text_[at_] == '\n') {
        ++line_;
        ++at_;
      } else if (is_blank(text_[at_])) {
        ++at_;
      } else {
        return true;
      }
    }
    return false;
  }

  // Up to the next blank or newline, with the blanks after it.
  std::string_view word() {
    const size_t start = at_;
    while (!at_end() && !is_blank(text_[at_]) && text_[at_] != '\n') ++at_;
    const std::string_view found = std::string_view(text_).substr(start, at_ - start);
    while (!at_end() && is_blank(text_[at_])) ++at_;
    return found;
  }

  std::string value(std::string_view of) {
    const size_t start = at_, first_line = line_;
    while (true) {
      at_ = std::min(text_.find('\n', at_), text_.size());
      std::string_view found = trim(std::string_view(text_).substr(start, at_ - start));
      const Quoting quoting = unquote(found);
      if (quoting != Quoting::open) {
        if (found.empty() && quoting == Quoting::none) {
          fail(first_line, fmt::format("unexpected EOF: {} has no value", of), "write a value behind it");
        }
        return std::string(found);
      }
      if (at_end()) {
        fail(first_line, fmt::format("unexpected EOF: the quotes of {} are never closed", of),
             "end the value, and its line, with the quotes it began with");
      }
      ++at_;
      ++line_;
    }
  }

  void instruction();

  std::string text_;
  size_t at_ = 0, line_ = 1;
  Modelfile file_;
};

void Parser::instruction() {
  const size_t line = line_;
  const std::string_view name = word();
  const auto is = [name](std::string_view wanted) { return equal_ignoring_case(name, wanted); };
  if (is("FROM")) {
    file_.from.push_back(value("FROM"));
  } else if (is("ADAPTER")) {
    file_.adapters.push_back(value("ADAPTER"));
  } else if (is("DRAFT")) {
    file_.draft = value("DRAFT");
  } else if (is("LICENSE")) {
    file_.licenses.push_back(value("LICENSE"));
  } else if (is("TEMPLATE")) {
    file_.prompt_template = value("TEMPLATE");
  } else if (is("SYSTEM")) {
    file_.system = value("SYSTEM");
  } else if (is("RENDERER")) {
    file_.renderer = value("RENDERER");
  } else if (is("PARSER")) {
    file_.parser = value("PARSER");
  } else if (is("REQUIRES")) {
    file_.requires_version = value("REQUIRES");
  } else if (is("PARAMETER")) {
    const std::string key(word());
    file_.parameters.push_back({key, value("PARAMETER")});
  } else if (is("MESSAGE")) {
    const std::string role(word());
    if (role != "system" && role != "user" && role != "assistant") {
      fail(line, R"(message role must be one of "system", "user", or "assistant")",
           "write MESSAGE role text");
    }
    file_.messages.push_back({role, value("MESSAGE")});
  } else {
    fail(line,
         R"(command must be one of "from", "license", "template", "system", "adapter", "draft", "renderer", )"
         R"("parser", "parameter", "message", or "requires")",
         "see the first word of the line; quote values of several lines");
  }
}

std::string quoted(std::string_view value) {
  const bool must = value.empty() || value.find('\n') != std::string_view::npos || is_blank(value.front()) ||
                    is_blank(value.back()) || value.front() == '"';
  if (!must) return std::string(value);
  const std::string_view quote = value.find('"') == std::string_view::npos ? R"(")" : R"(""")";
  return fmt::format("{0}{1}{0}", quote, value);
}

}  // namespace

Modelfile Modelfile::parse(std::string_view bytes) { return Parser(decode_text(bytes)).run(); }

std::string Modelfile::print() const {
  std::string out;
  const auto line = [&out](std::string_view word, std::string_view value) {
    out += fmt::format("{} {}\n", word, quoted(value));
  };
  for (const auto& source : from) line("FROM", source);
  for (const auto& adapter : adapters) line("ADAPTER", adapter);
  if (!draft.empty()) line("DRAFT", draft);
  if (prompt_template) line("TEMPLATE", *prompt_template);
  if (system) line("SYSTEM", *system);
  if (!renderer.empty()) line("RENDERER", renderer);
  if (!parser.empty()) line("PARSER", parser);
  if (!requires_version.empty()) line("REQUIRES", requires_version);
  for (const auto& parameter : parameters) line(fmt::format("PARAMETER {}", parameter.name), parameter.value);
  for (const auto& license : licenses) line("LICENSE", license);
  for (const auto& message : messages) line(fmt::format("MESSAGE {}", message.role), message.content);
  return out;
}

}  // namespace hearth
