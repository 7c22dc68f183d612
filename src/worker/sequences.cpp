#include "worker/sequences.h"

#include <algorithm>

#include "base/error.h"

namespace hearth {
namespace {

// Sharing less than a page saves nothing.
constexpr uint32_t least_shared = page_tokens;

}  // namespace

Sequences::Match Sequences::longest_match(const std::vector<TokenId>& tokens) const {
  Match best;
  const bool carries = engine_.carries_state();
  const auto look = [&](SeqId id, bool kept) {
    const Sequence& s = engine_.sequence(id);
    const size_t known = std::min<size_t>({s.computed, s.tokens.size(), tokens.size()});
    const auto end = tokens.begin() + static_cast<std::ptrdiff_t>(known);
    auto common =
        static_cast<uint32_t>(std::mismatch(tokens.begin(), end, s.tokens.begin()).first - tokens.begin());
    // Whole blocks of a prompt belong to the prompt's kernels: what follows inside of one would be computed
    // by others than without a takeover, and the text would depend on who asked before. The last token is
    // computed again in any case.
    const bool divides = common < tokens.size() || common % page_tokens == 0;
    const uint32_t all = common;
    if (common <= s.prompt_end() && divides)
      common =
          std::min<uint32_t>(common, static_cast<uint32_t>(tokens.size()) - 1) / page_tokens * page_tokens;
    // A state is that behind the last token: either all of it is gone on with, or nothing.
    if (carries && (common != all || common != s.computed || common == tokens.size())) return;
    if (common > best.common) best = {id, common, kept};
  };
  for (const SeqId id : kept_) look(id, true);
  for (const SeqId id : running_) look(id, false);
  const bool pooled = engine_.model().program.pooled;
  return best.common >= least_shared && !pooled ? best : Match{};
}

// Would each running one find another page if this one joined? Else it would soon drive one of them out, or
// be driven out itself, and what is computed by then would be computed again.
bool Sequences::leaves_pages(const Match& match, const Task& task) const {
  if (running_.empty() || engine_.model().program.pooled) return true;
  const bool last_kept = match.kept && kept_.size() == 1;  // is taken over, with all that it has
  const uint64_t shared =
      last_kept ? pages_of(engine_.sequence(match.id).tokens.size()) : match.common / page_tokens;
  return engine_.free_pages() + shared >= uint64_t{pages_of(task.tokens.size())} + running_.size();
}

// A kept sequence that is mostly the beginning of this one is taken over, another one is left as it is.
SeqId Sequences::join(const Match& match, const Task& task) {
  if (match.common == 0) return engine_.add(task);
  Task rest = task;
  rest.tokens.erase(rest.tokens.begin(), rest.tokens.begin() + match.common);
  const size_t length = engine_.sequence(match.id).tokens.size();
  const bool take_over = match.kept && (2 * size_t{match.common} >= length || kept_.size() == 1);
  if (!take_over) return engine_.fork(match.id, match.common, std::move(rest));
  std::erase(kept_, match.id);
  try {
    engine_.cut(match.id, match.common, std::move(rest));
  } catch (...) {
    engine_.remove(match.id);
    throw;
  }
  return match.id;
}

Sequences::Begun Sequences::begin(const Task& task) {
  for (;;) {
    const Match match = longest_match(task.tokens);
    if (!leaves_pages(match, task)) {
      const bool others = kept_.size() > (match.kept ? 1U : 0U);
      if (others && evict(match.id)) continue;
      throw Error(Code::busy, "running requests need the free pages of the cache",
                  "wait for them to end, or load the model with a larger context");
    }
    try {
      const SeqId id = join(match, task);
      running_.push_back(id);
      return {id, match.common};
    } catch (const Error& e) {
      if (e.code != Code::busy || !evict(match.id)) throw;
    }
  }
}

void Sequences::cut(SeqId id, uint32_t keep, Task task) { engine_.cut(id, keep, std::move(task)); }

void Sequences::rest(SeqId id) {
  std::erase(running_, id);
  if (engine_.model().program.pooled) {
    engine_.remove(id);
  } else {
    kept_.push_back(id);
  }
}

void Sequences::remove(SeqId id) {
  std::erase(running_, id);
  std::erase(kept_, id);
  engine_.remove(id);
}

// The longest unused one goes; `but_not` only when there is no other.
bool Sequences::evict(SeqId but_not) {
  if (kept_.empty()) return false;
  const auto at = std::find_if(kept_.begin(), kept_.end(), [&](SeqId id) { return id != but_not; });
  remove(at != kept_.end() ? *at : kept_.front());
  return true;
}

void Sequences::make_room() {
  while (engine_.free_pages() < running_.size() && evict({})) {
  }
}

bool Sequences::step() {
  make_room();
  return engine_.step();
}

}  // namespace hearth
