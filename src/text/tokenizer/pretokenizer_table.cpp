#include "text/tokenizer/pretokenizer_table.h"

#include <fmt/format.h>

#include "base/error.h"

namespace hearth::text {

namespace {

// What the published expressions are made of. A piece with \p{…} alone follows the models' own files; the
// order of the alternatives matters.
const std::string kContraction = R"('s|'t|'re|'ve|'m|'ll|'d)";
const std::string kAnyContraction = "(?i:" + kContraction + ")";
const std::string kSpelledContraction = R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))";
const std::string kSpaces = R"(\s+(?!\S))";
const std::string kLineEnds = R"(\s*[\r\n]+|)" + kSpaces + R"(|\s+)";
const std::string kSymbols = R"( ?[^\s\p{L}\p{N}]+)";
const std::string kGpt2 = kContraction + R"(| ?\p{L}+| ?\p{N}+|)" + kSymbols + "|" + kSpaces;
const std::string kWord = R"([^\r\n\p{L}\p{N}]?\p{L}+)";

// The llama 3 family: words with one leading character, numbers as `digits` says, symbols with the line ends
// behind.
std::string llama3(const std::string& contraction, const std::string& digits) {
  return contraction + "|" + kWord + "|" + digits + "|" + kSymbols + R"([\r\n]*|)" + kLineEnds;
}

// Words cut where lower case turns to upper case. `only` restricts the letters further.
std::string cased_words(const std::string& only, const std::string& contraction) {
  const auto letter = [&](const std::string& kind) {
    return only.empty() ? kind : "(?:" + only + kind + ")";
  };
  const std::string upper = letter(R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])");
  const std::string lower = letter(R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])");
  const std::string lead = R"([^\r\n\p{L}\p{N}]?)";
  return lead + upper + "*" + lower + "+" + contraction + "|" + lead + upper + "+" + lower + "*" +
         contraction;
}

std::string gpt4o(const std::string& contraction, const std::string& digits) {
  return cased_words("", contraction) + "|" + digits + "|" + kSymbols + R"([\r\n/]*|)" + kLineEnds;
}

// The main step of deepseek-v3; `symbol` matches one symbol that is not a letter or number.
std::string deepseek_v3(const std::string& symbol) {
  return R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?)" +
         symbol + R"(++[\r\n]*|)" + kLineEnds;
}

// The letters of the scripts that have two cases, as deepseek-llm lists them.
const std::string kDeepseekLetters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF})"
    R"(\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1})"
    R"(\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5})"
    R"(\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
    R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B})"
    R"(\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC})"
    R"(\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134})"
    R"(\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787})"
    R"(\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A})"
    R"(\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2})"
    R"(\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)";

const std::string kDeepseekIdeographs = R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
const std::string kIdeographsAndKana = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";

// afmoe's scripts without spaces between words: CJK, kana, Thai, Lao, Khmer, Myanmar, Hangul. The range from
// U+8C48 is as the model's authors typed it; it includes Hangul and the private use area.
const std::string kAfmoeScripts =
    R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{8C48}-\x{FAFF}\x{3040}-\x{30FF}\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF})"
    R"(\x{E40}-\x{E7F}\x{E80}-\x{EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F}\x{A9E0}-\x{A9FF})"
    R"(\x{1100}-\x{11FF}]+)";

Step expression(std::string text) { return {StepKind::expression, std::move(text)}; }

using Groups = std::vector<Pretokenization>;

// The descendants of gpt-2.
Groups gpt2_groups() {
  return {
      {"default",
       {expression(R"([\p{P}\$\+<=>\^~\|]+)"), expression(kGpt2), expression(R"(\p{N}+)"),
        expression(R"([0-9][0-9][0-9])")}},
      {"gpt-2", {expression(kGpt2 + R"(|\s+)")}},
      {"starcoder", {expression(R"(\p{N})"), expression(kGpt2 + R"(|\s+)")}},
      {"falcon",
       {expression(R"([\p{P}\$\+<=>\^~\|`]+)"), expression(kGpt2), expression(R"([0-9][0-9][0-9])")}},
  };
}

