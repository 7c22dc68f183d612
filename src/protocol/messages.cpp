#include "protocol/messages.h"

#include <fmt/format.h>

#include "plan/json.h"

namespace hearth {
namespace {

// Both ends are the same binary: a message that does not decode is a fault, not bad input.
template <class F>
auto decoded(F&& read) {
  try {
    return read();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(Code::bug, fmt::format("a message between processes does not decode: {}", e.what()),
                "parent and child must be the same build");
  }
}

std::string text(const Json& j, const char* key) { return json::value_to<std::string>(j.at(key)); }
template <class T>
T number(const Json& j, const char* key) {
  return j.at(key).to_number<T>();
}

Json strings(const std::vector<std::string>& list) { return json::value_from(list); }
std::vector<std::string> strings(const Json& j, const char* key) {
  return json::value_to<std::vector<std::string>>(j.at(key));
}

json::object call_json(const ToolCall& c) {
  return {{"id", c.id}, {"name", c.name}, {"arguments", c.arguments}};
}
ToolCall call_of(const Json& j) { return {text(j, "id"), text(j, "name"), j.at("arguments")}; }

json::object message_json(const ChatMessage& m) {
  json::object o{{"role", m.role}, {"content", m.content}};
  if (!m.thinking.empty()) o["thinking"] = m.thinking;
  if (!m.tool_name.empty()) o["tool_name"] = m.tool_name;
  if (!m.tool_call_id.empty()) o["tool_call_id"] = m.tool_call_id;
  if (m.tool_calls.empty()) return o;
  json::array calls;
  for (const ToolCall& c : m.tool_calls) calls.push_back(call_json(c));
  o["tool_calls"] = std::move(calls);
  return o;
}
std::string text_or_empty(const Json& j, const char* key) {
  const Json* at = j.as_object().if_contains(key);
  return at != nullptr ? json::value_to<std::string>(*at) : std::string();
}
ChatMessage message_of(const Json& j) {
  ChatMessage m{text(j, "role"), text(j, "content"), text_or_empty(j, "thinking"), {}, {}, {}};
  m.tool_name = text_or_empty(j, "tool_name");
  m.tool_call_id = text_or_empty(j, "tool_call_id");
  if (const Json* calls = j.as_object().if_contains("tool_calls")) {
    for (const Json& c : calls->as_array()) m.tool_calls.push_back(call_of(c));
  }
  return m;
}

// Only what is set travels.
json::object request_json(const Request& r) {
  json::array messages;
  for (const ChatMessage& m : r.messages) messages.push_back(message_json(m));
  json::object o{{"messages", std::move(messages)}, {"sampling", r.sampling.options},
                 {"max_tokens", r.max_tokens},      {"stop", strings(r.stop)},
                 {"truncate", r.truncate},          {"shift", r.shift}};
  if (!r.model.empty()) o["model"] = r.model;
  if (!r.full_model.empty()) o["full_model"] = r.full_model;
  if (!r.parser.empty()) o["parser"] = r.parser;
  if (r.chat) o["chat"] = true;
  if (r.plain) o["plain"] = true;
  if (r.progress) o["progress"] = true;
  if (r.think_budget) o["think_budget"] = *r.think_budget;
  if (r.calls.must) o["must_call"] = true;
  if (!r.calls.several) o["one_call"] = true;
  if (!r.embed_tokens.empty()) o["embed_tokens"] = json::value_from(r.embed_tokens);
  if (r.render_only) o["render_only"] = true;
  if (r.count_only) o["count_only"] = true;
  if (r.want_context) o["want_context"] = true;
  if (!r.context.empty()) o["context"] = json::value_from(r.context);
  if (r.go_template) o["go_template"] = *r.go_template;
  if (r.prefer_go) o["prefer_go"] = *r.prefer_go;
  if (r.raw) o["raw"] = *r.raw;
  if (r.suffix) o["suffix"] = *r.suffix;
  if (!r.around.empty()) {
    json::array around;
    for (const NamedText& t : r.around) around.push_back({{"name", t.name}, {"text", t.text}});
    o["around"] = std::move(around);
  }
  if (r.query) o["query"] = *r.query;
  if (r.template_text) o["template"] = *r.template_text;
  if (r.logprobs) o["logprobs"] = *r.logprobs;
  if (!r.tools.is_null()) o["tools"] = r.tools;
  if (!r.format.is_null()) o["format"] = r.format;
  if (!r.embed.empty()) o["embed"] = strings(r.embed);
  if (!r.normalise) o["raw_vectors"] = true;
  if (r.think.set)
    o["think"] = json::object{{"on", r.think.on}, {"level", r.think.level}, {"if_able", r.think.if_able}};
  return o;
}

template <class T>
void read_optional(const Json& j, const char* key, std::optional<T>& to) {
  if (const Json* at = j.as_object().if_contains(key)) to = json::value_to<T>(*at);
}

Request request_of(const Json& j) {
  const json::object& o = j.as_object();
  Request r;
  for (const Json& m : j.at("messages").as_array()) r.messages.push_back(message_of(m));
  r.sampling.options = j.at("sampling");
  r.max_tokens = number<uint32_t>(j, "max_tokens");
  r.stop = strings(j, "stop");
  r.truncate = j.at("truncate").as_bool();
  r.shift = j.at("shift").as_bool();
  r.model = text_or_empty(j, "model");
  r.full_model = text_or_empty(j, "full_model");
  r.parser = text_or_empty(j, "parser");
  r.chat = o.contains("chat");
  r.plain = o.contains("plain");
  r.progress = o.contains("progress");
  read_optional(j, "think_budget", r.think_budget);
  r.calls = {o.contains("must_call"), !o.contains("one_call")};
  if (const Json* tokens = o.if_contains("embed_tokens"))
    r.embed_tokens = json::value_to<std::vector<std::vector<int32_t>>>(*tokens);
  r.render_only = o.contains("render_only");
  r.count_only = o.contains("count_only");
  r.want_context = o.contains("want_context");
  if (const Json* context = o.if_contains("context"))
    r.context = json::value_to<std::vector<int32_t>>(*context);
  read_optional(j, "go_template", r.go_template);
  read_optional(j, "prefer_go", r.prefer_go);
  read_optional(j, "raw", r.raw);
  read_optional(j, "suffix", r.suffix);
  read_optional(j, "query", r.query);
  if (o.contains("around")) {
    for (const Json& t : j.at("around").as_array()) r.around.push_back({text(t, "name"), text(t, "text")});
  }
  read_optional(j, "template", r.template_text);
  read_optional(j, "logprobs", r.logprobs);
  if (const Json* tools = o.if_contains("tools")) r.tools = *tools;
  if (const Json* format = o.if_contains("format")) r.format = *format;
  if (o.contains("embed")) r.embed = strings(j, "embed");
  r.normalise = !o.contains("raw_vectors");
  if (const Json* think = o.if_contains("think"))
    r.think = {true, think->at("on").as_bool(), text(*think, "level"), think->at("if_able").as_bool()};
  return r;
}

json::object statistics_json(const Statistics& s) {
  return {{"load", s.load},
          {"prompt", s.prompt},
          {"generation", s.generation},
          {"total", s.total},
          {"prompt_tokens", s.prompt_tokens},
          {"cached_tokens", s.cached_tokens},
          {"generated_tokens", s.generated_tokens},
          {"truncated_tokens", s.truncated_tokens},
          {"thinking_tokens", s.thinking_tokens},
          {"seed", s.seed}};
}
Statistics statistics_of(const Json& j) {
  return {number<double>(j, "load"),
          number<double>(j, "prompt"),
          number<double>(j, "generation"),
          number<double>(j, "total"),
          number<uint32_t>(j, "prompt_tokens"),
          number<uint32_t>(j, "cached_tokens"),
          number<uint32_t>(j, "generated_tokens"),
          number<uint32_t>(j, "truncated_tokens"),
          number<uint32_t>(j, "thinking_tokens"),
          number<uint64_t>(j, "seed")};
}

Json held_json(const std::vector<DeviceBuffers>& held) {
  json::array list;
  for (const DeviceBuffers& h : held) list.push_back(to_json(h));
  return list;
}
std::vector<DeviceBuffers> held_of(const Json& j) {
  std::vector<DeviceBuffers> held;
  for (const Json& h : j.as_array()) held.push_back(buffers_of(h));
  return held;
}

json::array budgets_json(const std::vector<DeviceBudget>& budgets) {
  json::array list;
  for (const DeviceBudget& b : budgets) list.push_back(to_json(b));
  return list;
}
std::vector<DeviceBudget> budgets_of(const Json& j) {
  std::vector<DeviceBudget> budgets;
  for (const Json& b : j.as_array()) budgets.push_back(budget_of(b));
  return budgets;
}

json::array products_json(const std::vector<FailedProduct>& failures) {
  json::array list;
  for (const FailedProduct& f : failures)
    list.push_back({{"device", f.device}, {"type", f.type}, {"cause", f.cause}});
  return list;
}
std::vector<FailedProduct> products_of(const Json& j) {
  std::vector<FailedProduct> failures;
  for (const Json& f : j.as_array())
    failures.push_back({text(f, "device"), text(f, "type"), text(f, "cause")});
  return failures;
}

json::array failures_json(const std::vector<FailedAttention>& failures) {
  json::array list;
  for (const FailedAttention& f : failures)
    list.push_back({{"device", f.device},
                    {"head_size", f.head_size},
                    {"type", to_string(f.type)},
                    {"cause", f.cause},
                    {"two_pass", f.two_pass}});
  return list;
}
std::vector<FailedAttention> failures_of(const Json& j) {
  std::vector<FailedAttention> failures;
  for (const Json& f : j.as_array())
    failures.push_back({text(f, "device"), number<uint32_t>(f, "head_size"), find_kv_type(text(f, "type")),
                        text(f, "cause"), f.at("two_pass").as_bool()});
  return failures;
}

json::object load_json(const LoadRequest& r) {
  return {{"path", r.path},
          {"wish", to_json(r.wish)},
          {"cpu", r.cpu_set},
          {"threads", r.threads},
          {"devices", json::value_from(r.devices)},
          {"backends", r.backends},
          {"budgets", budgets_json(r.budgets)},
          {"environment", json::value_from(r.environment)},
          {"avoid", failures_json(r.avoid)},
          {"avoid_products", products_json(r.avoid_products)},
          {"vectors", r.vectors},
          {"halvings", r.halvings},
          {"two_pass_attention", r.two_pass_attention}};
}
LoadRequest load_of(const Json& j) {
  return {text(j, "path"),
          wish_of(j.at("wish")),
          text(j, "cpu"),
          number<uint32_t>(j, "threads"),
          json::value_to<std::vector<std::string>>(j.at("devices")),
          text(j, "backends"),
          budgets_of(j.at("budgets")),
          json::value_to<std::vector<std::pair<std::string, std::string>>>(j.at("environment")),
          failures_of(j.at("avoid")),
          products_of(j.at("avoid_products")),
          j.at("vectors").as_bool(),
          number<uint32_t>(j, "halvings"),
          j.at("two_pass_attention").as_bool()};
}

json::object survey_json(const to_child::Survey& m) {
  json::array headers;
  for (const auto& h : m.headers) headers.push_back({{"path", h.path}, {"bytes", h.file_bytes}});
  return {{"is", "survey"}, {"request", load_json(m.request)}, {"headers", std::move(headers)}};
}
to_child::Survey survey_of(const Json& j) {
  to_child::Survey m{load_of(j.at("request"))};
  for (const Json& h : j.at("headers").as_array())
    m.headers.push_back({text(h, "path"), number<uint64_t>(h, "bytes")});
  return m;
}

struct EncodeToChild {
  json::object operator()(const to_child::Load& m) const {
    json::object o = load_json(m.request);
    o["is"] = "load";
    return o;
  }
  json::object operator()(const to_child::Survey& m) const { return survey_json(m); }
  json::object operator()(const to_child::Start& m) const {
    return {{"is", "start"}, {"id", m.id.value}, {"request", request_json(m.request)}};
  }
  json::object operator()(const to_child::Cancel& m) const { return {{"is", "cancel"}, {"id", m.id.value}}; }
  json::object operator()(const to_child::Inspect& m) const {
    json::object o{{"is", "inspect"}, {"path", m.path}, {"arrays", m.arrays}, {"parser", m.parser}};
    if (m.go_template) o["go_template"] = *m.go_template;
    if (m.prefer_go) o["prefer_go"] = *m.prefer_go;
    return o;
  }
  json::object operator()(const to_child::Ping&) const { return {{"is", "ping"}}; }
  json::object operator()(const to_child::Leave&) const { return {{"is", "leave"}}; }
};

from_child::Text text_of(const Json& j) {
  from_child::Text m{{number<uint64_t>(j, "id")}, text(j, "text"), {}};
  const Json* tokens = j.as_object().if_contains("tokens");
  if (tokens == nullptr) return m;
  for (const Json& t : tokens->as_array()) {
    m.tokens.push_back({text(t, "text"), number<double>(t, "logprob"),
                        json::value_to<std::vector<std::pair<std::string, double>>>(t.at("best"))});
  }
  return m;
}

struct EncodeFromChild {
  json::object operator()(const from_child::Ready& m) const {
    return {{"is", "ready"},
            {"model", m.model},
            {"device", m.device},
            {"held", held_json(m.held)},
            {"context", m.context},
            {"seconds", m.load_seconds},
            {"notes", strings(m.notes)}};
  }
  json::object operator()(const from_child::Text& m) const {
    json::object o{{"is", "text"}, {"id", m.id.value}, {"text", m.text}};
    if (m.tokens.empty()) return o;
    json::array tokens;
    for (const from_child::TokenProbability& t : m.tokens) {
      tokens.push_back({{"text", t.text}, {"logprob", t.logprob}, {"best", json::value_from(t.best)}});
    }
    o["tokens"] = std::move(tokens);
    return o;
  }
  json::object operator()(const from_child::Thinking& m) const {
    return {{"is", "thinking"}, {"id", m.id.value}, {"text", m.text}};
  }
  json::object operator()(const from_child::Called& m) const {
    return {{"is", "called"}, {"id", m.id.value}, {"call", call_json(m.call)}};
  }
  json::object operator()(const from_child::PromptProgress& m) const {
    return {{"is", "progress"},   {"id", m.id.value},         {"total", m.total},
            {"cached", m.cached}, {"processed", m.processed}, {"seconds", m.seconds}};
  }
  json::object operator()(const from_child::Vectors& m) const {
    return {{"is", "vectors"}, {"id", m.id.value}, {"vectors", json::value_from(m.vectors)}};
  }
  json::object operator()(const from_child::Done& m) const {
    json::object o{{"is", "done"},
                   {"id", m.id.value},
                   {"reason", m.reason},
                   {"statistics", statistics_json(m.statistics)}};
    if (!m.context.empty()) o["context"] = json::value_from(m.context);
    return o;
  }
  json::object operator()(const from_child::Failed& m) const {
    return {{"is", "failed"},
            {"id", m.id.value},
            {"code", to_string(m.code)},
            {"message", m.message},
            {"remedy", m.remedy}};
  }
  json::object operator()(const from_child::Inspected& m) const {
    return {{"is", "inspected"}, {"what", m.what}};
  }
  json::object operator()(const from_child::Surveyed& m) const {
    if (m.goes_on) return {{"is", "surveyed"}, {"goes_on", true}};
    return {{"is", "surveyed"},
            {"goes_on", false},
            {"profile", to_json(m.profile)},
            {"budgets", budgets_json(m.budgets)},
            {"facts", m.facts}};
  }
  json::object operator()(const from_child::Pong&) const { return {{"is", "pong"}}; }
};

[[noreturn]] void unknown(const std::string& kind) {
  throw Error(Code::bug, fmt::format("unknown message '{}' between processes", kind),
              "parent and child must be the same build");
}

}  // namespace

Json encode(const ToChild& message) { return std::visit(EncodeToChild{}, message); }
Json encode(const FromChild& message) { return std::visit(EncodeFromChild{}, message); }

ToChild decode_to_child(const Json& j) {
  return decoded([&]() -> ToChild {
    const std::string is = text(j, "is");
    if (is == "load") {
      return to_child::Load{load_of(j)};
    }
    if (is == "start") return to_child::Start{{number<uint64_t>(j, "id")}, request_of(j.at("request"))};
    if (is == "cancel") return to_child::Cancel{{number<uint64_t>(j, "id")}};
    if (is == "inspect") {
      to_child::Inspect m{text(j, "path"), j.at("arrays").as_bool(), {}, {}, text(j, "parser")};
      read_optional(j, "go_template", m.go_template);
      read_optional(j, "prefer_go", m.prefer_go);
      return m;
    }
    if (is == "survey") return survey_of(j);
    if (is == "ping") return to_child::Ping{};
    if (is == "leave") return to_child::Leave{};
    unknown(is);
  });
}

FromChild decode_from_child(const Json& j) {
  return decoded([&]() -> FromChild {
    const std::string is = text(j, "is");
    if (is == "ready") {
      return from_child::Ready{text(j, "model"),
                               text(j, "device"),
                               held_of(j.at("held")),
                               number<uint32_t>(j, "context"),
                               number<double>(j, "seconds"),
                               strings(j, "notes")};
    }
    if (is == "text") return text_of(j);
    if (is == "thinking") return from_child::Thinking{{number<uint64_t>(j, "id")}, text(j, "text")};
    if (is == "called") return from_child::Called{{number<uint64_t>(j, "id")}, call_of(j.at("call"))};
    if (is == "progress") {
      return from_child::PromptProgress{{number<uint64_t>(j, "id")},
                                        number<uint32_t>(j, "total"),
                                        number<uint32_t>(j, "cached"),
                                        number<uint32_t>(j, "processed"),
                                        number<double>(j, "seconds")};
    }
    if (is == "vectors") {
      return from_child::Vectors{{number<uint64_t>(j, "id")},
                                 json::value_to<std::vector<std::vector<float>>>(j.at("vectors"))};
    }
    if (is == "done") {
      from_child::Done done{
          {number<uint64_t>(j, "id")}, text(j, "reason"), statistics_of(j.at("statistics"))};
      if (const Json* context = j.as_object().if_contains("context"))
        done.context = json::value_to<std::vector<int32_t>>(*context);
      return done;
    }
    if (is == "failed") {
      return from_child::Failed{{number<uint64_t>(j, "id")},
                                code_from_string(text(j, "code")),
                                text(j, "message"),
                                text(j, "remedy")};
    }
    if (is == "surveyed") {
      from_child::Surveyed m{j.at("goes_on").as_bool()};
      if (m.goes_on) return m;
      m.profile = profile_of(j.at("profile"));
      m.budgets = budgets_of(j.at("budgets"));
      m.facts = j.at("facts");
      return m;
    }
    if (is == "inspected") return from_child::Inspected{j.at("what")};
    if (is == "pong") return from_child::Pong{};
    unknown(is);
  });
}

}  // namespace hearth
