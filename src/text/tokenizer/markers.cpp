#include "text/tokenizer/markers.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace hearth::text {

namespace {

using Texts = std::vector<std::string_view>;

// Texts that models give to the end of a turn, a message or a document. Published vocabularies seldom name
// more than one of theirs in the metadata.
const Texts kEnds = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
};

// The end of a turn, best first: an order of our own, so that the choice depends on nothing else.
const Texts kEndOfTurn = {"<|eot_id|>",      "<|im_end|>",
                          "<|end|>",         "<end_of_turn>",
                          "<turn|>",         "<|endoftext|>",
                          "<|end_of_text|>", "<EOT>",
                          "_<EOT>",          "<\uFF5Cend\u2581of\u2581sentence\uFF5C>"};
const Texts kEndOfMessage = {"<|eom_id|>"};

const Texts kFimPre = {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",
                       "<PRE>",          "\u2581<PRE>",  "<\uFF5Cfim\u2581begin\uFF5C>",
                       "<|code_prefix|>"};
const Texts kFimSuf = {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",
                       "<SUF>",          "\u2581<SUF>",  "<\uFF5Cfim\u2581hole\uFF5C>",
                       "<|code_suffix|>"};
const Texts kFimMid = {"<|fim_middle|>", "<fim-middle>", "<fim_middle>",
                       "<MID>",          "\u2581<MID>",  "<\uFF5Cfim\u2581end\uFF5C>",
                       "<|code_middle|>"};
const Texts kFimPad = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
const Texts kFimRep = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"};
const Texts kFimSep = {"<|file_sep|>"};

using Place = std::optional<TokenId>;

// Takes the ids that the file names and the usual ones of the family.
class Settler {
 public:
  Settler(Lexicon& lexicon, const Vocabulary& vocabulary) : x_(lexicon), v_(vocabulary) {}

  void named() {
    take("bos", v_.bos, x_.special.bos);
    take("eos", v_.eos, x_.special.eos);
    take("unknown", v_.unk, x_.special.unk);
    take("seperator", v_.sep, x_.special.sep);
    take("padding", v_.pad, x_.special.pad);
    take("cls", v_.cls, x_.special.cls);
    take("mask", v_.mask, x_.special.mask);
    take("eot", v_.eot, x_.special.eot);
    take("eom", v_.eom, x_.special.eom);
    take("fim_pre", v_.fim_pre, x_.special.fim_pre);
    take("fim_suf", v_.fim_suf, x_.special.fim_suf);
    take("fim_mid", v_.fim_mid, x_.special.fim_mid);
    take("fim_pad", v_.fim_pad, x_.special.fim_pad);
    take("fim_rep", v_.fim_rep, x_.special.fim_rep);
    take("fim_sep", v_.fim_sep, x_.special.fim_sep);
  }

  void usual() {
    SpecialTokens& s = x_.special;
    switch (x_.family) {
      case Family::spm:
        usual(s.unk, v_.unk, 0);
        usual(s.bos, v_.bos, 1);
        usual(s.eos, v_.eos, 2);
        break;
      case Family::wordpiece:
        usual(s.pad, v_.pad, 0);
        usual(s.unk, v_.unk, 100);
        usual(s.cls, v_.cls, 101);
        usual(s.sep, v_.sep, 102);
        usual(s.mask, v_.mask, 103);
        s.bos = s.cls;
        break;
      case Family::unigram:
        usual(s.pad, v_.pad, 0);
        usual(s.eos, v_.eos, 1);
        usual(s.unk, v_.unk, 2);
        break;
      default: break;
    }
  }

  // A token found by its text is a marker, whatever type the file gives it.
  void by_text(Place& place, const Texts& texts) {
    if (place) return;
    for (auto text : texts) {
      const auto id = x_.find(text);
      if (!id) continue;
      place = id;
      mark(*id);
      return;
    }
  }

  void mark(TokenId id) { x_.marker[static_cast<size_t>(id.value)] = true; }

 private:
  bool inside(TokenId id) const { return id.value >= 0 && static_cast<size_t>(id.value) < x_.size(); }

  void take(std::string_view name, const Place& named, Place& place) {
    if (!named) return;
    if (inside(*named)) {
      place = named;
    } else {
      x_.notes.push_back(fmt::format("tokenizer.ggml.{}_token_id {} is outside the vocabulary and ignored",
                                     name, static_cast<uint32_t>(named->value)));
    }
  }

  void usual(Place& place, const Place& named, int32_t id) const {
    if (!named && inside(TokenId{id})) place = TokenId{id};
  }

  Lexicon& x_;
  const Vocabulary& v_;
};

std::vector<TokenId> end_tokens(const Lexicon& x, const Vocabulary& v) {
  const SpecialTokens& s = x.special;
  std::vector<TokenId> ends;
  for (const Place& place : {s.eos, s.eot, s.eom, s.fim_pad, s.fim_rep, s.fim_sep})
    if (place) ends.push_back(*place);
  for (TokenId id : v.more_eos)
    if (id.value >= 0 && static_cast<size_t>(id.value) < x.size()) ends.push_back(id);
  for (auto text : kEnds)
    if (const auto id = x.find(text)) ends.push_back(*id);
  const auto drop = [&](std::string_view text) {
    if (const auto id = x.find(text)) std::erase(ends, *id);
  };
  // gpt-oss and solar-open close every message with <|end|>; the answer goes on behind it.
  const bool goes_on =
      (x.find("<|return|>") && x.find("<|call|>")) || (x.find("<|calls|>") && x.find("<|flush|>"));
  if (goes_on) drop("<|end|>");
  // gemma4 answers in HTML, where </s> ends struck-out text.
  if (v.model == "gemma4") drop("</s>");
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

}  // namespace

void settle_markers(Lexicon& x, const Vocabulary& v) {
  x.marker.assign(x.size(), false);
  if (v.model == "gemma4")
    if (const auto id = x.find("</s>")) x.types[static_cast<size_t>(id->value)] = TokenType::normal;
  for (size_t i = 0; i < x.size(); ++i)
    x.marker[i] = x.types[i] == TokenType::control || x.types[i] == TokenType::unknown;
  Settler settler(x, v);
  settler.named();
  settler.usual();
  SpecialTokens& s = x.special;
  settler.by_text(s.eot, kEndOfTurn);
  settler.by_text(s.eom, kEndOfMessage);
  settler.by_text(s.fim_pre, kFimPre);
  settler.by_text(s.fim_suf, kFimSuf);
  settler.by_text(s.fim_mid, kFimMid);
  settler.by_text(s.fim_pad, kFimPad);
  settler.by_text(s.fim_rep, kFimRep);
  settler.by_text(s.fim_sep, kFimSep);
  x.ends = end_tokens(x, v);
  for (auto text : kEnds)
    if (const auto id = x.find(text); id && std::binary_search(x.ends.begin(), x.ends.end(), *id))
      settler.mark(*id);
}

}  // namespace hearth::text
