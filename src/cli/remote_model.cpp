#include "cli/remote_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "cli/devices.h"
#include "cli/local_worker.h"
#include "cli/transfer.h"

namespace hearth {
namespace {

std::string text_at(const Json& j, const char* key) {
  const Json* at = j.is_object() ? j.as_object().if_contains(key) : nullptr;
  return at != nullptr && at->is_string() ? std::string(at->as_string()) : std::string();
}
double number_at(const Json& j, const char* key) {
  const Json* at = j.as_object().if_contains(key);
  return at != nullptr && at->is_number() ? at->to_number<double>() : 0;
}

Statistics statistics_of(const Json& last) {
  constexpr double ns = 1e-9;
  Statistics s;
  s.total = number_at(last, "total_duration") * ns;
  s.load = number_at(last, "load_duration") * ns;
  s.prompt = number_at(last, "prompt_eval_duration") * ns;
  s.generation = number_at(last, "eval_duration") * ns;
  s.prompt_tokens = static_cast<uint32_t>(number_at(last, "prompt_eval_count"));
  s.generated_tokens = static_cast<uint32_t>(number_at(last, "eval_count"));
  s.truncated_tokens = static_cast<uint32_t>(number_at(last, "prompt_truncated"));
  return s;
}

Json think_json(const ThinkChoice& think) { return think.level.empty() ? Json(think.on) : Json(think.level); }

void tell_calls(const Json& message, const Listener& listener) {
  const Json* calls = message.is_object() ? message.as_object().if_contains("tool_calls") : nullptr;
  if (calls == nullptr || !calls->is_array() || !listener.called) return;
  for (const Json& c : calls->as_array()) {
    const Json& f = c.at("function");
    listener.called({text_at(c, "id"), text_at(f, "name"), f.at("arguments")});
  }
}

}  // namespace

json::array chat_messages(const std::vector<ChatMessage>& messages) {
  json::array list;
  for (const ChatMessage& m : messages) {
    json::object o{{"role", m.role}, {"content", m.content}};
    if (!m.thinking.empty()) o["thinking"] = m.thinking;
    if (!m.tool_name.empty()) o["tool_name"] = m.tool_name;
    list.push_back(std::move(o));
  }
  return list;
}

RemoteModel::RemoteModel(const RunOptions& options)
    : client_(ApiClient::connect()),
      model_(options.model),
      keep_alive_(options.keep_alive),
      context_(options.load.wish.context) {
  const Json name = {{"model", model_}};
  try {
    shown_ = client_.call("POST", "/api/show", name);
  } catch (const Error& e) {
    if (e.code != Code::not_found) throw;
    follow_progress(client_, "/api/pull", {{"model", model_}, {"insecure", options.insecure}});
    shown_ = client_.call("POST", "/api/show", name);
  }
  if (embeds()) return;
  json::object load{{"model", model_}, {"stream", false}};
  if (!keep_alive_.empty()) load["keep_alive"] = keep_alive_;
  if (context_ > 0) load["options"] = json::object{{"num_ctx", context_}};
  client_.call("POST", "/api/generate", load);
}

bool RemoteModel::embeds() {
  const Json* list = shown_.is_object() ? shown_.as_object().if_contains("capabilities") : nullptr;
  if (list == nullptr || !list->is_array()) return false;
  for (const Json& c : list->as_array()) {
    if (c == "completion") return false;
  }
  return !list->as_array().empty();
}

std::string RemoteModel::template_text() { return text_at(shown_, "template"); }

std::string RemoteModel::device() {
  for (const Json& m : client_.call("GET", "/api/ps").at("models").as_array()) {
    const std::string name = text_at(m, "name");
    if (name == model_ || name.starts_with(model_ + ":")) return text_at(m, "device");
  }
  return {};
}

std::string RemoteModel::description() const {
  const Json* details = shown_.as_object().if_contains("details");
  if (details == nullptr) return fmt::format("  model      {}\n", model_);
  return fmt::format("  model      {}\n  family     {}\n  size       {}\n  type       {}\n", model_,
                     text_at(*details, "family"), text_at(*details, "parameter_size"),
                     text_at(*details, "quantization_level"));
}

json::object RemoteModel::common(const Request& request) const {
  json::object options = request.sampling.options.as_object();
  if (request.max_tokens > 0) options["num_predict"] = request.max_tokens;
  if (!request.stop.empty()) options["stop"] = json::value_from(request.stop);
  if (context_ > 0) options["num_ctx"] = context_;
  json::object body{{"model", model_}, {"options", std::move(options)}, {"truncate", request.truncate}};
  if (!keep_alive_.empty()) body["keep_alive"] = keep_alive_;
  if (!request.format.is_null()) body["format"] = request.format;
  if (request.think.set) body["think"] = think_json(request.think);
  return body;
}

Answer RemoteModel::embed(const Request& request, const Listener& listener) {
  json::object body{
      {"model", model_}, {"input", json::value_from(request.embed)}, {"truncate", request.truncate}};
  if (!keep_alive_.empty()) body["keep_alive"] = keep_alive_;
  const Json answer = client_.call("POST", "/api/embed", body);
  if (listener.vectors)
    listener.vectors(json::value_to<std::vector<std::vector<float>>>(answer.at("embeddings")));
  return {"stop", statistics_of(answer)};
}

Answer RemoteModel::ask(const Request& request, const Listener& listener,
                        const std::function<bool()>& interrupted) {
  if (!request.embed.empty()) return embed(request, listener);
  json::object body = common(request);
  if (request.raw) {
    body["prompt"] = *request.raw;
    body["raw"] = true;
  } else {
    body["messages"] = chat_messages(request.messages);
  }
  Answer answer;
  std::stop_source stop;
  std::jthread watch([&](const std::stop_token& over) {
    while (!over.stop_requested() && !stop.stop_requested()) {
      if (interrupted()) stop.request_stop();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  const auto on_line = [&](const Json& line) {
    const Json* message = line.as_object().if_contains("message");
    const Json& part = message != nullptr ? *message : line;
    const std::string thought = text_at(part, "thinking");
    const std::string text = text_at(part, message != nullptr ? "content" : "response");
    if (!thought.empty() && listener.thinking) listener.thinking(thought);
    if (!text.empty()) listener.text(text);
    tell_calls(part, listener);
    const Json* done = line.as_object().if_contains("done");
    if (done == nullptr || *done != true) return true;
    answer = {text_at(line, "done_reason"), statistics_of(line)};
    return false;
  };
  try {
    client_.stream(request.raw ? "/api/generate" : "/api/chat", body, on_line, stop.get_token());
  } catch (const Error& e) {
    if (e.code != Code::cancelled) throw;
    answer.reason = "cancelled";
  }
  return answer;
}

namespace {

// Every part of "vulkan0, cpu" that is no processor is a GPU.
bool names_gpu(const std::string& devices) {
  for (size_t begin = 0; begin < devices.size();) {
    const size_t end = std::min(devices.find(", ", begin), devices.size());
    if (!devices.substr(begin, end - begin).starts_with("cpu")) return true;
    begin = end + 2;
  }
  return false;
}

}  // namespace

void check_gpu(const std::string& devices) {
  if (names_gpu(devices)) return;
  throw Error(Code::unsupported,
              devices.empty() ? "--require-gpu was given, and it is not known where the model runs"
                              : fmt::format("--require-gpu was given, and the model runs on {}", devices),
              "see why with `hearth doctor`");
}

std::unique_ptr<Talker> open_talker(const RunOptions& options) {
  std::unique_ptr<Talker> talker;
  if (options.model.empty()) {
    LoadRequest load = options.load;
    if (load.devices.empty()) {
      use_devices(probed_devices([] { fmt::print(stderr, "looking at the devices of this machine …\n"); }),
                  load);
    }
    talker = std::make_unique<LocalWorker>(load);
  } else {
    talker = std::make_unique<RemoteModel>(options);
  }
  if (options.require_gpu) check_gpu(talker->device());
  return talker;
}

}  // namespace hearth
