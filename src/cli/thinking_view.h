#pragma once

#include <functional>
#include <string>

#include "cli/talker.h"

namespace hearth {

// Shows what a model thinks before it answers, between "Thinking..." and "...done thinking.", and the tools
// that it calls.
class ThinkingView {
 public:
  ThinkingView(bool shown, bool colour) : shown_(shown), colour_(colour) {}

  // Listens for this view; `show` prints the answer's own text. Valid as long as the view.
  Listener listener(std::function<void(const std::string&)> show);
  // The answer is over.
  void close();

 private:
  void think(const std::string& text);

  bool shown_, colour_, open_ = false;
};

}  // namespace hearth
