#pragma once

#include <optional>
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
  keyed,      // NAME, then <arg_key>KEY</arg_key><arg_value>value</arg_value> between the tags
  separated,  // call_open, a name, the separator, an object, call_close; all of them between wrap_*
  python,     // NAME(key=value, …), several of them as a list or a line each, between the tags
  channels,   // everything lies in messages: <|channel|>NAME to=functions.TOOL<|message|>…<|end|>
};

struct OutputFormat {
  std::string think_open, think_close;  // both or neither
  CallStyle calls = CallStyle::none;
  std::string call_open, call_close;  // the latter may be empty: the end of the JSON is the end of the call
  std::string separator = {};
  std::string wrap_open = {}, wrap_close = {};  // not shown
  // How objects that are calls spell their two members.
  std::string name_key = "name", arguments_key = "arguments";

  // The texts that are looked for, which are to be seen even where they are control tokens.
  std::vector<std::string> markers() const;
  // What a model writes to end its thinking and begin its answer, or, where it may call a tool instead, to go
  // on with either.
  std::string thinking_end(bool may_call) const;
};

// From the text of a chat template, Jinja or Go.
OutputFormat format_of_template(std::string_view source);
// The one that models name as their parser ("qwen3-coder", "harmony" …); none: not known here.
std::optional<OutputFormat> format_of_parser(std::string_view name);

struct OutputOptions {
  bool starts_thinking = false;    // the prompt has opened the thinking already
  std::vector<std::string> tools;  // names that may be called; empty: nothing is taken for a call
  // A tool's name → the JSON Schema of its parameters: where it says that one is a text, digits stay text.
  Json parameters = json::object();
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
  // What comes next is a thought, as far as is known.
  bool thinking() const noexcept;

 private:
  enum class State : uint8_t { begin, thinking, text, call, header, message };
  enum class Message : uint8_t { text, thought, call };

  bool step(bool last, std::vector<OutputPiece>& out);
  bool begin(bool last);
  bool think(bool last, std::vector<OutputPiece>& out);
  bool plain(bool last, std::vector<OutputPiece>& out);
  bool call(bool last, std::vector<OutputPiece>& out);
  bool json_call(bool last, std::vector<OutputPiece>& out);
  bool spelt_call(bool last, std::vector<OutputPiece>& out);
  bool wait(bool last, std::vector<OutputPiece>& out);
  bool take(std::vector<OutputCall> calls, size_t consumed, std::vector<OutputPiece>& out);
  bool header(bool last, std::vector<OutputPiece>& out);
  bool message(bool last, std::vector<OutputPiece>& out);
  bool give_up(std::vector<OutputPiece>& out);
  bool known(const std::vector<OutputCall>& calls) const;
  void skip_blanks();

  OutputFormat format_;
  OutputOptions options_;
  State state_ = State::begin;
  std::string held_;
  bool trim_ = true;   // blanks at the beginning of a part are dropped
  bool told_ = false;  // text has been shown
  Message message_ = Message::text;
  std::string recipient_;  // of the message that is a call
};

}  // namespace hearth
