#include <algorithm>
#include <mutex>
#include <utility>

#include "text/grammar.h"
#include "text/grammar/calls.h"
#include "text/grammar/frame.h"
#include "text/grammar/gbnf.h"
#include "text/grammar/machine.h"
#include "text/grammar/schema.h"
#include "text/grammar/token_tree.h"

namespace hearth {

namespace {

constexpr size_t most_machines = 2;  // vocabularies for which a grammar keeps what was found out

}  // namespace

struct Grammar::State {
  std::shared_ptr<const grammar::Automaton> automaton;
  std::mutex mutex;
  std::vector<std::shared_ptr<grammar::Machine>> machines;  // guarded by mutex; used last first

  std::shared_ptr<grammar::Machine> machine(const std::shared_ptr<const TokenTable>& tokens) {
    const std::lock_guard lock(mutex);
    auto at = std::find_if(machines.begin(), machines.end(),
                           [&](const auto& m) { return m->tokens() == tokens.get(); });
    if (at == machines.end()) {
      machines.push_back(std::make_shared<grammar::Machine>(automaton, tokens));
      at = machines.end() - 1;
    }
    std::rotate(machines.begin(), at, at + 1);
    if (machines.size() > most_machines) machines.pop_back();
    return machines.front();
  }
};

namespace {

std::shared_ptr<Grammar::State> state_of(const grammar::Tree& tree) {
  auto state = std::make_shared<Grammar::State>();
  state->automaton = std::make_shared<const grammar::Automaton>(grammar::compile(tree));
  return state;
}

}  // namespace

Grammar Grammar::from_gbnf(std::string_view text, const GrammarFrame& frame) {
  return Grammar(state_of(grammar::framed(grammar::parse_gbnf(text), frame)));
}

Grammar Grammar::from_schema(const Json& schema, const GrammarFrame& frame) {
  return Grammar(state_of(grammar::framed(grammar::schema_tree(schema), frame)));
}

Grammar Grammar::json(const GrammarFrame& frame) {
  return Grammar(state_of(grammar::framed(grammar::json_object_tree(), frame)));
}

std::optional<Grammar> Grammar::of_calls(const OutputFormat& format, const Json& tools,
                                         const CallDemand& demand, const GrammarFrame& frame) {
  auto tree = grammar::calls_tree(format, tools, demand, frame);
  if (!tree) return std::nullopt;
  return Grammar(state_of(*tree));
}

bool Grammar::matches(std::string_view text) const {
  grammar::Matcher matcher(state_->automaton);
  return matcher.accepts(matcher.follow(matcher.start(), text));
}

bool Grammar::begins(std::string_view text) const {
  grammar::Matcher matcher(state_->automaton);
  return matcher.alive(matcher.follow(matcher.start(), text));
}

TokenTable::TokenTable(std::unique_ptr<const grammar::TokenTree> tree) : tree_(std::move(tree)) {}
TokenTable::~TokenTable() = default;

size_t TokenTable::size() const noexcept { return tree_->size(); }

std::shared_ptr<const TokenTable> TokenTable::create(std::span<const std::string> bytes,
                                                     std::vector<TokenId> end_tokens) {
  auto tree = std::make_unique<const grammar::TokenTree>(bytes, std::move(end_tokens));
  return std::shared_ptr<const TokenTable>(new TokenTable(std::move(tree)));
}

std::shared_ptr<const TokenTable> TokenTable::create(const Tokenizer& tokenizer,
                                                     std::span<const std::string> markers) {
  std::vector<std::string> bytes(tokenizer.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    const TokenId token{static_cast<int32_t>(i)};
    const std::string_view piece = tokenizer.piece(token);
    const bool seen =
        !tokenizer.is_control(token) || (std::find(markers.begin(), markers.end(), piece) != markers.end() &&
                                         !tokenizer.ends_generation(token));
    if (seen) bytes[i] = piece;
  }
  return create(bytes, tokenizer.end_tokens());
}

// Looks for the trigger as the Knuth-Morris-Pratt method does.
struct GrammarFilter::Trigger {
  std::string text;
  std::vector<uint32_t> fallback;  // [length]: the longest proper prefix that text[0 … length] ends with
  uint32_t matched = 0;
  // [matched]: tokens that complete the trigger and go on with what the grammar does not allow.
  std::vector<std::unique_ptr<std::vector<uint32_t>>> refused;

  explicit Trigger(std::string wanted)
      : text(std::move(wanted)), fallback(text.size(), 0), refused(text.size()) {
    for (size_t i = 1; i < text.size(); ++i) {
      uint32_t length = fallback[i - 1];
      while (length > 0 && text[length] != text[i]) length = fallback[length - 1];
      fallback[i] = length + (text[length] == text[i] ? 1 : 0);
    }
  }

  // Moves `at` over the bytes; gives how many were used when the trigger is complete, else npos.
  size_t find(std::string_view bytes, uint32_t& at) const {
    for (size_t i = 0; i < bytes.size(); ++i) {
      while (at > 0 && text[at] != bytes[i]) at = fallback[at - 1];
      if (text[at] == bytes[i]) ++at;
      if (at == text.size()) return i + 1;
    }
    return std::string_view::npos;
  }
};

GrammarFilter::GrammarFilter(const Grammar& grammar, std::shared_ptr<const TokenTable> tokens,
                             GrammarFilterOptions options)
    : tokens_(std::move(tokens)), machine_(grammar.state_->machine(tokens_)), place_(machine_->enter()) {
  active_ = options.active && options.trigger.empty();
  if (!options.trigger.empty()) trigger_ = std::make_unique<Trigger>(std::move(options.trigger));
}

GrammarFilter::~GrammarFilter() { machine_->leave(place_); }

void GrammarFilter::mask(std::span<uint64_t> allowed) const {
  if (active_) {
    machine_->mask(place_, allowed);
  } else if (trigger_) {
    mask_waiting(allowed);
  }
}

void GrammarFilter::mask_waiting(std::span<uint64_t> allowed) const {
  std::unique_ptr<std::vector<uint32_t>>& refused = trigger_->refused[trigger_->matched];
  if (!refused) {
    refused = std::make_unique<std::vector<uint32_t>>();
    const grammar::TokenTree& tree = tokens_->tree();
    for (uint32_t rank = 0; rank < tree.ranks(); ++rank) {
      const std::string_view bytes = tree.bytes(rank);
      uint32_t at = trigger_->matched;
      const size_t used = trigger_->find(bytes, at);
      if (used < bytes.size() && !machine_->begins(bytes.substr(used))) refused->push_back(tree.token(rank));
    }
  }
  for (const uint32_t token : *refused)
    if (token / 64 < allowed.size()) allowed[token / 64] &= ~(uint64_t{1} << (token % 64));
}

void GrammarFilter::accept(TokenId token) {
  if (active_) {
    machine_->accept(place_, token);
    return;
  }
  if (!trigger_) return;
  const std::string_view bytes = tokens_->tree().bytes_of(token);
  const size_t used = trigger_->find(bytes, trigger_->matched);
  if (used == std::string_view::npos) return;
  set_active();
  machine_->follow(place_, bytes.substr(used));
}

void GrammarFilter::set_active() {
  active_ = true;
  trigger_.reset();
}

bool GrammarFilter::may_end() const { return !active_ || machine_->may_end(place_); }

bool GrammarFilter::must_end() const { return active_ && machine_->must_end(place_); }

}  // namespace hearth
