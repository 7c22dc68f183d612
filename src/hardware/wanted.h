#pragma once

#include <cstdint>
#include <string>

namespace hearth {

// What somebody wants to run, so far as findings depend on it; zero and empty: not said.
struct Wanted {
  std::string model = {};       // its name, for sentences
  uint64_t model_bytes = 0;     // weights
  uint64_t largest_buffer = 0;  // of the plan, bytes
  uint32_t threads = 0;         // num_thread of the request or Modelfile
  std::string k = {}, v = {};   // types of the cache
};

}  // namespace hearth
