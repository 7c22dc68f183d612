#include "worker/rerank.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace hearth {
namespace {

// What stands in braces in a template for pairs.
constexpr std::string_view query_mark = "{query}", text_mark = "{document}";

}  // namespace

RerankPrompt::RerankPrompt(const OpenModel& model)
    : model_(model), template_(model.file->string("tokenizer.chat_template.rerank").value_or("")) {}

size_t RerankPrompt::answer() const {
  const std::string key =
      std::string(model_.file->string("general.architecture").value_or("")) + ".classifier.output_labels";
  if (model_.file->find(key) == nullptr) return 0;
  const auto labels = model_.file->strings(key);
  const auto yes = std::find(labels.begin(), labels.end(), "yes");
  return yes == labels.end() ? 0 : static_cast<size_t>(yes - labels.begin());
}

Prompt RerankPrompt::pair(const std::string& query, const std::string& text) const {
  const Tokenizer& tokenizer = *model_.tokenizer;
  if (template_.empty()) {
    const auto between = tokenizer.special().sep ? tokenizer.special().sep : tokenizer.eos();
    return {{query, Origin::user},
            {between ? std::string(tokenizer.piece(*between)) : "\n", Origin::model},
            {text, Origin::user}};
  }
  Prompt prompt;
  std::string_view rest = template_;
  while (!rest.empty()) {
    const size_t at = std::min(rest.find(query_mark), rest.find(text_mark));
    if (at != 0) prompt.push_back({std::string(rest.substr(0, at)), Origin::model});
    if (at == std::string_view::npos) break;
    const bool is_query = rest.substr(at).starts_with(query_mark);
    prompt.push_back({is_query ? query : text, Origin::user});
    rest.remove_prefix(at + (is_query ? query_mark : text_mark).size());
  }
  return prompt;
}

std::vector<TokenId> RerankPrompt::tokens(const std::string& query, const std::string& text, uint32_t context,
                                          uint32_t& cut) const {
  const Tokenizer& tokenizer = *model_.tokenizer;
  std::vector<TokenId> all = tokenizer.encode(pair(query, text));
  const size_t whole = all.size();
  // Tokens at a border may join otherwise once the text is shorter: a few tries settle it.
  std::vector<TokenId> own;
  if (whole > context) own = tokenizer.encode(text, {false, false});
  while (all.size() > context) {
    if (own.empty()) {
      throw Error(Code::bad_request,
                  fmt::format("the query length exceeds the context length of {} tokens", context),
                  "shorten the query");
    }
    own.resize(own.size() - std::min(own.size(), all.size() - context));
    all = tokenizer.encode(pair(query, tokenizer.decode(own)));
  }
  cut = static_cast<uint32_t>(whole - all.size());
  return all;
}

}  // namespace hearth
