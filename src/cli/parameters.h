#pragma once

#include <string>
#include <vector>

#include "cli/run_options.h"

namespace hearth {

// What /set parameter has set in a conversation, over the options it was started with.
class Parameters {
 public:
  // Sets one parameter from the words behind its name; "stop" takes several, every other one. Returns the
  // value as it is shown. Throws Error(bad_request) for an unknown name or a value that is not allowed, and
  // changes nothing then.
  std::string set(const std::string& name, const std::vector<std::string>& words);

  // Puts what is set into a request, over what is there.
  void apply(Request& request) const;

  bool is_set(const std::string& name) const;

  // One "name value" row per parameter, and per stop string, in the order in which they were set; empty if
  // none is.
  std::string rows() const;

 private:
  struct Entry {
    std::string name;
    std::vector<std::string> words;
  };
  std::vector<Entry> entries_;
};

// The words of a line; a part between double quotes is one word, with \n, \t, \" and \\ understood inside.
std::vector<std::string> words_of(const std::string& line);

}  // namespace hearth
