#include "server/dialects/measures.h"

#include <algorithm>

namespace hearth {
namespace {

// `n` tokens in so many seconds; no rate where one of them is 0.
void put(json::object& o, const std::string& what, uint32_t n, double seconds) {
  const bool measured = n > 0 && seconds > 0;
  o[what + "_n"] = n;
  o[what + "_ms"] = 1e3 * seconds;
  o[what + "_per_token_ms"] = measured ? 1e3 * seconds / n : 0.0;
  o[what + "_per_second"] = measured ? n / seconds : 0.0;
}

}  // namespace

json::object progress_json(const from_child::PromptProgress& p) {
  return {{"total", p.total}, {"cache", p.cached}, {"processed", p.processed}, {"time_ms", 1e3 * p.seconds}};
}

json::object timings_json(const Statistics& s) {
  json::object o{{"cache_n", s.cached_tokens}};
  put(o, "prompt", s.prompt_tokens - std::min(s.prompt_tokens, s.cached_tokens), s.prompt);
  put(o, "predicted", s.generated_tokens, s.generation);
  return o;
}

}  // namespace hearth
