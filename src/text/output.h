#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"

namespace hearth {

// How a model marks what is not its answer's plain text.
enum class CallStyle : uint8_t {
  none,       // it calls no tools
  tagged,     // an object or an array of objects between call_open and call_close
  bare,       // the answer is such an object; call_open is its first character
  named,      // call_open, a name, "[ARGS]", an object
  functions,  // <function=NAME><parameter=KEY>value</parameter></function> between the tags
};

struct OutputFormat {
  std::string think_open, think_close;  // both or neither
  CallStyle calls = CallStyle::none;
  std::string call_open, call_close;  // the latter may be empty: the end of the JSON is the end of the call
};

// From the text of a chat template, Jinja or Go.
OutputFormat format_of_template(std::string_view source);

struct OutputOptions {
  bool starts_thinking = false;    // the prompt has opened the thinking already
  std::vector<std::string> tools;  // names that may be called; empty: nothing is taken for a call
};

struct OutputText {
  std::string text;
};
struct OutputThought {
  std::string text;
};
struct OutputCall {
  std::string name;
  Json arguments;  // an object
};
using OutputPiece = std::variant<OutputText, OutputThought, OutputCall>;

// Splits an answer, as it comes, into thinking, calls of tools and text. No marker is ever shown half; what
// looks like a call and is none comes out as text, so nothing is lost. The result does not depend on where
// the pieces are cut.
class OutputParser {
 public:
  OutputParser(OutputFormat format, OutputOptions options);

  std::vector<OutputPiece> push(std::string_view text);
  // What was held back, at the end of the answer.
  std::vector<OutputPiece> finish();
  // Inside of the thinking, where a grammar for the answer does not apply yet.
  bool thinking() const noexcept { return state_ == State::thinking; }

 private:
  enum class State : uint8_t { begin, thinking, text, call };

  bool step(bool last, std::vector<OutputPiece>& out);
  bool begin(bool last);
  bool think(bool last, std::vector<OutputPiece>& out);
  bool plain(bool last, std::vector<OutputPiece>& out);
  bool call(bool last, std::vector<OutputPiece>& out);
  bool take_json_calls(std::string_view body, size_t consumed, std::vector<OutputPiece>& out);
  void give_up(std::vector<OutputPiece>& out);
  bool known(std::string_view name) const;
  void skip_blanks();

  OutputFormat format_;
  OutputOptions options_;
  State state_ = State::begin;
  std::string held_;
  bool trim_ = true;   // blanks at the beginning of a part are dropped
  bool told_ = false;  // text has been shown
};

}  // namespace hearth
