#include "server/dialects/extras.h"

#include "server/dialects/fields.h"
#include "server/dialects/ollama/requests.h"

namespace hearth::extras {
namespace {

constexpr std::string_view json_type = "application/json; charset=utf-8";

// One object: what is made of the piece that counts.
class OneObject final : public Reply {
 public:
  using Make = json::object (*)(const std::string& text, const from_child::Done& done);
  OneObject(Make make, std::string object) : make_(make), object_(std::move(object)) {}

  std::string_view content_type() const override { return json_type; }
  std::string on(size_t, const Piece& piece) override {
    if (const auto* t = std::get_if<from_child::Text>(&piece)) text_ += t->text;
    if (const auto* d = std::get_if<from_child::Done>(&piece)) done_ = *d;
    return {};
  }
  std::string close() override {
    json::object o = make_(text_, done_);
    if (!object_.empty()) o["object"] = object_;
    return json::serialize(o);
  }

 private:
  Make make_;
  std::string object_, text_;
  from_child::Done done_;
};

Call call_of(const Json& body, OneObject::Make make) {
  Call call;
  call.model = fields::text(body, "model").value_or("");
  if (call.model.empty()) throw Error(Code::bad_request, "model is required", "name a model");
  call.keep_alive = fields::keep_alive(body);
  call.requests.resize(1);
  call.requests[0].model = call.model;
  call.reply = std::make_unique<OneObject>(make, "");
  return call;
}

json::object tokens_json(const std::string&, const from_child::Done& d) {
  return {{"tokens", json::value_from(d.context)}};
}
json::object content_json(const std::string& text, const from_child::Done&) { return {{"content", text}}; }
json::object prompt_json(const std::string& text, const from_child::Done&) { return {{"prompt", text}}; }
json::object count_json(const std::string&, const from_child::Done& d) {
  return {{"input_tokens", d.statistics.prompt_tokens}};
}

}  // namespace

Call parse_tokenize(const Json& body, const Stamp&) {
  Call call = call_of(body, tokens_json);
  Request& r = call.requests[0];
  std::string content;
  for (const char* key : {"content", "prompt", "text"}) {
    if (content.empty()) content = fields::text(body, key).value_or("");
  }
  r.raw = content;
  r.plain = !fields::flag(body, "add_special").value_or(false);
  r.count_only = r.want_context = true;
  return call;
}

Call parse_detokenize(const Json& body, const Stamp&) {
  Call call = call_of(body, content_json);
  Request& r = call.requests[0];
  const json::array* tokens = fields::list(body, "tokens");
  if (tokens == nullptr) throw Error(Code::bad_request, "tokens is required", "send an array of token ids");
  for (const Json& t : *tokens) {
    if (!t.is_number()) fields::wrong_type("tokens", "array of numbers");
    r.context.push_back(t.to_number<int32_t>());
  }
  r.raw = "";
  r.render_only = true;
  return call;
}

Call parse_apply_template(const Json& body, const Stamp& stamp) {
  Call call = ollama::parse_chat(body, stamp);
  if (call.requests[0].messages.empty())
    throw Error(Code::bad_request, "messages is required", "send at least one message");
  call.stream = false;
  call.requests[0].render_only = true;
  call.reply = std::make_unique<OneObject>(prompt_json, "");
  return call;
}

Call counting(Call call, std::string object) {
  call.stream = false;
  call.requests.resize(1);
  call.requests[0].count_only = true;
  call.reply = std::make_unique<OneObject>(count_json, std::move(object));
  return call;
}

}  // namespace hearth::extras
