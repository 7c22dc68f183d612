#include "text/tokenizer/specials.h"

#include <algorithm>
#include <set>

#include "text/tokenizer/utf8.h"

namespace hearth::text {

namespace {

bool contains(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return text;
}

bool special(const Lexicon& x, size_t token) {
  return x.marker[token] || x.types[token] == TokenType::user_defined;
}

}  // namespace

// Answers whether a stretch lies inside a permit.
class SpecialCutter::Permits {
 public:
  explicit Permits(const std::vector<Permit>& permits) : permits_(permits) {}

  bool allow(size_t begin, size_t end) const {
    auto it = std::upper_bound(permits_.begin(), permits_.end(), begin,
                               [](size_t at, const Permit& p) { return at < p.begin; });
    return it != permits_.begin() && end <= std::prev(it)->end;
  }

 private:
  const std::vector<Permit>& permits_;
};

SpecialCutter::SpecialCutter(const Lexicon& x) : lexicon_(x) {
  std::vector<std::pair<std::string_view, uint32_t>> texts;
  std::set<size_t, std::greater<>> lengths;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!special(x, i) || x.tokens[i].empty()) continue;
    texts.emplace_back(x.tokens[i], static_cast<uint32_t>(i));
    lengths.insert(x.tokens[i].size());
  }
  trie_ = Trie(std::move(texts));
  lengths_.assign(lengths.begin(), lengths.end());

  eats_left_.assign(x.size(), false);
  eats_right_.assign(x.size(), false);
  const std::string name = lower_case(x.name);
  if (contains(name, {"phi-3", "phi3"})) {
    eats_ = true;
    for (size_t i = 0; i < x.size(); ++i) eats_right_[i] = special(x, i);
    for (auto text : {"<unk>", "<s>", "<|endoftext|>"})
      if (const auto id = x.find(text)) eats_right_[static_cast<size_t>(id->value)] = false;
  }
  const bool jina = x.pre == "jina-v2-de" || x.pre == "jina-v2-es" || x.pre == "jina-v2-code";
  if (jina || x.pre == "modern-bert" || contains(name, {"nomic-bert-moe"})) {
    eats_ = true;
    for (auto text : {"<mask>", "[MASK]"})
      if (const auto id = x.find(text)) eats_left_[static_cast<size_t>(id->value)] = true;
  }
}

SpecialCutter::Found SpecialCutter::longest(std::string_view text, size_t at, Permits& permits) const {
  Found found{at, at, {}};
  const Trie::Node* node = trie_.root();
  for (size_t end = at; end < text.size();) {
    node = trie_.step(node, text[end]);
    if (!node) break;
    ++end;
    if (node->value == Trie::none) continue;
    if (lexicon_.marker[node->value] && !permits.allow(at, end)) continue;
    found = {at, end, TokenId{static_cast<int32_t>(node->value)}};
  }
  return found;
}

std::vector<Fragment> SpecialCutter::cut(std::string_view text,
                                         const std::vector<Permit>& permit_list) const {
  Permits permits(permit_list);
  std::vector<Found> found;
  for (size_t at = 0; at < text.size() && !trie_.empty();) {
    const Found first = longest(text, at, permits);
    if (first.end == at) {
      ++at;
      continue;
    }
    // All tokens that overlap this one, or one another, are looked at together.
    size_t end = first.end;
    for (size_t inside = at + 1; inside < end; ++inside)
      end = std::max(end, longest(text, inside, permits).end);
    if (end == first.end) {
      found.push_back(first);
    } else {
      choose(text, at, end, permits, found);
    }
    at = end;
  }
  return fragments(text, found);
}

void SpecialCutter::choose(std::string_view text, size_t begin, size_t end, const Permits& permits,
                           std::vector<Found>& out) const {
  std::vector<Found> chosen;
  std::vector<Permit> gaps{{begin, end}}, rest;
  for (size_t length : lengths_) {
    rest.clear();
    for (const Permit& gap : gaps) {
      size_t done = gap.begin;
      for (size_t at = gap.begin; at + length <= gap.end;) {
        const auto token = lexicon_.find(text.substr(at, length));
        const bool takes =
            token && special(lexicon_, static_cast<size_t>(token->value)) &&
            (!lexicon_.marker[static_cast<size_t>(token->value)] || permits.allow(at, at + length));
        if (!takes) {
          ++at;
          continue;
        }
        if (at > done) rest.push_back({done, at});
        chosen.push_back({at, at + length, *token});
        at += length;
        done = at;
      }
      if (gap.end > done) rest.push_back({done, gap.end});
    }
    gaps.swap(rest);
  }
  std::sort(chosen.begin(), chosen.end(), [](const Found& a, const Found& b) { return a.begin < b.begin; });
  out.insert(out.end(), chosen.begin(), chosen.end());
}

std::vector<Fragment> SpecialCutter::fragments(std::string_view text, const std::vector<Found>& found) const {
  std::vector<Fragment> out;
  size_t done = 0;
  for (size_t i = 0; i <= found.size(); ++i) {
    size_t begin = done, end = i < found.size() ? found[i].begin : text.size();
    if (eats_ && i > 0 && eats_right_[static_cast<size_t>(found[i - 1].token.value)])
      while (begin < end && is_ascii_space(text[begin])) ++begin;
    if (eats_ && i < found.size() && eats_left_[static_cast<size_t>(found[i].token.value)])
      while (begin < end && is_ascii_space(text[end - 1])) --end;
    if (begin < end) out.push_back({text.substr(begin, end - begin), std::nullopt});
    if (i == found.size()) break;
    out.push_back({text.substr(found[i].begin, found[i].end - found[i].begin), found[i].token});
    done = found[i].end;
  }
  return out;
}

}  // namespace hearth::text
