#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "text/tokenizer/encoder.h"
#include "text/tokenizer/lexicon.h"
#include "text/tokenizer/specials.h"

namespace hearth {

struct Tokenizer::State {
  text::Lexicon lexicon;
  std::string pieces;            // of all tokens, one after the other
  std::vector<size_t> piece_at;  // [token] where its piece begins; one more at the end
  std::unique_ptr<const text::SpecialCutter> specials;
  std::unique_ptr<const text::Encoder> encoder;

  bool knows(TokenId token) const noexcept {
    return token.value >= 0 && static_cast<size_t>(token.value) < lexicon.size();
  }

  void add_front(std::vector<TokenId>& out) const {
    if (lexicon.add_bos && lexicon.special.bos) out.push_back(*lexicon.special.bos);
  }

  void add_back(std::vector<TokenId>& out) const {
    if (lexicon.family == text::Family::wordpiece) {
      if (lexicon.special.sep) out.push_back(*lexicon.special.sep);
    } else if (lexicon.add_eos && lexicon.special.eos) {
      out.push_back(*lexicon.special.eos);
    }
  }

  void encode(std::string_view all, const std::vector<text::Permit>& permits, bool allow_markers,
              std::vector<TokenId>& out) const {
    constexpr size_t limit = size_t{1} << 30;
    if (all.size() >= limit)
      throw Error(Code::bad_request, fmt::format("a text of {} bytes is too long", all.size()),
                  "send less text");
    bool after_special = true;
    for (const text::Fragment& fragment : specials->cut(all, permits)) {
      if (fragment.token) {
        out.push_back(*fragment.token);
      } else {
        encoder->encode(fragment.text, {after_special, allow_markers}, out);
      }
      after_special = fragment.token.has_value();
    }
  }
};

Tokenizer::Tokenizer(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::create(Vocabulary vocabulary) {
  auto state = std::make_unique<State>();
  state->lexicon = text::check(std::move(vocabulary));
  for (size_t i = 0; i < state->lexicon.size(); ++i) {
    state->piece_at.push_back(state->pieces.size());
    state->pieces += text::piece_of(state->lexicon, i);
  }
  state->piece_at.push_back(state->pieces.size());
  state->specials = std::make_unique<text::SpecialCutter>(state->lexicon);
  state->encoder = text::make_encoder(state->lexicon);
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(state)));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<TokenId> out;
  if (options.add_special) state_->add_front(out);
  std::vector<text::Permit> permits;
  if (options.parse_special) permits.push_back({0, text.size()});
  state_->encode(text, permits, true, out);
  if (options.add_special) state_->add_back(out);
  return out;
}

std::vector<TokenId> Tokenizer::encode(const Prompt& prompt, bool add_special) const {
  std::string all;
  std::vector<text::Permit> permits;
  for (const Part& part : prompt) {
    const size_t begin = all.size();
    all += part.text;
    if (part.origin != Origin::model || part.text.empty()) continue;
    if (!permits.empty() && permits.back().end == begin) {
      permits.back().end = all.size();
    } else {
      permits.push_back({begin, all.size()});
    }
  }
  std::vector<TokenId> out;
  if (add_special) state_->add_front(out);
  const size_t front = out.size();
  state_->encode(all, permits, false, out);
  if (front > 0 && out.size() > front && out[front] == out[front - 1]) out.erase(out.begin());
  if (add_special) state_->add_back(out);
  return out;
}

std::string_view Tokenizer::piece(TokenId token) const noexcept {
  if (!state_->knows(token)) return {};
  const auto i = static_cast<size_t>(token.value);
  return std::string_view(state_->pieces)
      .substr(state_->piece_at[i], state_->piece_at[i + 1] - state_->piece_at[i]);
}

std::string Tokenizer::decode(std::span<const TokenId> tokens) const {
  std::string out;
  for (TokenId token : tokens) out += piece(token);
  if (strips_leading_space() && out.starts_with(' ')) out.erase(0, 1);
  return out;
}

bool Tokenizer::strips_leading_space() const noexcept { return state_->lexicon.add_space_prefix; }

std::string_view Tokenizer::text(TokenId token) const noexcept {
  if (!state_->knows(token)) return {};
  return state_->lexicon.text(token);
}

std::optional<TokenId> Tokenizer::find(std::string_view text) const noexcept {
  return state_->lexicon.find(text);
}

bool Tokenizer::ends_generation(TokenId token) const noexcept {
  return std::binary_search(state_->lexicon.ends.begin(), state_->lexicon.ends.end(), token);
}

const std::vector<TokenId>& Tokenizer::end_tokens() const noexcept { return state_->lexicon.ends; }

bool Tokenizer::is_control(TokenId token) const noexcept {
  return state_->knows(token) && state_->lexicon.marker[static_cast<size_t>(token.value)];
}

std::optional<TokenId> Tokenizer::bos() const noexcept { return state_->lexicon.special.bos; }
std::optional<TokenId> Tokenizer::eos() const noexcept { return state_->lexicon.special.eos; }
const SpecialTokens& Tokenizer::special() const noexcept { return state_->lexicon.special; }
bool Tokenizer::adds_bos() const noexcept { return state_->lexicon.add_bos; }
bool Tokenizer::adds_eos() const noexcept { return state_->lexicon.add_eos; }
bool Tokenizer::adds_sep() const noexcept { return state_->lexicon.add_sep; }
size_t Tokenizer::size() const noexcept { return state_->lexicon.size(); }
const std::vector<std::string>& Tokenizer::notes() const noexcept { return state_->lexicon.notes; }

}  // namespace hearth
