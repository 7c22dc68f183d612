// All vectors of the reference: every vocabulary, every text.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>

#include "base/file.h"
#include "text/detokenizer.h"
#include "text/tokenizer/pretokenizer.h"
#include "tokenizer_support.h"

namespace hearth {

namespace {

using test::bytes_of;
using test::ids_of;
using test::values;

const char* const kVocabularies[] = {"llama-spm",   "bert-bge",     "t5-small",  "phi-3",  "spm-gemma-flags",
                                     "gpt-2",       "llama-bpe",    "qwen2",     "falcon", "starcoder",
                                     "gemma4-like", "deepseek-llm", "rwkv-world"};

// Loaded once for all tests.
const Tokenizer& load(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Tokenizer>> loaded;
  auto& tokenizer = loaded[name];
  if (!tokenizer)
    tokenizer = Tokenizer::create(
        test::read_vocabulary(test::reference_dir() / "tokenizer" / "vocab" / (name + ".gguf.xz")));
  return *tokenizer;
}

class TokenizerReference : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
    tokenizer_ = &load(GetParam());
    file_ = test::read_json(test::reference_dir() / "tokenizer" / (std::string(GetParam()) + ".json"));
  }

  const Tokenizer* tokenizer_ = nullptr;
  Json file_;
};

// Surrogates and overlong forms: the reference lets them through, hearth takes them for broken.
bool information_only(const std::string& text, std::string_view model) {
  const bool odd =
      text.find("\xED\xA0\x80") != std::string::npos || text.find("\xC0\xAF") != std::string::npos;
  return odd && (model == "gpt2" || model == "gemma4" || model == "bert");
}

TEST_P(TokenizerReference, Metadata) {
  const json::object& f = file_.as_object();
  EXPECT_EQ(tokenizer_->size(), f.at("n_tokens").to_number<size_t>());
  EXPECT_EQ(values(tokenizer_->end_tokens()), values(ids_of(f.at("eog"))));
  EXPECT_EQ(tokenizer_->adds_bos(), f.at("add_bos").as_bool());
  EXPECT_EQ(tokenizer_->adds_eos(), f.at("add_eos").as_bool());
  EXPECT_EQ(tokenizer_->adds_sep(), f.at("add_sep").as_bool());
  EXPECT_EQ(tokenizer_->strips_leading_space(), f.at("add_space_prefix").as_bool());
  const json::object& special = f.at("special").as_object();
  const SpecialTokens& s = tokenizer_->special();
  const auto check = [&](std::string_view key, const std::optional<TokenId>& id) {
    EXPECT_EQ(id.value_or(TokenId{-1}).value, special.at(key).to_number<int32_t>()) << key;
  };
  check("bos", s.bos);
  check("eos", s.eos);
  check("sep", s.sep);
  check("pad", s.pad);
  check("mask", s.mask);
  check("fim_pre", s.fim_pre);
  check("fim_suf", s.fim_suf);
  check("fim_mid", s.fim_mid);
  check("fim_pad", s.fim_pad);
  check("fim_rep", s.fim_rep);
  check("fim_sep", s.fim_sep);
}

TEST_P(TokenizerReference, Pieces) {
  for (const Json& entry : file_.at("pieces").as_array()) {
    const json::object& o = entry.as_object();
    const TokenId id{o.at("id").to_number<int32_t>()};
    EXPECT_EQ(tokenizer_->piece(id), bytes_of(o, "piece")) << "token " << id.value;
  }
}

TEST_P(TokenizerReference, Encode) {
  size_t passed = 0, informative = 0, failed = 0;
  for (const Json& entry : file_.at("cases").as_array()) {
    const json::object& o = entry.as_object();
    const std::string text = bytes_of(o, "text");
    const EncodeOptions options{o.at("add_special").as_bool(), o.at("parse_special").as_bool()};
    const auto ids = values(tokenizer_->encode(text, options));
    const Json* other = o.if_contains("ids_alt");
    if (ids == values(ids_of(o.at("ids"))) || (other && ids == values(ids_of(*other)))) {
      ++passed;
    } else if (information_only(text, file_.at("model").as_string())) {
      ++informative;
    } else if (++failed <= 10) {
      ADD_FAILURE() << json::serialize(entry) << "\n gives " << testing::PrintToString(ids);
    }
  }
  EXPECT_EQ(failed, 0u);
  fmt::print("{}: {} of {} cases equal, {} for information only\n", GetParam(), passed,
             file_.at("cases").as_array().size(), informative);
}

TEST_P(TokenizerReference, Decode) {
  for (const Json& entry : file_.at("cases").as_array()) {
    const json::object& o = entry.as_object();
    const auto ids = ids_of(o.at("ids"));
    const std::string expected = bytes_of(o, "decoded");
    ASSERT_EQ(tokenizer_->decode(ids), expected) << json::serialize(entry);
    Detokenizer stream(*tokenizer_);
    std::string streamed, whole;
    for (TokenId id : ids) streamed += stream.push(id);
    streamed += stream.flush();
    Utf8Stream bytes;
    bytes.push(expected, whole);
    bytes.flush(whole);
    ASSERT_EQ(streamed, whole) << json::serialize(entry);
  }
}

TEST_P(TokenizerReference, SurvivesWhatTheReferenceDoesNot) {
  for (const Json& hex : file_.at("must_not_crash_hex").as_array()) {
    const std::string text = test::from_hex(std::string_view(hex.as_string()));
    EXPECT_LE(tokenizer_->encode(text, {true, true}).size(), text.size() * 4 + 2);
  }
}

