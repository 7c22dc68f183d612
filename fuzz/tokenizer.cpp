// Any text, any vocabulary: nothing crashes, text comes back where it must, a user's text never becomes a
// control token. Input: one byte chooses a ready vocabulary (and the rest is text) or one made of the input
// itself.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/detokenizer.h"
#include "text/stop.h"
#include "text/tokenizer.h"

namespace hearth {

namespace {

constexpr const char* kModels[] = {"gpt2", "llama", "gemma4", "bert", "t5", "rwkv"};
constexpr const char* kPres[] = {"",        "gpt-2",        "llama-bpe", "qwen2",     "gpt-4o",
                                 "kimi-k2", "deepseek-llm", "superbpe",  "tiny_aya",  "afmoe",
                                 "jais-2",  "chameleon",    "gemma4",    "exaone-moe"};

void require(bool holds) {
  if (!holds) std::abort();
}

// Letters of gpt2 for all bytes, as their own table spells them.
std::vector<std::string> byte_letters() {
  std::vector<std::string> letters;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    const int code = prints ? byte : next++;
    std::string letter;
    if (code < 128) {
      letter = static_cast<char>(code);
    } else {
      letter = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
    }
    letters.push_back(letter);
  }
  return letters;
}

Vocabulary ready(size_t model) {
  static constexpr char digits[] = "0123456789ABCDEF";
  Vocabulary v;
  v.model = kModels[model];
  v.pre = "llama-bpe";
  const auto add = [&](const std::string& text, TokenType type) {
    v.tokens.push_back(text);
    v.types.push_back(type);
    v.scores.push_back(-static_cast<float>(v.tokens.size() / 2));
  };
  add("<unk>", TokenType::unknown);
  add("<s>", TokenType::control);
  add("</s>", TokenType::control);
  add("<think>", TokenType::user_defined);
  add("  ", TokenType::user_defined);
  v.unk = TokenId{0};
  v.bos = TokenId{1};
  v.eos = TokenId{2};
  v.cls = TokenId{1};
  v.sep = TokenId{2};
  const std::vector<std::string> letters = byte_letters();
  for (size_t byte = 0; byte < 256; ++byte) {
    if (v.model == "gpt2") add(letters[byte], TokenType::normal);
    if (v.model == "llama" || v.model == "gemma4")
      add({'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'}, TokenType::byte);
    if (v.model == "rwkv") add({'\\', 'x', digits[byte / 16], digits[byte % 16]}, TokenType::normal);
  }
  const std::string space = v.model == "gpt2" ? "\u0120" : v.model == "rwkv" ? " " : "\u2581";
  for (const std::string& front : {std::string(), space})
    for (const char* word : {"t", "th", "the", "h", "he", "e", "1", "11", "s", "<"})
      add(front + word, TokenType::normal);
  if (space == "\u2581") add(space, TokenType::normal);
  v.merges = {"t h", "h e", "th e", "1 1", space + " t", space + "t h", space + "th e", "< s", "<s >"};
  return v;
}

const Tokenizer& tokenizer(size_t model) {
  static const auto all = [] {
    std::vector<std::unique_ptr<Tokenizer>> made;
    for (size_t i = 0; i < std::size(kModels); ++i) made.push_back(Tokenizer::create(ready(i)));
    return made;
  }();
  return *all[model];
}

void use(const Tokenizer& t, std::string_view text) {
  for (const EncodeOptions options : {EncodeOptions{false, false}, {true, true}}) {
    const auto ids = t.encode(text, options);
    require(ids.size() <= text.size() * 6 + 3);
    Detokenizer stream(t);
    StopScanner stops({"the", "he<", "\n\n"});
    for (TokenId id : ids) {
      require(id.value >= 0 && static_cast<size_t>(id.value) < t.size());
      stops.push(stream.push(id));
    }
    stops.push(stream.flush());
    t.decode(ids);
  }
  const Prompt prompt = {{std::string(text.substr(0, text.size() / 2)), Origin::user},
                         {std::string(text.substr(text.size() / 2)), Origin::user}};
  for (TokenId id : t.encode(prompt, false)) require(!t.is_control(id) || id == t.special().unk);
}

void round_trip(size_t model, std::string_view text) {
  const std::string_view name = kModels[model];
  if (name == "bert" || name == "t5") return;
  std::string whole;  // what byte-level vocabularies make of broken UTF-8
  Utf8Stream stream;
  stream.push(text, whole);
  stream.flush(whole);
  if (whole != text && name != "rwkv") return;
  const bool marks = whole.find("\u2581") != std::string::npos;
  if (marks && (name == "llama" || name == "gemma4")) return;
  // A fragment behind a special token gets a space that decoding cannot tell from one of the text.
  if (name == "llama" && (text.find("<think>") != text.npos || text.find("  ") != text.npos)) return;
  const Tokenizer& t = tokenizer(model);
  require(t.decode(t.encode(text, {false, false})) == text);
}

// Lines are tokens; then merges, a character map, and the text.
void make_and_use(const uint8_t* data, size_t size) {
  if (size < 4) return;
  Vocabulary v;
  v.model = kModels[data[0] % std::size(kModels)];
  v.pre = kPres[data[1] % std::size(kPres)];
  const uint8_t flags = data[2];
  v.add_space_prefix = (flags & 1) != 0;
  v.remove_extra_whitespaces = (flags & 2) != 0;
  v.lowercase = (flags & 4) != 0;
  if (flags & 8) v.name = "phi-3";
  v.bos = TokenId{static_cast<int8_t>(data[3])};
  v.unk = TokenId{static_cast<int8_t>(flags)};
  std::string_view rest(reinterpret_cast<const char*>(data + 4), size - 4);
  std::string_view parts[4];
  for (auto& part : parts) {
    const size_t end = std::min(rest.find('\0'), rest.size());
    part = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  const auto lines = [](std::string_view part, std::vector<std::string>& out) {
    while (!part.empty() && out.size() < 4096) {
      const size_t end = std::min(part.find('\n'), part.size());
      out.emplace_back(part.substr(0, end));
      part.remove_prefix(std::min(part.size(), end + 1));
    }
  };
  lines(parts[0], v.tokens);
  lines(parts[1], v.merges);
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    const char c = parts[2].empty() ? '\1' : parts[2][i % parts[2].size()];
    v.types.push_back(static_cast<TokenType>(c % 8));
    v.scores.push_back(static_cast<float>(c));
  }
  if (flags & 16) v.precompiled_charsmap.assign(rest.begin(), rest.end());
  use(*Tokenizer::create(std::move(v)), flags & 32 ? rest : parts[3]);
}

}  // namespace

}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t model = data[0] % 8;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  if (model < std::size(hearth::kModels)) {
    hearth::use(hearth::tokenizer(model), text);
    hearth::round_trip(model, text);
    return 0;
  }
  try {
    hearth::make_and_use(data + 1, size - 1);
  } catch (const hearth::Error&) {
    // A vocabulary that contradicts itself is refused.
  }
  return 0;
}
