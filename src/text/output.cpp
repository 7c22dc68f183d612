#include "text/output.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "text/output/calls.h"

namespace hearth {
namespace {

using calls::blanks;
using calls::trimmed;

// A call longer than this is none.
constexpr size_t longest_call = size_t{1} << 20;

constexpr std::string_view message_marker = "<|message|>", channel_marker = "<|channel|>",
                           start_marker = "<|start|>";
constexpr std::array<std::string_view, 5> message_ends{"<|end|>", "<|call|>", "<|return|>", start_marker,
                                                       channel_marker};

// How many bytes at the end of `text` may be the beginning of `marker`.
size_t partial(std::string_view text, std::string_view marker) {
  for (size_t n = std::min(text.size(), marker.empty() ? 0 : marker.size() - 1); n > 0; --n) {
    if (text.ends_with(marker.substr(0, n))) return n;
  }
  return 0;
}

struct Found {
  size_t at = std::string_view::npos;
  std::string_view marker;
  size_t held = 0;  // bytes at the end that may become one of them
};
template <class Markers>
Found first_of(std::string_view text, const Markers& markers) {
  Found found;
  for (const std::string_view m : markers) {
    if (m.empty()) continue;
    found.held = std::max(found.held, partial(text, m));
    if (const size_t at = text.find(m); at < found.at) found.at = at, found.marker = m;
  }
  return found;
}

// The word behind `key` in the head of a message.
std::string word_after(std::string_view head, std::string_view key) {
  const size_t at = head.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = head.substr(at + key.size());
  return std::string(rest.substr(0, std::min(rest.find_first_of(" \t\r\n<"), rest.size())));
}

}  // namespace

OutputParser::OutputParser(OutputFormat format, OutputOptions options)
    : format_(std::move(format)), options_(std::move(options)) {
  if (format_.calls == CallStyle::channels) return;
  if (options_.tools.empty()) format_.calls = CallStyle::none;
  if (format_.think_open.empty()) {
    state_ = State::text;
    trim_ = false;
  } else if (options_.starts_thinking) {
    state_ = State::thinking;
  }
}

std::vector<OutputPiece> OutputParser::push(std::string_view text) {
  held_ += text;
  std::vector<OutputPiece> out;
  while (step(false, out)) {
  }
  return out;
}

std::vector<OutputPiece> OutputParser::finish() {
  std::vector<OutputPiece> out;
  while (step(true, out)) {
  }
  return out;
}

bool OutputParser::thinking() const noexcept {
  return state_ == State::thinking || (state_ == State::message && message_ == Message::thought);
}

// Does what can be done with the text that is held; false: nothing more.
bool OutputParser::step(bool last, std::vector<OutputPiece>& out) {
  switch (state_) {
    case State::begin: return begin(last);
    case State::thinking: return think(last, out);
    case State::text: return plain(last, out);
    case State::call: return call(last, out);
    case State::header: return header(last, out);
    case State::message: return message(last, out);
  }
  return false;
}

void OutputParser::skip_blanks() {
  if (!trim_) return;
  held_.erase(0, std::min(held_.find_first_not_of(blanks), held_.size()));
  if (!held_.empty()) trim_ = false;
}

// The answer's first word decides whether it thinks, or whether it keeps to its channels at all.
bool OutputParser::begin(bool last) {
  const size_t first = std::min(held_.find_first_not_of(blanks), held_.size());
  const std::string_view rest = std::string_view(held_).substr(first);
  if (format_.calls == CallStyle::channels) {
    constexpr std::array<std::string_view, 4> begins{channel_marker, start_marker, message_marker, "to="};
    for (const std::string_view b : begins) {
      if (!last && rest.size() < b.size() && b.starts_with(rest)) return false;
    }
    const bool framed =
        std::any_of(begins.begin(), begins.end(), [&](std::string_view b) { return rest.starts_with(b); });
    state_ = framed ? State::header : State::message;
    message_ = Message::text;
    return true;
  }
  if (rest.starts_with(format_.think_open)) {
    held_.erase(0, first + format_.think_open.size());
    state_ = State::thinking;
    return true;
  }
  if (!last && std::string_view(format_.think_open).starts_with(rest)) return false;
  state_ = State::text;
  trim_ = false;
  return true;
}

bool OutputParser::think(bool last, std::vector<OutputPiece>& out) {
  skip_blanks();
  const size_t end = held_.find(format_.think_close);
  const bool ended = end != std::string::npos;
  // Blanks in front of the end are not told, so they wait until it is clear what follows.
  size_t shown = ended ? end : held_.size() - (last ? 0 : partial(held_, format_.think_close));
  if (!last || ended) {
    const size_t word = std::string_view(held_).substr(0, shown).find_last_not_of(blanks);
    shown = word == std::string_view::npos ? 0 : word + 1;
  }
  if (shown > 0) out.emplace_back(OutputThought{held_.substr(0, shown)});
  if (!ended) {
    held_.erase(0, shown);
    return false;
  }
  held_.erase(0, end + format_.think_close.size());
  state_ = State::text;
  trim_ = true;
  return true;
}

bool OutputParser::plain(bool last, std::vector<OutputPiece>& out) {
  skip_blanks();
  size_t shown = held_.size();
  if (format_.calls == CallStyle::bare) {
    const size_t first = held_.find_first_not_of(blanks);
    if (!told_ && first == std::string::npos && !last) return false;
    if (!told_ && first != std::string::npos && (held_[first] == '{' || held_[first] == '[')) {
      state_ = State::call;
      return true;
    }
  } else if (format_.calls != CallStyle::none) {
    const Found found = first_of(
        held_, std::array<std::string_view, 3>{format_.call_open, format_.wrap_open, format_.wrap_close});
    if (found.at != std::string::npos) {
      const size_t word = std::string_view(held_).substr(0, found.at).find_last_not_of(blanks);
      if (word != std::string_view::npos) out.emplace_back(OutputText{held_.substr(0, word + 1)});
      told_ = told_ || word != std::string_view::npos;
      const bool wrap = found.marker != format_.call_open;
      held_.erase(0, found.at + (wrap ? found.marker.size() : 0));
      if (wrap) {
        trim_ = true;
      } else {
        state_ = State::call;
      }
      return true;
    }
    if (!last) {
      shown -= found.held;
      // Blanks before a call are not told either.
      const size_t word = std::string_view(held_).substr(0, shown).find_last_not_of(blanks);
      shown = word == std::string_view::npos ? 0 : word + 1;
    }
  }
  if (shown == 0) return false;
  out.emplace_back(OutputText{held_.substr(0, shown)});
  told_ = true;
  held_.erase(0, shown);
  return false;
}

bool OutputParser::known(const std::vector<OutputCall>& list) const {
  return std::all_of(list.begin(), list.end(), [&](const OutputCall& c) {
    return std::find(options_.tools.begin(), options_.tools.end(), c.name) != options_.tools.end();
  });
}

// What was taken for a call is text after all.
bool OutputParser::give_up(std::vector<OutputPiece>& out) {
  // The marker itself goes out, so that what follows is looked at anew.
  const size_t marker =
      format_.calls == CallStyle::bare ? held_.size() : std::min(held_.size(), format_.call_open.size());
  if (marker > 0) out.emplace_back(OutputText{held_.substr(0, marker)});
  held_.erase(0, marker);
  told_ = true;
  state_ = State::text;
  return true;
}

bool OutputParser::wait(bool last, std::vector<OutputPiece>& out) {
  if (!last && held_.size() < longest_call) return false;
  return give_up(out);
}

bool OutputParser::take(std::vector<OutputCall> list, size_t consumed, std::vector<OutputPiece>& out) {
  if (list.empty() || !known(list)) return give_up(out);
  for (OutputCall& c : list) out.emplace_back(std::move(c));
  held_.erase(0, consumed);
  state_ = State::text;
  trim_ = true;
  return true;
}

bool OutputParser::call(bool last, std::vector<OutputPiece>& out) {
  const CallStyle style = format_.calls;
  return style == CallStyle::tagged || style == CallStyle::bare || style == CallStyle::named
             ? json_call(last, out)
             : spelt_call(last, out);
}

// Calls whose end is their closing tag.
bool OutputParser::spelt_call(bool last, std::vector<OutputPiece>& out) {
  const std::string_view text = held_;
  const size_t open = format_.call_open.size();
  const size_t end = text.find(format_.call_close, open);
  const bool ended = end != std::string_view::npos;
  if (!ended && !last) return wait(last, out);
  const std::string_view body = text.substr(open, (ended ? end : text.size()) - open);
  std::vector<OutputCall> list;
  const auto add = [&](std::optional<OutputCall> c) {
    if (c) list.push_back(std::move(*c));
  };
  switch (format_.calls) {
    case CallStyle::functions: add(calls::of_function(body, options_.parameters)); break;
    case CallStyle::keyed: add(calls::of_keys(body, options_.parameters)); break;
    case CallStyle::separated: add(calls::of_separated(body, format_.separator)); break;
    default: list = calls::of_python(body).value_or(std::vector<OutputCall>()); break;
  }
  return take(std::move(list), ended ? end + format_.call_close.size() : text.size(), out);
}

// Calls whose end is that of their JSON.
bool OutputParser::json_call(bool last, std::vector<OutputPiece>& out) {
  const std::string_view text = held_;
  size_t from = format_.calls == CallStyle::bare ? 0 : format_.call_open.size();
  std::string name;
  if (format_.calls == CallStyle::named) {
    constexpr std::string_view arguments = "[ARGS]";
    const size_t at = text.find(arguments, from);
    if (at == std::string_view::npos) return wait(last, out);
    name = trimmed(text.substr(from, at - from));
    from = at + arguments.size();
  }
  const size_t first = text.find_first_not_of(blanks, from);
  if (first == std::string_view::npos) return wait(last, out);
  if (text[first] != '{' && text[first] != '[') return give_up(out);
  const auto length = calls::json_end(text.substr(first));
  if (!length) return wait(last, out);
  size_t consumed = first + *length;
  if (!format_.call_close.empty()) {
    const size_t rest = std::min(text.find_first_not_of(blanks, consumed), text.size());
    if (text.substr(rest).starts_with(format_.call_close)) {
      consumed = rest + format_.call_close.size();
    } else if (!last && std::string_view(format_.call_close).starts_with(text.substr(rest))) {
      return false;  // the end is on its way
    }
  }
  std::optional<Json> value = calls::parsed(text.substr(first, *length));
  if (!value) return give_up(out);
  if (name.empty())
    return take(calls::of_json(*value, format_).value_or(std::vector<OutputCall>()), consumed, out);
  if (!value->is_object()) return give_up(out);
  return take({OutputCall{name, std::move(*value)}}, consumed, out);
}

// The head of a message says what it is.
bool OutputParser::header(bool last, std::vector<OutputPiece>& out) {
  const size_t end = held_.find(message_marker);
  if (end == std::string::npos) {
    if (!last && held_.size() < longest_call) return false;
    if (held_.find_first_not_of(blanks) != std::string::npos) out.emplace_back(OutputText{held_});
    held_.clear();
    state_ = State::message;
    message_ = Message::text;
    return false;
  }
  const std::string_view head = std::string_view(held_).substr(0, end);
  recipient_ = word_after(head, "to=");
  const std::string channel = word_after(head, channel_marker);
  message_ = !recipient_.empty() && !options_.tools.empty() ? Message::call
             : channel == "analysis"                        ? Message::thought
                                                            : Message::text;
  held_.erase(0, end + message_marker.size());
  state_ = State::message;
  return true;
}

bool OutputParser::message(bool last, std::vector<OutputPiece>& out) {
  const Found found = first_of(held_, message_ends);
  const bool ended = found.at != std::string::npos;
  if (message_ == Message::call && !ended && !last && held_.size() < longest_call) return false;
  const size_t shown = ended ? found.at : held_.size() - (last ? 0 : found.held);
  const std::string body = held_.substr(0, shown);
  held_.erase(0, shown);
  constexpr std::string_view space = "functions.";
  const std::string name = recipient_.substr(recipient_.starts_with(space) ? space.size() : 0);
  std::optional<Json> arguments = message_ == Message::call ? calls::parsed(trimmed(body)) : std::nullopt;
  if (arguments && arguments->is_object() && known({OutputCall{name, nullptr}})) {
    out.emplace_back(OutputCall{name, std::move(*arguments)});
  } else if (!body.empty() && message_ == Message::thought) {
    out.emplace_back(OutputThought{body});
  } else if (!body.empty()) {
    out.emplace_back(OutputText{body});
  }
  if (!ended) return false;
  // The markers of the next message belong to its head.
  if (found.marker != start_marker && found.marker != channel_marker) held_.erase(0, found.marker.size());
  state_ = State::header;
  return true;
}

}  // namespace hearth
