// hearth debug: the observable points of the engine, one JSON line in, one out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>
#include <functional>
#include <iostream>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/environment.h"
#include "cli/jsonl.h"
#include "device/modules.h"
#include "tensor/types.h"
#include "text/chat_template.h"
#include "text/detokenizer.h"
#include "text/template.h"
#include "worker/loaded_model.h"

namespace hearth {
namespace {

std::string unhex(std::string_view hex) {
  const auto digit = [&](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
    throw Error(Code::bad_request, fmt::format("'{}' is no hexadecimal digit", c), "use 0-9 and a-f");
  };
  if (hex.size() % 2 != 0)
    throw Error(Code::bad_request, "the hexadecimal text has an odd length", "give whole bytes");
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return bytes;
}

bool flag(const Json& line, const char* key, bool otherwise) {
  const Json* value = line.as_object().if_contains(key);
  return value == nullptr ? otherwise : value->as_bool();
}

// ---- logits ----

struct LogitsOptions {
  std::string file, device = "cpu", arithmetic = "f32";
  bool jsonl = false;
  uint32_t context = 0;
};

// "f16" or "q8_0/f16" (K/V).
KvTypes kv_types_of(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return {find_kv_type(text), find_kv_type(text)};
  return {find_kv_type(text.substr(0, slash)), find_kv_type(text.substr(slash + 1))};
}

// One loaded model per cache type asked for.
class Scorer {
 public:
  explicit Scorer(LogitsOptions options) : options_(std::move(options)) {}

  void answer(const Json& line, std::string& out) {
    const Json* kv = line.as_object().if_contains("kv_type");
    Engine& engine = model(kv == nullptr ? "f32" : std::string(kv->as_string())).engine();
    Task task;
    for (const Json& t : line.at("tokens").as_array()) task.tokens.push_back({t.to_number<int32_t>()});
    const bool all = flag(line, "all", false);
    const bool pooled = engine.model().program.pooled;
    const bool every = all && !pooled;
    task.every_position = every;
    std::vector<std::string> rows;
    task.scores = [&](uint32_t, std::span<const float> scores) {
      append_floats(rows.emplace_back(), scores.data(), scores.size());
    };
    const SeqId id = engine.add(std::move(task));
    while (engine.step()) {
    }
    engine.remove(id);
    out = pooled ? "{\"embedding\":" : "{\"logits\":";
    if (every) {
      out += "[" + fmt::format("{}", fmt::join(rows, ",")) + "]}";
    } else {
      out += rows.back() + "}";
    }
  }

 private:
  LoadedModel& model(const std::string& kv) {
    auto& slot = models_[kv];
    if (slot == nullptr) {
      LoadRequest request;
      request.wish.kv = kv_types_of(kv);
      request.wish.context = options_.context;
      request.devices = {options_.device};
      take_settings(request);
      slot = std::make_unique<LoadedModel>(OpenModel::open(options_.file), request,
                                           options_.arithmetic == "f32");
    }
    return *slot;
  }