// Words with one leading character, numbers of up to three digits, line ends with what is before them.
Groups llama_groups() {
  return {
      {"llama3", {expression(llama3(kAnyContraction, R"(\p{N}{1,3})"))}},
      {"qwen2", {expression(llama3(kAnyContraction, R"(\p{N})"))}},
      {"qwen35",
       {expression(kAnyContraction +
                   R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" + kLineEnds)}},
      {"laguna", {expression(R"([^\n]+|[\n]+)"), expression(llama3(kSpelledContraction, R"(\p{N})"))}},
      {"minicpm5", {expression(R"(\p{N}{1,3})"), expression(llama3(kAnyContraction, R"(\p{N}+)"))}},
      {"seed-coder",
       {expression(kAnyContraction + "|" + kWord + R"(|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|)" + kLineEnds)}},
      {"bailingmoe",
       {expression("'(?i:[sdmt]|ll|ve|re)|" + kWord + R"(|\p{N}|)" + kSymbols + R"([\r\n]*|\s*[\r\n]|)" +
                   kSpaces + R"(|\s+)")}},
      // Published as \s{512}(?!\S)|\s{256}(?!\S)|… in place of \s+(?!\S), which takes n² steps for long runs.
      {"jais-2", {expression(llama3(kAnyContraction, R"(\p{N}{1,3})")), {StepKind::space_runs, ""}}},
      // Whole phrases of words joined by single spaces. Possessive, because nothing behind could ask for
      // less.
      {"exaone-moe",
       {expression(kAnyContraction + R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*+(?: \p{L}\p{M}*+)*+)++|\p{N}|)" +
                   kSymbols + R"([\r\n/]?|\s*[\r\n]|)" + kSpaces + R"(|\s+)")}},
  };
}

// Words cut between cases.
Groups cased_groups() {
  return {
      {"gpt-4o", {expression(gpt4o(kAnyContraction + "?", R"(\p{N}{1,3})"))}},
      {"granite-embed-multi-97m", {expression(gpt4o(kAnyContraction + "?", R"(\p{N}{1,3})"))}},
      {"tiny_aya",
       {{StepKind::threes_in_words, ""}, expression(gpt4o(kAnyContraction + "?", R"(\p{N}{1,3})"))}},
      {"tekken", {expression(gpt4o("", R"(\p{N})"))}},
      {"youtu",
       {expression(R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+)"
                   R"(|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C})"
                   R"(\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|)" +
                   kIdeographsAndKana),
        expression(gpt4o(kSpelledContraction + "?", R"(\p{N})"))}},
      {"kimi-k2",
       {expression(R"([\p{sc:Han}]+|)" + cased_words(R"((?!\p{sc:Han}))", kAnyContraction + "?") +
                   R"(|\p{N}{1,3}|)" + kSymbols + R"([\r\n]*|)" + kLineEnds)}},
  };
}

