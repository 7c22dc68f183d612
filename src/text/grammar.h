#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/json.h"
#include "text/output.h"
#include "text/token_filter.h"
#include "text/tokenizer.h"

namespace hearth {

namespace grammar {
class TokenTree;
class Machine;
}  // namespace grammar

// The bytes of each token, arranged so that the tokens a grammar allows are found quickly. Built once per
// vocabulary (about 0.1 s for 150,000 tokens); immutable and safe to share between threads.
class TokenTable final {
 public:
  // bytes[i] is what token i adds to the text; the empty string marks tokens that are not text and are never
  // allowed. End tokens are allowed exactly where the text may end. Throws Error(bad_request) where an end
  // token is outside the vocabulary.
  static std::shared_ptr<const TokenTable> create(std::span<const std::string> bytes,
                                                  std::vector<TokenId> end_tokens);
  // Control tokens are no text, except those that are spelt like one of `markers`.
  static std::shared_ptr<const TokenTable> create(const Tokenizer& tokenizer,
                                                  std::span<const std::string> markers = {});

  ~TokenTable();
  TokenTable(const TokenTable&) = delete;
  TokenTable& operator=(const TokenTable&) = delete;

  size_t size() const noexcept;
  const grammar::TokenTree& tree() const noexcept { return *tree_; }  // for the parts of the grammar

 private:
  explicit TokenTable(std::unique_ptr<const grammar::TokenTree> tree);

  std::unique_ptr<const grammar::TokenTree> tree_;
};

// What may stand before the answer that a grammar is for: the model's thinking.
struct GrammarFrame {
  std::string think_open, think_close;  // empty: nothing
  bool opened = false;                  // the prompt has opened the thinking, which is to be closed then
  bool channels = false;                // the answer is the last of several messages (CallStyle::channels)
};

struct CallDemand {
  bool must = false;    // false: text is an answer too
  bool several = true;  // more than one call may follow each other
};

// Which texts may be generated. Immutable; copies share what they are made of and what was found out about
// which tokens are allowed where, so keep a grammar for the next request that has the same. Thread-safe.
class Grammar final {
 public:
  // GBNF: rules `name ::= …` with a rule `root`. Throws Error(bad_request) with line and column.
  static Grammar from_gbnf(std::string_view text, const GrammarFrame& frame = {});
  // A JSON Schema (an object, or true for any value). Texts are valid under the schema; objects have their
  // properties in the declared order, and others only where additionalProperties asks for them. Throws Error:
  // `unsupported` naming a keyword that cannot be kept and its place, `bad_request` for a schema that is
  // wrong or that nothing satisfies.
  static Grammar from_schema(const Json& schema, const GrammarFrame& frame = {});
  // Any JSON object.
  static Grammar json(const GrammarFrame& frame = {});
  // Calls of the tools as the model spells them: names of tools, arguments under their schemas. A schema that
  // cannot be kept allows any object, or is an error where the tool says "strict". None: calls of this style
  // cannot be told from text before they end, so only demanded ones can be held to a grammar.
  static std::optional<Grammar> of_calls(const OutputFormat& format, const Json& tools,
                                         const CallDemand& demand, const GrammarFrame& frame = {});

  // Whether the whole text is one of the grammar's.
  bool matches(std::string_view text) const;
  // Whether a text of the grammar begins so.
  bool begins(std::string_view text) const;

  struct State;

 private:
  friend class GrammarFilter;
  explicit Grammar(std::shared_ptr<State> state) : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
};

struct GrammarFilterOptions {
  // Without a trigger the grammar holds from the first token. Otherwise every token passes until the text has
  // this in it; what follows it is held to the grammar.
  std::string trigger;
  // False: every token passes until set_active() is called, which takes the place of a trigger.
  bool active = true;
};

// A grammar followed along one generated text. Throws Error(bad_request) from mask() and accept() where a
// grammar is too ambiguous to be followed in time. Filters of one grammar may be used by different threads.
class GrammarFilter final : public TokenFilter {
 public:
  GrammarFilter(const Grammar& grammar, std::shared_ptr<const TokenTable> tokens,
                GrammarFilterOptions options = {});
  ~GrammarFilter() override;
  GrammarFilter(const GrammarFilter&) = delete;
  GrammarFilter& operator=(const GrammarFilter&) = delete;

  void mask(std::span<uint64_t> allowed) const override;
  // A token that was not allowed leaves nothing but the end tokens allowed.
  void accept(TokenId token) override;

  // From the next token on the text is held to the grammar.
  void set_active();
  bool active() const noexcept { return active_; }
  // The text may end here (true also before the grammar is active).
  bool may_end() const;
  // Only the end may follow: generation can stop without asking the model.
  bool must_end() const;

 private:
  struct Trigger;
  void mask_waiting(std::span<uint64_t> allowed) const;

  std::shared_ptr<const TokenTable> tokens_;
  std::shared_ptr<grammar::Machine> machine_;
  size_t place_ = 0;  // in the machine
  bool active_ = true;
  std::unique_ptr<Trigger> trigger_;
};

}  // namespace hearth
