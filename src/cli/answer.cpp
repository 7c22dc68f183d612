// One answer of `hearth run`.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>

#include "cli/run_options.h"
#include "cli/statistics.h"
#include "cli/talker.h"
#include "cli/thinking_view.h"
#include "cli/wrap.h"

namespace hearth {
namespace {

std::atomic<bool> interrupted{false};

void on_interrupt(int) { interrupted = true; }

}  // namespace

Request request_of(const RunOptions& options, std::vector<ChatMessage> messages) {
  Request request;
  if (options.raw && !messages.empty()) {
    request.raw = messages.back().content;
  } else {
    if (!options.system.empty()) messages.insert(messages.begin(), {"system", options.system});
    request.messages = std::move(messages);
  }
  json::object sampling;
  if (options.temperature) sampling["temperature"] = *options.temperature;
  if (options.seed) sampling["seed"] = *options.seed;
  request.sampling.options = std::move(sampling);
  request.max_tokens = options.max_tokens;
  request.stop = options.stop;
  request.think = options.think;
  request.format = options.format;
  request.truncate = false;  // a prompt that does not fit is refused, not cut
  return request;
}

namespace {

// The vector of a text, as one line of JSON.
void print_vector(Talker& model, const RunOptions& options, const std::string& text) {
  if (text.empty()) {
    throw Error(Code::bad_request, "an embedding model needs a text", "give one: hearth run MODEL \"text\"");
  }
  Request request;
  request.embed = {text};
  request.truncate = options.truncate;
  Listener listener{[](const std::string&) {}};
  listener.vectors = [&](const std::vector<std::vector<float>>& vectors) {
    std::vector<float> v = vectors.at(0);
    if (options.dimensions > 0 && options.dimensions < v.size()) {
      v.resize(options.dimensions);
      double sum = 0;
      for (const float x : v) sum += double{x} * x;
      for (float& x : v) x = sum > 0 ? static_cast<float>(x / std::sqrt(sum)) : 0.0F;
    }
    fmt::print("[{}]\n", fmt::join(v, ","));
  };
  model.ask(request, listener, [] { return interrupted.load(); });
}

}  // namespace

void answer_once(RunOptions options, const std::string& prompt) {
  // The built-in model is for facts: it answers the same question the same way.
  const bool builtin = options.load.path.empty() && options.model.empty();
  if (builtin && !options.temperature) options.temperature = 0;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  const auto worker = open_talker(options);
  for (const std::string& note : worker->notes()) fmt::print(stderr, "note: {}\n", note);
  if (worker->embeds()) return print_vector(*worker, options, prompt);
  if (prompt.empty()) return;
  WordWrap wrap(options.no_wrap ? 0 : terminal_width(STDOUT_FILENO));
  const auto show = [&](const std::string& text) {
    std::fputs(wrap.push(text).c_str(), stdout);
    std::fflush(stdout);
  };
  ThinkingView thinking(!options.hide_thinking, ::isatty(STDOUT_FILENO) != 0);
  const auto answer = worker->ask(request_of(options, {{"user", prompt}}), thinking.listener(show),
                                  [] { return interrupted.load(); });
  thinking.close();
  std::fputs((wrap.flush() + "\n\n").c_str(), stdout);
  std::fflush(stdout);
  if (answer.reason == "length") {
    fmt::print(stderr,
               "note: the answer ends at {} tokens: the limit (--max-tokens) or the context (--context) is "
               "reached\n",
               answer.statistics.generated_tokens);
  }
  if (options.verbose) fmt::print(stderr, "{}", statistics_text(answer.statistics));
}

}  // namespace hearth
