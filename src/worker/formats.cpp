#include "worker/formats.h"

#include "base/error.h"

namespace hearth {
namespace {

Grammar made(const Json& format) {
  if (format == "json") return Grammar::json();
  if (format.is_object()) {
    const Json* gbnf = format.as_object().if_contains("gbnf");
    if (gbnf != nullptr && gbnf->is_string() && format.as_object().size() == 1) {
      return Grammar::from_gbnf({gbnf->as_string().data(), gbnf->as_string().size()});
    }
    return Grammar::from_schema(format);
  }
  throw Error(Code::bad_request, "invalid format: expected \"json\" or a valid JSON Schema object",
              "send \"json\" or a schema");
}

}  // namespace

const Grammar& Formats::grammar(const Json& format) {
  const std::string key = json::serialize(format);
  const auto known = grammars_.find(key);
  if (known != grammars_.end()) return known->second;
  constexpr size_t most = 32;
  if (grammars_.size() >= most) grammars_.clear();
  try {
    return grammars_.emplace(key, made(format)).first->second;
  } catch (const Error& e) {
    // It is the request that asks for what is not there.
    if (e.code != Code::unsupported) throw;
    throw Error(Code::bad_request, e.message, e.remedy);
  }
}

std::unique_ptr<GrammarFilter> Formats::filter(const Json& format, const std::string& after) {
  if (format.is_null()) return nullptr;
  const Grammar& chosen = grammar(format);
  if (tokens_ == nullptr) tokens_ = TokenTable::create(tokenizer_);
  return std::make_unique<GrammarFilter>(chosen, tokens_, GrammarFilterOptions{after, true});
}

}  // namespace hearth