// Several expressions, one after the other, and some that are like no other.
Groups other_groups() {
  return {
      {"deepseek-llm",
       {expression(R"([\r\n])"),
        expression(kDeepseekLetters),
        expression(R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)"),
        {StepKind::trailing_space, ""},
        expression(kDeepseekIdeographs),
        expression(R"(\p{N}+)")}},
      {"deepseek-coder",
       {expression(R"([\r\n])"), expression(R"(\s?\p{L}+)"), expression(R"(\s?\p{P}+)"),
        expression(kDeepseekIdeographs), expression(R"(\p{N})")}},
      {"deepseek-v3",
       {expression(R"(\p{N}{1,3})"), expression(kIdeographsAndKana),
        expression(deepseek_v3(R"([\p{P}\p{S}])"))}},
      // Published nowhere in a portable form: this is how the reference cuts, which leaves ~ to letters
      // behind it.
      {"afmoe",
       {{StepKind::threes_apart, ""},
        expression(kAfmoeScripts),
        expression(deepseek_v3(R"((?:(?!~)[\p{P}\p{S}]))"))}},
      {"superbpe", {expression(R"(\p{N}+)"), {StepKind::threes, ""}}},
      {"poro-chat", {expression(R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)")}},
      {"viking",
       {expression(R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)"),
        expression(R"(\p{N})")}},
      {"chameleon",
       {expression("<sentinel:[0-9]+>"), expression("IMGIMG[A-I]{1,4}Z"), expression(R"([\t\n]|    |  )"),
        expression(R"(\p{N})"), expression(R"([\p{P}!-/:-@\[-`{-~])"), expression(kGpt2)}},
      {"gemma4", {expression(R"([^\n]+|[\n]+)")}},
  };
}

Groups make_groups() {
  Groups all;
  for (const Groups& some : {gpt2_groups(), llama_groups(), cased_groups(), other_groups()})
    all.insert(all.end(), some.begin(), some.end());
  return all;
}

struct Flags {
  bool ignore_merges = false, add_bos = false, add_sep = false, byte_level = true;
};

std::vector<PreName> make_names() {
  std::vector<PreName> names;
  const auto add = [&](std::string_view group, Flags f, std::initializer_list<std::string_view> list) {
    for (auto name : list)
      names.push_back({name, group, f.ignore_merges, f.add_bos, f.add_sep, f.byte_level});
  };
  add("default", {}, {"", "default"});
  add("gpt-2", {},
      {"mpt", "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0",
       "mellum", "modern-bert", "olmo", "jais", "exaone4", "trillion", "granite-docling"});
  add("gpt-2", {.add_sep = true}, {"jina-v1-en", "jina-v2-code", "roberta-bpe"});
  add("starcoder", {},
      {"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"});
  add("falcon", {}, {"falcon"});
  add("llama3", {.ignore_merges = true, .add_bos = true},
      {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
       "jina-v5-nano"});
  add("llama3", {}, {"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"});
  add("qwen2", {},
      {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan", "grok-2",
       "solar-open"});
  add("qwen35", {}, {"qwen35"});
  add("laguna", {}, {"laguna"});
  add("minicpm5", {.ignore_merges = true}, {"minicpm5"});
  add("seed-coder", {}, {"seed-coder"});
  add("bailingmoe", {}, {"bailingmoe", "bailingmoe2", "llada-moe"});
  add("jais-2", {}, {"jais-2"});
  add("exaone-moe", {}, {"exaone-moe"});
  add("gpt-4o", {}, {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"});
  add("granite-embed-multi-97m", {.ignore_merges = true}, {"granite-embed-multi-97m"});
  add("tiny_aya", {}, {"tiny_aya", "cohere2moe"});
  add("tekken", {.ignore_merges = true, .add_bos = true}, {"tekken"});
  add("youtu", {.ignore_merges = true}, {"youtu"});
  add("kimi-k2", {}, {"kimi-k2"});
  add("deepseek-llm", {}, {"deepseek-llm"});
  add("deepseek-coder", {}, {"deepseek-coder"});
  add("deepseek-v3", {}, {"deepseek-v3", "hunyuan-dense", "joyai-llm"});
  add("afmoe", {}, {"afmoe"});
  add("superbpe", {}, {"superbpe"});
  add("poro-chat", {}, {"poro-chat", "bloom", "gpt3-finnish"});
  add("viking", {}, {"viking"});
  add("chameleon", {.add_bos = true}, {"chameleon"});
  add("gemma4", {.add_bos = true, .byte_level = false}, {"gemma4", "granite-embed-multi-311m"});
  add("gemma4", {.byte_level = false}, {"sarvam-moe"});
  return names;
}

}  // namespace

const std::vector<PreName>& pretokenizer_names() {
  static const std::vector<PreName> names = make_names();
  return names;
}

const PreName& find_pretokenizer(std::string_view name) {
  for (const PreName& row : pretokenizer_names())
    if (row.name == name) return row;
  throw Error(Code::unsupported, fmt::format("tokenizer.ggml.pre \"{}\" is not known", name),
              "this model needs a newer hearth");
}

const Pretokenization& find_pretokenization(std::string_view group) {
  static const Groups groups = make_groups();
  for (const Pretokenization& row : groups)
    if (row.group == group) return row;
  throw Error(Code::bug, fmt::format("no pre-tokenization \"{}\"", group), "report this");
}

}  // namespace hearth::text