// Parts of one origin are one text; between origins only control tokens differ.
TEST_P(TokenizerReference, PromptsOfOneOriginAreOneText) {
  for (const Json& entry : file_.at("cases").as_array()) {
    const json::object& o = entry.as_object();
    if (o.at("add_special").as_bool()) continue;
    const std::string text = bytes_of(o, "text");
    const bool special = o.at("parse_special").as_bool();
    const Origin origin = special ? Origin::model : Origin::user;
    const size_t half = text.size() / 2;
    const Prompt prompt = {{text.substr(0, half), origin}, {"", Origin::model}, {text.substr(half), origin}};
    const auto ids = tokenizer_->encode(prompt, false);
    if (std::string_view(GetParam()) != "rwkv-world") {
      ASSERT_EQ(values(ids), values(tokenizer_->encode(text, {false, special}))) << json::serialize(entry);
    }
    if (special) continue;
    for (TokenId id : ids)
      ASSERT_FALSE(tokenizer_->is_control(id) && id != tokenizer_->special().unk) << id.value;
  }
}

TEST_P(TokenizerReference, LongText) {
  const auto dir = test::reference_dir() / "tokenizer";
  const std::string text = read_file(dir / "longtext.txt");
  const Json file = test::read_json(dir / "longtext.json");
  const Json* expected = file.at("results").as_object().if_contains(GetParam());
  ASSERT_NE(expected, nullptr);
  const auto start = std::chrono::steady_clock::now();
  const auto ids = values(tokenizer_->encode(text, {false, false}));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ASSERT_EQ(ids.size(), expected->at("n_ids").to_number<size_t>());
  const std::string path = testing::TempDir() + "hearth_ids_" + GetParam();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(ids.data()), static_cast<std::streamsize>(ids.size() * 4));
  const std::string sum = test::output_of("sha256sum '" + path + "'").substr(0, 64);
  std::filesystem::remove(path);
  EXPECT_EQ(sum, std::string(expected->at("sha256_of_int32_le_ids").as_string()));
  EXPECT_LT(seconds, 5.0);
  fmt::print("{}: {:.1f} MB/s at the first try\n", GetParam(),
             static_cast<double>(text.size()) / seconds / 1e6);
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerReference, testing::ValuesIn(kVocabularies), [](const auto& name) {
  std::string plain = name.param;
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
});

std::vector<std::string> cut(const text::Pretokenizer& pretokenizer, std::string_view text) {
  std::vector<uint32_t> ends;
  pretokenizer.cut(text, ends);
  std::vector<std::string> pieces;
  size_t begin = 0;
  for (uint32_t end : ends) {
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

std::vector<std::string> not_empty(const Json& list) {
  std::vector<std::string> out;
  for (const Json& text : list.as_array())
    if (!text.as_string().empty()) out.emplace_back(text.as_string());
  return out;
}

TEST(PretokenizerReference, AllGroups) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  const Json file = test::read_json(test::reference_dir() / "tokenizer" / "pretokenizer.json");
  for (const Json& entry : file.at("groups").as_array()) {
    const std::string group(entry.at("group").as_string());
    const text::Pretokenizer pretokenizer(text::find_pretokenization(group));
    size_t by_pattern = 0, by_reference = 0, failed = 0;
    for (const Json& c : entry.at("cases").as_array()) {
      const auto pieces = cut(pretokenizer, c.at("text").as_string());
      const Json* pattern = c.as_object().if_contains("pieces_by_pattern");
      if (pieces == not_empty(pattern ? *pattern : c.at("pieces"))) {
        ++by_pattern;
      } else if (pieces == not_empty(c.at("pieces"))) {
        ++by_reference;
      } else if (++failed <= 5) {
        ADD_FAILURE() << group << ": " << json::serialize(c) << "\n gives " << testing::PrintToString(pieces);
      }
    }
    fmt::print("{}: {} cases as the patterns have it, {} only as the reference, {} failed\n", group,
               by_pattern, by_reference, failed);
    for (const Json& name : entry.at("pre").as_array()) {
      EXPECT_EQ(text::find_pretokenizer(name.as_string()).group, group) << name;
      EXPECT_EQ(text::find_pretokenizer(name.as_string()).byte_level, entry.at("byte_level").as_bool())
          << name;
    }
  }
}

TEST(PretokenizerReference, Flags) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  const Json file = test::read_json(test::reference_dir() / "tokenizer" / "pretokenizer.json");
  const json::object& flags = file.at("flags_by_pre_name").as_object();
  const auto lists = [&](std::string_view key, std::string_view name) {
    for (const Json& entry : flags.at(key).as_array())
      if (entry.as_string() == name) return true;
    return false;
  };
  for (const text::PreName& row : text::pretokenizer_names()) {
    EXPECT_EQ(row.ignore_merges, lists("ignore_merges", row.name)) << row.name;
    EXPECT_EQ(row.add_bos, lists("add_bos_default", row.name)) << row.name;
    EXPECT_EQ(row.add_sep, lists("add_sep_default", row.name)) << row.name;
    EXPECT_EQ(!row.byte_level, lists("escape_spaces_to_u2581", row.name)) << row.name;
  }
}

}  // namespace

}  // namespace hearth
