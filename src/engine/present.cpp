// What the process has of the memory that the plan lists: caches before they are written to for the first
// time, and the file after it was read.
#include <algorithm>
#include <chrono>
#include <limits>

#include "engine/engine.h"
#include "plan/kv.h"

namespace hearth {

// Beside running streams a prompt waits for memory that was never used by itself, a while before each step,
// so that the streams do not wait for all of it at once.
void Engine::make_present() {
  constexpr auto a_while = std::chrono::milliseconds(40);
  const bool hurried =
      std::any_of(sequences_.begin(), sequences_.end(), [](const auto& s) { return s->decoding(); });
  const auto until = std::chrono::steady_clock::now() + a_while;
  bool time_left = true;
  for (const auto& s : sequences_) {
    s->present = std::numeric_limits<uint32_t>::max();
    if (!hurried || !s->waiting()) continue;
    if (time_left) {
      time_left = make_present(*s, until);
    } else {
      s->present = s->computed;
    }
  }
}

// False: the time is over, and the sequence is present as far as it says.
bool Engine::make_present(Sequence& s, std::chrono::steady_clock::time_point until) {
  for (size_t g = 0; g < pools_.size(); ++g) {
    if (is_state(g)) continue;
    for (uint32_t i = s.computed / page_tokens; i < s.pages[g].size(); ++i) {
      const PageId page = s.pages[g][i];
      if (found_[g][page.value]) continue;
      for (const uint32_t d : cached_on_[g]) {
        if (devices_[d]->make_present(static_cast<uint32_t>(g), page, until)) continue;
        s.present = std::min(s.present, i * page_tokens);
        return false;
      }
      found_[g][page.value] = true;
    }
  }
  return true;
}

// The system maps the neighbours of each row that is read: a long prompt would map much of the table, beside
// its copy, and the process would have more than the plan said.
void Engine::forget_tables(size_t rows) const {
  constexpr size_t many = 32;  // rows of tokens that are generated are read again soon, and are few
  if (rows < many) return;
  for (const TensorInfo* table : tied_tables_) file_->forget(*table);
}

}  // namespace hearth
