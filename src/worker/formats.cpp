#include "worker/formats.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"

namespace hearth {
namespace {

Grammar of_format(const Json& format, const GrammarFrame& frame) {
  if (format == "json") return Grammar::json(frame);
  if (format.is_object()) {
    const Json* gbnf = format.as_object().if_contains("gbnf");
    if (gbnf != nullptr && gbnf->is_string() && format.as_object().size() == 1) {
      return Grammar::from_gbnf({gbnf->as_string().data(), gbnf->as_string().size()}, frame);
    }
    return Grammar::from_schema(format, frame);
  }
  throw Error(Code::bad_request, "invalid format: expected \"json\" or a valid JSON Schema object",
              "send \"json\" or a schema");
}

std::string key_of(const char* kind, const Json& what, const GrammarFrame& f) {
  return fmt::format("{} {} {} {} {} {}", kind, json::serialize(what), f.think_open, f.think_close, f.opened,
                     f.channels);
}

}  // namespace

const Grammar* Formats::made(const std::string& key, const std::function<std::optional<Grammar>()>& make) {
  const auto known = grammars_.find(key);
  if (known != grammars_.end()) return known->second ? &*known->second : nullptr;
  constexpr size_t most = 32;
  if (grammars_.size() >= most) grammars_.clear();
  try {
    const auto& kept = grammars_.emplace(key, make()).first->second;
    return kept ? &*kept : nullptr;
  } catch (const Error& e) {
    // It is the request that asks for what is not there.
    if (e.code != Code::unsupported) throw;
    throw Error(Code::bad_request, e.message, e.remedy);
  }
}

const Grammar* Formats::calls(const Request& r, const OutputFormat& output, const GrammarFrame& frame) {
  const bool may = r.tools.is_array() && !r.tools.as_array().empty();
  if (!may && !r.calls.must) return nullptr;
  const CallDemand demand{r.calls.must, r.calls.several};
  const std::string kind = fmt::format("calls {} {}", demand.must, demand.several);
  const auto make = [&]() -> std::optional<Grammar> {
    try {
      return Grammar::of_calls(output, r.tools, demand, frame);
    } catch (const Error& e) {
      const bool strict = json::serialize(r.tools).find("\"strict\":true") != std::string::npos;
      if (demand.must || strict) throw;
      std::fprintf(stderr, "calls of tools are not held to their schemas: %s\n", e.what());
      return std::nullopt;
    }
  };
  const Grammar* grammar = made(key_of(kind.c_str(), r.tools, frame), make);
  if (grammar == nullptr && demand.must) {
    throw Error(Code::bad_request, "tool_choice: it is not known how this model calls tools",
                "leave tool_choice out, or use a model whose template shows calls of tools");
  }
  return grammar;
}

std::shared_ptr<const TokenTable> Formats::tokens(const std::vector<std::string>& markers) {
  auto& table = tokens_[markers];
  if (table == nullptr) table = TokenTable::create(tokenizer_, markers);
  auto kept = table;
  constexpr size_t most = 4;
  if (tokens_.size() > most) tokens_.clear();
  return kept;
}

std::unique_ptr<GrammarFilter> Formats::filter(const Request& r, const OutputFormat& output,
                                               const GrammarFrame& frame) {
  const Grammar* chosen = nullptr;
  std::vector<std::string> markers;
  if (!r.format.is_null()) {
    chosen = made(key_of("format", r.format, frame),
                  [&]() -> std::optional<Grammar> { return of_format(r.format, frame); });
    // Inside of a JSON text no other control token may stand for its text.
    if (frame.channels) markers = output.markers();
    if (!frame.think_close.empty()) markers = {frame.think_open, frame.think_close};
  } else {
    chosen = calls(r, output, frame);
    markers = output.markers();
  }
  if (chosen == nullptr) return nullptr;
  return std::make_unique<GrammarFilter>(*chosen, tokens(markers));
}

}  // namespace hearth
