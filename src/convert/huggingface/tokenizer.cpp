#include "convert/huggingface/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "formats/safetensors.h"

namespace hearth::huggingface {
namespace {

// tokenizer.ggml.token_type
enum : int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

constexpr std::string_view space_mark = "\u2581";

[[noreturn]] void corrupt(const std::string& what) {
  throw Error(Code::corrupt_file, fmt::format("tokenizer.json: {}", what),
              "the file is damaged or belongs to another model: download it again");
}

std::optional<Json> optional_file(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return read_json_file(path);
}

// A token that is written as its text or as an object with the text.
std::optional<std::string> token_text(const Config& config, std::string_view key) {
  const Json* value = config.find(key);
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

// A token id, or a list of them.
std::vector<uint32_t> ids_of(const Config& config, std::string_view key, uint32_t rows) {
  const Json* value = config.find(key);
  std::vector<uint32_t> ids;
  const auto take = [&](const Json& j) {
    boost::system::error_code failure;
    const auto id = j.is_number() ? j.to_number<uint32_t>(failure) : rows;
    if (failure || id >= rows) config.wrong(key, "an id of the vocabulary");
    ids.push_back(id);
  };
  if (value == nullptr) return ids;
  if (!value->is_array()) {
    take(*value);
    return ids;
  }
  if (value->get_array().size() > rows) config.wrong(key, "a list of ids");
  for (const Json& j : value->get_array()) take(j);
  return ids;
}

class Converter {
 public:
  Converter(const Config& tokenizer, uint32_t rows, GgufWriter& head, std::vector<std::string>& notes)
      : json_(tokenizer),
        model_(model_of(tokenizer)),
        head_(head),
        notes_(notes),
        tokens_(rows),
        types_(rows, unused) {}

  void vocabulary() {
    const Json* vocab = model_.find("vocab");
    if (vocab == nullptr || !vocab->is_object()) corrupt("no vocabulary");
    for (const auto& [text, id] : vocab->get_object()) set(text, id, normal);
    const Json* added = json_.find("added_tokens");
    if (added != nullptr && added->is_array()) {
      for (const Json& entry : added->get_array()) add(entry);
    }
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (types_[i] == unused) tokens_[i] = fmt::format("[PAD{}]", i);
    }
  }

  void pieces() {
    read_merges();
    const bool sentencepiece = model_.boolean("byte_fallback").value_or(false);
    head_.put("tokenizer.ggml.model", std::string_view(sentencepiece ? "llama" : "gpt2"));
    if (sentencepiece) {
      mark_bytes();
      head_.put("tokenizer.ggml.pre", std::string_view("default"));
      head_.put("tokenizer.ggml.tokens", tokens_);
      head_.put("tokenizer.ggml.scores", scores());
      head_.put("tokenizer.ggml.token_type", types_);
      head_.put("tokenizer.ggml.add_space_prefix", space_in_front());
      return;
    }
    const Json* pre = json_.find("pre_tokenizer");
    head_.put("tokenizer.ggml.pre", std::string_view(recognise_pretokenizer(pre != nullptr ? *pre : Json())));
    head_.put("tokenizer.ggml.tokens", tokens_);
    head_.put("tokenizer.ggml.token_type", types_);
    std::vector<std::string> merges;
    merges.reserve(merges_.size());
    for (const auto& [left, right] : merges_) merges.push_back(fmt::format("{} {}", left, right));
    head_.put("tokenizer.ggml.merges", merges);
  }

  // Ids of the special tokens, by their texts in tokenizer_config.json or else by the ids of the model's own
  // configuration.
  void specials(const Config& settings, const Config& config, const Config& generation) {
    const std::pair<const char*, const char*> keys[] = {
        {"bos", "bos"}, {"eos", "eos"}, {"unk", "unknown"}, {"pad", "padding"}};
    std::optional<uint32_t> bos, eos;
    std::vector<uint32_t> ends = ids_of(generation, "eos_token_id", rows());
    for (const uint32_t id : ids_of(config, "eos_token_id", rows())) ends.push_back(id);
    for (const auto& [theirs, ours] : keys) {
      std::optional<uint32_t> id = find(token_text(settings, fmt::format("{}_token", theirs)));
      const auto by_number = ids_of(config, fmt::format("{}_token_id", theirs), rows());
      if (!id && !by_number.empty()) id = by_number[0];
      if (!id) continue;
      if (ours == std::string_view("bos")) bos = id;
      if (ours == std::string_view("eos")) eos = id;
      head_.put(fmt::format("tokenizer.ggml.{}_token_id", ours), GgufType::u32, *id);
    }
    if (eos) ends.insert(ends.begin(), *eos);
    put_ends(ends);
    put_flags(settings, bos, eos);
  }

 private:
  uint32_t rows() const { return static_cast<uint32_t>(tokens_.size()); }

  static Config model_of(const Config& tokenizer) {
    const auto model = tokenizer.object("model");
    if (!model) corrupt("no model");
    const std::string type = model->text("type").value_or("BPE");
    if (type != "BPE") {
      throw Error(Code::unsupported,
                  fmt::format("tokenizers of the kind {} are not converted", type.substr(0, 40)),
                  "supported is BPE; otherwise use a GGUF of the model");
    }
    return *model;
  }

  void set(std::string_view text, const Json& id, int32_t type) {
    boost::system::error_code failure;
    const auto n = id.is_number() ? id.to_number<uint64_t>(failure) : rows();
    if (failure || n >= rows()) {
      corrupt(fmt::format("token '{}' has no id below the {} rows of the embedding table",
                          std::string(text.substr(0, 60)), rows()));
    }
    const auto at = static_cast<uint32_t>(n);
    if (types_[at] != unused && tokens_[at] != text) corrupt(fmt::format("two tokens have the id {}", at));
    tokens_[at] = text;
    types_[at] = type;
    ids_.insert_or_assign(std::string(text), at);
  }

  void add(const Json& entry) {
    const Config token(entry, "tokenizer.json");
    const auto text = token.text("content");
    const Json* id = token.find("id");
    if (!text || id == nullptr) corrupt("an added token has no text or id");
    set(*text, *id, token.boolean("special").value_or(false) ? control : user_defined);
  }

  // "left right", or a list of the two.
  void read_merges() {
    const Json* list = model_.find("merges");
    if (list == nullptr || !list->is_array()) corrupt("no merges");
    for (const Json& merge : list->get_array()) {
      if (merge.is_string()) {
        const std::string_view both = merge.get_string();
        const size_t space = both.find(' ', 1);
        if (space == std::string_view::npos) corrupt("a merge has one part only");
        merges_.emplace_back(both.substr(0, space), both.substr(space + 1));
      } else {
        const bool pair = merge.is_array() && merge.get_array().size() == 2 &&
                          merge.get_array()[0].is_string() && merge.get_array()[1].is_string();
        if (!pair) corrupt("a merge is no pair");
        merges_.emplace_back(std::string_view(merge.get_array()[0].get_string()),
                             std::string_view(merge.get_array()[1].get_string()));
      }
    }
  }

  void mark_bytes() {
    for (uint32_t value = 0; value < 256; ++value) {
      const auto at = ids_.find(fmt::format("<0x{:02X}>", value));
      if (at != ids_.end() && types_[at->second] == normal) types_[at->second] = byte;
    }
    if (const auto id = find(token_text(model_, "unk_token"))) types_[*id] = unknown;
  }

  // The order of the merges is that of the scores of the pieces they make, best first; where several merges
  // make a piece, its first counts. What no merge makes comes last.
  std::vector<float> scores() const {
    std::vector<float> all(tokens_.size());
    for (size_t i = 0; i < all.size(); ++i)
      all[i] = types_[i] == normal ? -static_cast<float>(merges_.size() + 1) : 0.0F;
    for (size_t rank = merges_.size(); rank-- > 0;) {
      const auto at = ids_.find(merges_[rank].first + merges_[rank].second);
      if (at != ids_.end() && types_[at->second] == normal) all[at->second] = -static_cast<float>(rank);
    }
    return all;
  }

  // Whether a text gets a space in front: the normalizer prepends one, or the pre-tokenizer does.
  bool space_in_front() const {
    if (const Json* normalizer = json_.find("normalizer")) {
      const std::string text = json::serialize(*normalizer);
      if (text.find("\"Prepend\"") != std::string::npos) return true;
      if (text.find(space_mark) == std::string::npos)
        notes_.push_back("the tokenizer's normalizer is left out");
    }
    const auto pre = json_.object("pre_tokenizer");
    if (!pre || pre->text("type") != "Metaspace") return false;
    if (const auto scheme = pre->text("prepend_scheme")) return *scheme != "never";
    return pre->boolean("add_prefix_space").value_or(true);
  }

  std::optional<uint32_t> find(const std::optional<std::string>& text) const {
    const auto at = text ? ids_.find(*text) : ids_.end();
    return at == ids_.end() ? std::nullopt : std::optional(at->second);
  }

  // Beside the one in eos_token_id.
  void put_ends(const std::vector<uint32_t>& ends) {
    std::vector<int32_t> all;
    for (const uint32_t id : ends) {
      const auto number = static_cast<int32_t>(id);
      if (std::find(all.begin(), all.end(), number) == all.end()) all.push_back(number);
    }
    if (all.size() > 1) head_.put("tokenizer.ggml.eos_token_ids", all);
  }

  void put_flags(const Config& settings, std::optional<uint32_t> bos, std::optional<uint32_t> eos) {
    std::optional<uint32_t> first, last;
    if (const auto post = json_.object("post_processor")) frame(*post, first, last, 0);
    const bool starts = bos && first == bos, ends = eos && last == eos;
    head_.put("tokenizer.ggml.add_bos_token", settings.boolean("add_bos_token").value_or(starts));
    head_.put("tokenizer.ggml.add_eos_token", settings.boolean("add_eos_token").value_or(ends));
    if ((first && first != bos) || (last && last != eos))
      notes_.push_back(
          "the tokenizer puts special tokens around a text that GGUF has no key for; they are left out");
  }

  // The special tokens that a template puts before and behind a text.
  void frame(const Config& post, std::optional<uint32_t>& first, std::optional<uint32_t>& last,
             int depth) const {
    const std::string type = post.text("type").value_or("");
    if (type == "Sequence" && depth < 4) {
      const Json* list = post.find("processors");
      if (list == nullptr || !list->is_array()) return;
      for (const Json& part : list->get_array())
        frame(Config(part, "tokenizer.json"), first, last, depth + 1);
    }
    const Json* single = post.find("single");
    if (type != "TemplateProcessing" || single == nullptr || !single->is_array()) return;
    const json::array& parts = single->get_array();
    if (parts.empty()) return;
    const auto special = [&](const Json& part) -> std::optional<uint32_t> {
      const auto token = Config(part, "tokenizer.json").object("SpecialToken");
      return token ? find(token->text("id")) : std::nullopt;
    };
    first = special(parts.front());
    last = special(parts.back());
  }

  Config json_, model_;
  GgufWriter& head_;
  std::vector<std::string>& notes_;
  std::vector<std::string> tokens_;
  std::vector<int32_t> types_;
  std::unordered_map<std::string, uint32_t> ids_;
  std::vector<std::pair<std::string, std::string>> merges_;
};

// chat_template.jinja, or as text or list of named texts in tokenizer_config.json or chat_template.json.
std::optional<std::string> chat_template(const std::filesystem::path& folder, const Config& settings) {
  if (std::filesystem::exists(folder / "chat_template.jinja"))
    return read_file(folder / "chat_template.jinja");
  const auto of = [](const Config& config) -> std::optional<std::string> {
    const Json* value = config.find("chat_template");
    if (value == nullptr || !value->is_array()) return config.text("chat_template");
    std::optional<std::string> chosen;
    for (const Json& entry : value->get_array()) {
      const Config named(entry, config.file());
      if (!chosen || named.text("name") == "default") chosen = named.text("template");
    }
    return chosen;
  };
  if (auto text = of(settings)) return text;
  const auto file = optional_file(folder / "chat_template.json");
  return file ? of(Config(*file, "chat_template.json")) : std::nullopt;
}

}  // namespace

void put_tokenizer(const std::filesystem::path& folder, const Config& config, uint32_t rows, GgufWriter& head,
                   std::vector<std::string>& notes) {
  constexpr uint32_t most_rows = 1U << 24;
  if (rows > most_rows) config.wrong("vocab_size", "a possible number of tokens");
  if (!std::filesystem::exists(folder / "tokenizer.json")) {
    if (std::filesystem::exists(folder / "tokenizer.model") ||
        std::filesystem::exists(folder / "tekken.json")) {
      throw Error(Code::unsupported, "the model has its tokenizer in tokenizer.model or tekken.json only",
                  "put the tokenizer.json of the same model beside it, or use a GGUF of the model");
    }
  }
  const Json file = read_json_file(folder / "tokenizer.json");
  const Json settings = optional_file(folder / "tokenizer_config.json").value_or(Json(json::object()));
  const Json generation = optional_file(folder / "generation_config.json").value_or(Json(json::object()));
  const Config options(settings, "tokenizer_config.json");
  Converter converter(Config(file, "tokenizer.json"), rows, head, notes);
  converter.vocabulary();
  converter.pieces();
  converter.specials(options, config, Config(generation, "generation_config.json"));
  if (const auto text = chat_template(folder, options))
    head.put("tokenizer.chat_template", std::string_view(*text));
}

}  // namespace hearth::huggingface