  LogitsOptions options_;
  std::map<std::string, std::unique_ptr<LoadedModel>> models_;
};

void add_logits(Arguments app) {
  auto options = std::make_shared<LogitsOptions>();
  app.option("FILE", options->file, "GGUF file").required();
  app.flag("--jsonl", options->jsonl, "answer JSON lines (the only form there is)");
  app.option("--device", options->device, "where to compute: cpu, vulkan0 …");
  app.option("--context", options->context, "tokens of context (default: the model's, 8192 at most)");
  app.option("--arithmetic", options->arithmetic,
             "f32: float throughout; served: the kernels that run and bench use for prompts")
      .one_of({"f32", "served"});
  app.run([options] {
    // Before the first line is read: a device that is not there is a fault of the call.
    if (options->device != "cpu") describe_device(options->device, {{}, setting("BACKENDS")});
    Scorer scorer(*options);
    answer_lines([&](const Json& line, std::string& out) { scorer.answer(line, out); });
  });
}

// ---- tokenize ----

bool is_utf8(const std::string& text) {
  Utf8Stream stream;
  std::string valid;
  stream.push(text, valid);
  stream.flush(valid);
  return valid == text;
}

// "key":"text", or "key_hex":"…" where the bytes are no UTF-8.
void append_text(std::string& out, const char* key, const std::string& text) {
  if (is_utf8(text)) {
    out += fmt::format("\"{}\":{}", key, json::serialize(Json(json::string(text))));
    return;
  }
  out += fmt::format("\"{}_hex\":\"", key);
  for (const char c : text) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  out += "\"";
}

void tokenize_line(const Tokenizer& tokenizer, const Json& line, std::string& out) {
  const json::object& o = line.as_object();
  const Json* hex = o.if_contains("hex");
  const std::string text =
      hex != nullptr ? unhex(hex->as_string()) : std::string(line.at("text").as_string());
  const auto ids =
      tokenizer.encode(text, {flag(line, "add_special", true), flag(line, "parse_special", false)});
  out = "{\"ids\":[";
  for (size_t i = 0; i < ids.size(); ++i) out += fmt::format("{}{}", i > 0 ? "," : "", ids[i].value);
  const std::string decoded = tokenizer.decode(ids);
  out += "],";
  append_text(out, "decoded", decoded);
  out += "}";
}

void tokenize_plain(const Tokenizer& tokenizer) {
  const std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  for (const TokenId id : tokenizer.encode(text)) {
    fmt::print("{:>7}  {}\n", id.value,
               json::serialize(Json(json::string(std::string(tokenizer.piece(id))))));
  }
}

void add_tokenize(Arguments app) {
  auto file = std::make_shared<std::string>();
  auto jsonl = std::make_shared<bool>(false);
  app.option("FILE", *file, "GGUF file (only its vocabulary is read)").required();
  app.flag("--jsonl", *jsonl, "answer JSON lines: {\"text\"|\"hex\", \"add_special\", \"parse_special\"}");
  app.run([file, jsonl] {
    const Gguf gguf = Gguf::open(*file);
    const auto tokenizer = Tokenizer::create(read_vocabulary(gguf));
    if (!*jsonl) return tokenize_plain(*tokenizer);
    answer_lines([&](const Json& line, std::string& out) { tokenize_line(*tokenizer, line, out); });
  });
}

// ---- render ----

// The variables of a case: the members of the line; `vars` and `extra` hold further ones. tools and documents
// are always defined, as where the templates come from.
json::object variables_of(const Json& line) {
  json::object context{{"tools", nullptr}, {"documents", nullptr}};
  const auto merge = [&](const json::object& from) {
    for (const auto& [key, value] : from) {
      if (key != "vars" && key != "extra") context[key] = value;
    }
  };
  const json::object& o = line.as_object();
  if (const Json* vars = o.if_contains("vars"); vars != nullptr && vars->is_object())
    merge(vars->as_object());
  merge(o);
  if (const Json* extra = o.if_contains("extra"); extra != nullptr && extra->is_object())
    merge(extra->as_object());
  return context;
}

std::tm clock_of(const std::string& text) {
  std::tm now{};
  if (::strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &now) == nullptr) {
    throw Error(Code::bad_request, fmt::format("'{}' is no time", text),
                "write 2026-01-24 10:20:30, or local");
  }
  ::timegm(&now);  // fills in the day of the week
  return now;
}

// A line with messages is a conversation as in Ollama's API, one with data is the dot of the template.
Prompt render_go(const GoTemplate& chat, const Json& line, const RenderOptions& options) {
  const json::object& o = line.as_object();
  if (const Json* data = o.if_contains("data")) return chat.render_data(*data, options);
  const auto text = [&](const char* key) -> std::optional<std::string> {
    const Json* value = o.if_contains(key);
    if (value == nullptr || value->is_null()) return {};
    return std::string(value->as_string());
  };
  Conversation conversation;
  if (const Json* messages = o.if_contains("messages"); messages != nullptr && messages->is_array())
    conversation.messages.assign(messages->get_array().begin(), messages->get_array().end());
  if (const Json* tools = o.if_contains("tools")) conversation.tools = *tools;
  conversation.system = text("system").value_or("");
  if (flag(line, "is_think_set", o.contains("think"))) conversation.think = flag(line, "think", false);
  conversation.think_level = text("think_level").value_or("");
  conversation.prompt = text("prompt");
  conversation.suffix = text("suffix");
  return chat.render(conversation, options);
}

void render_lines(const std::string& file, bool go, const RenderOptions& options) {
  const std::string source = read_file(file);
  std::function<Prompt(const Json&)> render;
  if (go) {
    render = [&, chat = GoTemplate::parse(source)](const Json& line) {
      return render_go(chat, line, options);
    };
  } else {
    render = [&, chat = Template::parse(source)](const Json& line) {
      return chat.render(variables_of(line), options);
    };
  }
  answer_lines([&](const Json& line, std::string& out) {
    out = json::serialize(json::object{{"text", text_of(render(line))}});
  });
}

void add_render(Arguments app) {
  auto file = std::make_shared<std::string>();
  auto now = std::make_shared<std::string>("2026-01-24 10:20:30");
  auto go = std::make_shared<bool>(false);
  auto jsonl = std::make_shared<bool>(false);
  app.option("TEMPLATE", *file, "file with the template's text").required();
  app.flag("--go", *go, "a Go template as in a Modelfile; lines are conversations, or {data}");
  app.flag("--jsonl", *jsonl, "answer JSON lines: the template's variables (the only form there is)");
  app.option("--now", *now,
             "what the template takes for the time, or local; fixed so that output can be compared")
      .shows_default();
  app.run([file, go, now, jsonl] {
    RenderOptions options;
    if (*now != "local") options.now = clock_of(*now);
    render_lines(*file, *go, options);
  });
}

// ---- dequant ----

void add_dequant(Arguments app) {
  auto jsonl = std::make_shared<bool>(false);
  app.flag("--jsonl", *jsonl, "answer JSON lines: {\"type\", \"hex\"} (the only form there is)");
  app.run([jsonl] {
    answer_lines([](const Json& line, std::string& out) {
      const std::string name(line.at("type").as_string());
      const TypeInfo* type = find_type(std::string_view(name));
      if (type == nullptr || type->decode == nullptr) {
        throw Error(Code::bad_request, fmt::format("'{}' is no type of weights", name),
                    "use a GGUF name such as Q4_K");
      }
      const std::string bytes = unhex(line.at("hex").as_string());
      if (bytes.size() % type->block_bytes != 0) {
        throw Error(Code::bad_request,
                    fmt::format("{} bytes are no whole number of {} blocks ({} bytes)", bytes.size(), name,
                                type->block_bytes),
                    "give whole blocks");
      }
      std::vector<float> values(bytes.size() / type->block_bytes * type->block_values);
      type->decode(std::as_bytes(std::span(bytes)), values);
      out = "{\"values\":";
      append_floats(out, values.data(), values.size());
      out += "}";
    });
  });
}

}  // namespace

void add_synth(Arguments app);
void add_quantize(Arguments app);
void add_convert(Arguments app);
void add_compare(Arguments app);

void add_debug(Arguments app) {
  add_logits(app.command("logits", "scores of given tokens"));
  add_tokenize(app.command("tokenize", "text to token ids and back"));
  add_render(app.command("render", "a chat template with given variables"));
  add_dequant(app.command("dequant", "blocks of a quantized type to numbers"));
  add_compare(app.command("compare", "a model's operations on two devices, one by one"));
  add_synth(app.command("synth", "write a model of a known shape with made-up weights"));
  add_quantize(app.command("quantize", "write a model with smaller types"));
  add_convert(app.command("convert", "write a published model (safetensors) as GGUF"));
}

}  // namespace hearth
