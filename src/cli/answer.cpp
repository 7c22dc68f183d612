// One answer of `hearth run`.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "cli/local_worker.h"
#include "cli/run_options.h"
#include "cli/statistics.h"
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
  request.truncate = false;  // a prompt that does not fit is refused, not cut
  return request;
}

void answer_once(RunOptions options, const std::string& prompt) {
  // The built-in model is for facts: it answers the same question the same way.
  if (options.load.path.empty() && !options.temperature) options.temperature = 0;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  LocalWorker worker(options.load);
  for (const std::string& note : worker.ready().notes) fmt::print(stderr, "note: {}\n", note);
  if (prompt.empty()) return;
  WordWrap wrap(options.no_wrap ? 0 : terminal_width(STDOUT_FILENO));
  const auto show = [&](const std::string& text) {
    std::fputs(wrap.push(text).c_str(), stdout);
    std::fflush(stdout);
  };
  const auto answer =
      worker.ask(request_of(options, {{"user", prompt}}), show, [] { return interrupted.load(); });
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
