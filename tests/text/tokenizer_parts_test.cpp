// The parts of the tokenizers by themselves.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/merge.h"
#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/rwkv_text.h"
#include "text/tokenizer/text_index.h"
#include "text/tokenizer/trie.h"
#include "text/tokenizer/utf8.h"

namespace hearth::text {

namespace {

TEST(TokenizerUtf8, BrokenBytesAreReplacedOneByOne) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(repaired_utf8("abc"), "abc");
  EXPECT_EQ(repaired_utf8("\xE4\xBD"), r + r);
  EXPECT_EQ(repaired_utf8("a\xC0\xAF"), "a" + r + r);
  EXPECT_EQ(repaired_utf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(repaired_utf8("\xF4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(repaired_utf8("\xF4\x8F\xBF\xBF"), "\xF4\x8F\xBF\xBF");
  EXPECT_EQ(valid_utf8_size("12345678\xC3\xA9\xFFxyz"), 10u);
}

TEST(TokenizerUtf8, CharactersRoundTrip) {
  for (uint32_t code : {0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xD7FFu, 0xE000u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    std::string bytes;
    append_utf8(bytes, code);
    const Character c = decode_character(bytes, 0);
    EXPECT_TRUE(c.valid);
    EXPECT_EQ(c.code, code);
    EXPECT_EQ(c.size, bytes.size());
  }
}

TEST(TokenizerByteLevel, EveryByteHasALetter) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(bytes_from_letters(letters_from_bytes(all)), all);
  EXPECT_EQ(letters_from_bytes(" \n"), "\u0120\u010A");
  EXPECT_EQ(bytes_from_letters("\u4f60"), std::nullopt);
}

TEST(TokenizerRwkvText, Unescapes) {
  EXPECT_EQ(unescape_rwkv(R"(a\n\t\r\\\'\"\x41\xff)"), "a\n\t\r\\'\"A\xff");
  EXPECT_EQ(unescape_rwkv(R"(\)"), "\\");
  EXPECT_EQ(unescape_rwkv(R"(\x4)"), "x4");
}

TEST(TokenizerIndex, NumbersTexts) {
  TextIndex index;
  EXPECT_EQ(index.find("a"), TextIndex::none);
  std::mt19937 random(1);
  std::map<std::string, uint32_t> expected;
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (auto n = 1 + random() % 20; n > 0; --n) text.push_back(static_cast<char>(random() % 3));
    const auto [it, fresh] = expected.emplace(text, static_cast<uint32_t>(expected.size()));
    EXPECT_EQ(index.add(text), it->second) << fresh;
  }
  for (const auto& [text, number] : expected) {
    EXPECT_EQ(index.find(text), number);
    EXPECT_EQ(index.text(number), text);
  }
  EXPECT_EQ(index.find("not there"), TextIndex::none);
}

TEST(TokenizerTrie, FindsWhatWasPutIn) {
  std::mt19937 random(2);
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (auto n = 1 + random() % 4; n > 0; --n) text.push_back(static_cast<char>(random() % 40 + 100));
    texts.push_back(text);
  }
  std::map<std::string, uint32_t> last;
  std::vector<std::pair<std::string_view, uint32_t>> entries;
  for (uint32_t i = 0; i < texts.size(); ++i) {
    last[texts[i]] = i;
    entries.emplace_back(texts[i], i);
  }
  const Trie trie(entries);
  const auto find = [&](std::string_view text) {
    const Trie::Node* node = trie.root();
    for (char c : text) node = node ? trie.step(node, c) : nullptr;
    return node ? node->value : Trie::none;
  };
  for (const auto& [text, value] : last) EXPECT_EQ(find(text), value);
  EXPECT_EQ(find("zzzzz"), Trie::none);
  EXPECT_TRUE(Trie().empty());
  EXPECT_EQ(Trie().step(Trie().root(), 'a'), nullptr);
}

// Both ways of merging against the plainest one, on random words and merges.
TEST(TokenizerMerger, MergesLowestRankFirst) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::map<std::pair<uint32_t, uint32_t>, Joined> rules;
    for (uint32_t i = 0; i < 30; ++i)
      rules.emplace(std::pair(random() % 12, random() % 12),
                    Joined{static_cast<uint32_t>(random() % 15), i % 12});
    const auto join = [&](const Symbol& l, const Symbol& r) {
      const auto it = rules.find({l.id, r.id});
      return it == rules.end() ? Joined{} : it->second;
    };
    Merger merger;
    for (uint32_t i = 0; i < 2 + random() % 80; ++i)
      merger.symbols.push_back({static_cast<uint32_t>(random() % 12), i, 1});
    std::vector<Symbol> plain = merger.symbols;
    merger.run(join);
    for (;;) {
      size_t best = 0;
      uint32_t rank = kNoRank;
      for (size_t i = 0; i + 1 < plain.size(); ++i) {
        if (join(plain[i], plain[i + 1]).rank >= rank) continue;
        rank = join(plain[i], plain[i + 1]).rank;
        best = i;
      }
      if (rank == kNoRank) break;
      plain[best].id = join(plain[best], plain[best + 1]).id;
      plain[best].size += plain[best + 1].size;
      plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    ASSERT_EQ(merger.symbols.size(), plain.size());
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_EQ(merger.symbols[i].id, plain[i].id);
      EXPECT_EQ(merger.symbols[i].begin, plain[i].begin);
      EXPECT_EQ(merger.symbols[i].size, plain[i].size);
    }
  }
}

