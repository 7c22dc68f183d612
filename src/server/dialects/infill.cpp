// Code between two texts, in the words of llama.cpp's server, which editors' plugins speak.
#include "server/dialects/extras.h"
#include "server/dialects/fields.h"
#include "server/dialects/measures.h"

namespace hearth::extras {
namespace {

class InfillReply final : public Reply {
 public:
  InfillReply(std::string model, bool stream) : model_(std::move(model)), stream_(stream) {}

  std::string_view content_type() const override {
    return stream_ ? "text/event-stream" : "application/json; charset=utf-8";
  }
  std::string on(size_t, const Piece& piece) override {
    if (const auto* t = std::get_if<from_child::Text>(&piece)) {
      if (stream_) return event({{"content", t->text}, {"stop", false}});
      text_ += t->text;
    }
    if (const auto* p = std::get_if<from_child::PromptProgress>(&piece); p != nullptr && stream_)
      return event({{"content", ""}, {"stop", false}, {"prompt_progress", progress_json(*p)}});
    if (const auto* d = std::get_if<from_child::Done>(&piece)) done_ = *d;
    if (const auto* f = std::get_if<from_child::Failed>(&piece)) {
      failed_ = true;
      return stream_ ? event({{"error", json::object{{"message", f->message}}}}) : std::string();
    }
    return {};
  }
  std::string idle() override { return stream_ ? std::string(keep_alive_comment) : ""; }
  std::string close() override {
    if (stream_) return failed_ ? std::string() : event(last(""));
    return json::serialize(last(text_));
  }

 private:
  static std::string event(const json::object& o) { return "data: " + json::serialize(o) + "\n\n"; }

  json::object last(const std::string& text) const {
    const Statistics& s = done_.statistics;
    return {{"content", text},
            {"model", model_},
            {"stop", true},
            {"stop_type", done_.reason == "length" ? "limit" : "eos"},
            {"truncated", s.truncated_tokens > 0},
            {"tokens_evaluated", s.prompt_tokens},
            {"tokens_cached", s.cached_tokens},
            {"tokens_predicted", s.generated_tokens},
            {"timings", timings_json(s)}};
  }

  std::string model_, text_;
  bool stream_, failed_ = false;
  from_child::Done done_;
};

// Options that stand beside the texts, under the names that all dialects share.
json::object options_of(const Json& body) {
  json::object options;
  if (const json::object* given = fields::object(body, "options")) options = *given;
  fields::take_samplers(body, options);
  for (const char* name : {"temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "stop"}) {
    if (const Json* value = fields::find(body, name)) options[name] = *value;
  }
  for (const char* name : {"n_predict", "num_predict", "max_tokens"}) {
    if (const Json* value = fields::find(body, name)) options["num_predict"] = *value;
  }
  return options;
}

}  // namespace

Call parse_infill(const Json& body, const Stamp&) {
  Call call;
  call.model = fields::text(body, "model").value_or("");
  if (call.model.empty()) throw Error(Code::bad_request, "model is required", "name a model that inserts");
  call.keep_alive = fields::keep_alive(body);
  call.stream = fields::flag(body, "stream").value_or(false);
  const auto before = fields::text(body, "input_prefix"), after = fields::text(body, "input_suffix");
  if (!before || !after) {
    throw Error(Code::bad_request, "input_prefix and input_suffix are required",
                "send the text before and behind the place, either may be empty");
  }
  call.requests.resize(1);
  Request& r = call.requests.front();
  r.model = call.model;
  r.raw = *before + fields::text(body, "prompt").value_or("");
  r.suffix = *after;
  r.progress = call.stream && fields::flag(body, "return_progress").value_or(false);
  if (const json::array* extra = fields::list(body, "input_extra")) {
    for (const Json& file : *extra) {
      if (!file.is_object()) fields::wrong_type("input_extra", "array of {filename, text}");
      r.around.push_back(
          {fields::text(file, "filename").value_or(""), fields::text(file, "text").value_or("")});
    }
  }
  r.sampling.options = options_of(body);
  call.reply = std::make_unique<InfillReply>(call.model, call.stream);
  return call;
}

}  // namespace hearth::extras
