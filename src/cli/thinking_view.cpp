#include "cli/thinking_view.h"

#include <fmt/format.h>

#include <cstdio>

#include "cli/wrap.h"

namespace hearth {

Listener ThinkingView::listener(std::function<void(const std::string&)> show) {
  Listener l;
  l.text = [this, show = std::move(show)](const std::string& text) {
    close();
    show(text);
  };
  l.thinking = [this](const std::string& text) { think(text); };
  l.called = [this](const ToolCall& call) {
    close();
    fmt::print("(the model calls the function {} with {})\n", printable(call.name),
               printable(json::serialize(call.arguments)));
  };
  return l;
}

void ThinkingView::think(const std::string& text) {
  if (!shown_) return;
  if (!open_) fmt::print("{}Thinking...\n", colour_ ? "\x1b[90m" : "");
  open_ = true;
  fmt::print("{}", printable(text));
  std::fflush(stdout);
}

void ThinkingView::close() {
  if (!open_) return;
  open_ = false;
  fmt::print("\n...done thinking.{}\n\n", colour_ ? "\x1b[0m" : "");
}

}  // namespace hearth
