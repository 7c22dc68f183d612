// Texts in the order in which they answer a query.
#include <algorithm>
#include <numeric>

#include "server/dialects/extras.h"
#include "server/dialects/fields.h"

namespace hearth::extras {
namespace {

class RerankReply final : public Reply {
 public:
  RerankReply(std::string model, std::vector<std::string> texts, size_t most, bool shows_texts)
      : model_(std::move(model)), texts_(std::move(texts)), most_(most), shows_texts_(shows_texts) {}

  std::string_view content_type() const override { return "application/json; charset=utf-8"; }
  std::string on(size_t, const Piece& piece) override {
    if (const auto* v = std::get_if<from_child::Vectors>(&piece)) {
      for (const auto& vector : v->vectors) scores_.push_back(vector.empty() ? 0 : vector.front());
    }
    if (const auto* d = std::get_if<from_child::Done>(&piece)) statistics_ = d->statistics;
    return {};
  }
  std::string close() override {
    std::vector<size_t> order(std::min(scores_.size(), texts_.size()));
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores_[a] > scores_[b]; });
    json::array results;
    for (const size_t i : order) {
      if (results.size() == most_) break;
      json::object o{{"index", i}, {"relevance_score", scores_[i]}};
      if (shows_texts_) o["document"] = json::object{{"text", texts_[i]}};
      results.push_back(std::move(o));
    }
    json::object usage{{"prompt_tokens", statistics_.prompt_tokens},
                       {"total_tokens", statistics_.prompt_tokens}};
    if (statistics_.truncated_tokens > 0) usage["prompt_truncated"] = statistics_.truncated_tokens;
    return json::serialize(json::object{
        {"object", "list"}, {"model", model_}, {"results", std::move(results)}, {"usage", std::move(usage)}});
  }

 private:
  std::string model_;
  std::vector<std::string> texts_;
  size_t most_;
  bool shows_texts_;
  std::vector<float> scores_;
  Statistics statistics_;
};

std::string text_of(const Json& document) {
  if (document.is_string()) return std::string(document.as_string());
  const auto text = document.is_object() ? fields::text(document, "text") : std::nullopt;
  if (!text) fields::wrong_type("documents", "array of texts, or of objects with a \"text\"");
  return *text;
}

}  // namespace

Call parse_rerank(const Json& body, const Stamp&) {
  Call call;
  call.model = fields::text(body, "model").value_or("");
  if (call.model.empty()) throw Error(Code::bad_request, "model is required", "name a reranker");
  call.keep_alive = fields::keep_alive(body);
  const auto query = fields::text(body, "query");
  if (!query) throw Error(Code::bad_request, "query is required", "send the text that is to be answered");
  const json::array* documents = fields::list(body, "documents");
  if (documents == nullptr || documents->empty())
    throw Error(Code::bad_request, "documents is required", "send at least one text");
  call.requests.resize(1);
  Request& r = call.requests.front();
  r.model = call.model;
  r.query = *query;
  for (const Json& d : *documents) r.embed.push_back(text_of(d));
  if (const json::object* options = fields::object(body, "options")) r.sampling.options = *options;
  r.truncate = fields::flag(body, "truncate").value_or(true);
  const int64_t most = fields::integer(body, "top_n").value_or(static_cast<int64_t>(r.embed.size()));
  if (most < 1) throw Error(Code::bad_request, "top_n must be 1 or more", "leave it out for all documents");
  call.reply = std::make_unique<RerankReply>(call.model, r.embed, static_cast<size_t>(most),
                                             fields::flag(body, "return_documents").value_or(false));
  return call;
}

}  // namespace hearth::extras