std::string cut(std::string_view group, std::string_view text) {
  std::vector<uint32_t> ends;
  Pretokenizer(find_pretokenization(group)).cut(text, ends);
  std::string shown;
  size_t begin = 0;
  for (uint32_t end : ends) {
    shown.append(text.substr(begin, end - begin)).append("|");
    begin = end;
  }
  return shown;
}

TEST(TokenizerPre, KnownCuts) {
  EXPECT_EQ(cut("gpt-2", "Hello  they're 123 a_b"), "Hello| | they|'re| 123| a|_|b|");
  EXPECT_EQ(cut("llama3", "THEY'RE 12345\n\n  x"), "THEY|'RE| |123|45|\n\n| | x|");
  EXPECT_EQ(cut("qwen2", "a 12 (b)\r\n"), "a| |1|2| (|b|)\r\n|");
  EXPECT_EQ(cut("gpt-4o", "camelCase \u00C9T\u00C9 don't"), "camel|Case| \u00C9T\u00C9| don't|");
  EXPECT_EQ(cut("superbpe", "n=1234567!"), "n=|1|234|567|!|");
  EXPECT_EQ(cut("tiny_aya", "1234 12ab"), "1|234| |12|ab|");
  EXPECT_EQ(cut("afmoe", "v12345"), "v|12|345|");
  EXPECT_EQ(cut("deepseek-llm", "ab  \n  "), "ab|  |\n|  |");
  EXPECT_EQ(cut("jais-2", std::string(6, ' ') + "x"), "    | | x|");
  EXPECT_EQ(cut("exaone-moe", "two words, more"), "two words|,| more|");
  EXPECT_EQ(cut("kimi-k2", "Ab\u6F22\u5B57cd"), "Ab|\u6F22\u5B57|cd|");
  EXPECT_EQ(cut("gemma4", "a b\n\nc"), "a b|\n\n|c|");
  EXPECT_EQ(cut("default", "It's 12345"), "It|'|s| |123|45|");
  EXPECT_EQ(cut("gpt-2", ""), "");
}

// U+180E was a space once; U+0085, U+00A0, U+3000 are.
TEST(TokenizerPre, UnicodeWhiteSpace) {
  EXPECT_EQ(cut("gpt-2", "a\u00A0\u00A0b"), "a|\u00A0|\u00A0|b|");
  EXPECT_EQ(cut("gpt-2", "a\u180E\u180Eb"), "a|\u180E\u180E|b|");
  EXPECT_EQ(cut("gpt-2", "a\u200B\u200Bb"), "a|\u200B\u200B|b|");
}

// Every group cuts everything, loses nothing, and ends.
TEST(TokenizerPre, PiecesCoverTheText) {
  std::mt19937 random(4);
  const char* const parts[] = {
      "a",       "B", "\u00E9", "1",      "\u0663", " ",          "\n",     "\r",     "\t", "'s",
      "!",       "~", "\u6F22", "\u304B", "\u0301", "\U0001F600", "\u00A0", "\u200D", "_",  "<sentinel:1>",
      "IMGIMGAZ"};
  for (const PreName& name : pretokenizer_names()) {
    const Pretokenizer pretokenizer(find_pretokenization(name.group));
    for (int round = 0; round < 20; ++round) {
      std::string text;
      for (int i = 0; i < 60; ++i) text += parts[random() % std::size(parts)];
      std::vector<uint32_t> ends;
      pretokenizer.cut(text, ends);
      ASSERT_FALSE(ends.empty());
      EXPECT_EQ(ends.back(), text.size()) << name.name;
      for (size_t i = 1; i < ends.size(); ++i) ASSERT_LT(ends[i - 1], ends[i]) << name.name;
    }
  }
}

TEST(TokenizerPre, LongRunsTakeLinearTime) {
  std::string_view last;
  for (const PreName& name : pretokenizer_names()) {
    if (name.group == last) continue;
    last = name.group;
    const Pretokenizer pretokenizer(find_pretokenization(name.group));
    for (const char* unit :
         {"a", "A", " ", "\n", "1", "!", "\u6F22", "aA", " a", "\u0301", "\u0663", "\t", "a b c "}) {
      std::string text;
      while (text.size() < 60'000) text += unit;
      std::vector<uint32_t> ends;
      pretokenizer.cut(text + "x", ends);
      EXPECT_EQ(ends.back(), text.size() + 1) << name.name << unit;
    }
  }
}

}  // namespace

}  // namespace hearth::text
