// hearth run: one answer, or a conversation at the terminal.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <memory>

#include "base/duration.h"
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/devices.h"
#include "cli/environment.h"
#include "cli/run_options.h"

namespace hearth {
namespace {

std::string read_standard_input() {
  std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// The first word is the model if it is one word; a quoted sentence is a prompt for the built-in one.
void take_model(std::vector<std::string>& words, RunOptions& options) {
  if (words.empty() || words.front().find_first_of(" \n\t?") != std::string::npos) return;
  name_model(options, words.front());
  words.erase(words.begin());
}

struct RunArguments {
  std::vector<std::string> words;
  std::string kv = "f16", format, think, device;
  RunOptions options;
};

void run(RunArguments a) {
  take_model(a.words, a.options);
  if (!a.options.keep_alive.empty() && !parse_duration(a.options.keep_alive)) {
    throw Error(Code::bad_request, fmt::format("invalid duration '{}'", a.options.keep_alive),
                "give --keepalive a number with its unit: 5m, 1h30m, -1s");
  }
  if (!a.format.empty()) a.options.format = format_of(a.format);
  if (!a.think.empty()) a.options.think = think_of(a.think);
  const size_t slash = a.kv.find('/');
  a.options.load.wish.kv = {find_kv_type(a.kv.substr(0, slash)),
                            find_kv_type(slash == std::string::npos ? a.kv : a.kv.substr(slash + 1))};
  take_settings(a.options.load);
  a.options.load.devices = device_names(a.device);
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
  if (a.words.empty() && terminal) return converse(std::move(a.options));
  std::string prompt = fmt::format("{}", fmt::join(a.words, " "));
  if (::isatty(STDIN_FILENO) == 0) {
    const std::string piped = read_standard_input();
    if (!piped.empty()) prompt = prompt.empty() ? piped : piped + " " + prompt;
  }
  answer_once(std::move(a.options), prompt);
}

}  // namespace

void add_run(Arguments app) {
  auto a = std::make_shared<RunArguments>();
  app.option(
      "MODEL_AND_PROMPT", a->words,
      "a model's name or a GGUF file (default: the built-in model), then the prompt; without a prompt: a "
      "conversation");
  app.option("--keepalive", a->options.keep_alive,
             "how long a server keeps the model (5m, 1h; -1s for ever)");
  app.option("--format", a->format, "json, or a JSON Schema that the answer must follow");
  app.flag("--think{true}", a->think, "think first: --think, --think=false, --think=low|medium|high|max");
  app.flag("--hidethinking", a->options.hide_thinking, "do not show what the model thinks");
  app.flag("--insecure", a->options.insecure, "speak plain http where the model must be pulled");
  app.flag("--truncate", a->options.truncate, "cut a text to embed that is longer than the context");
  app.option("--dimensions", a->options.dimensions, "first dimensions of an embedding");
  app.flag("--verbose", a->options.verbose, "show timings after the answer");
  app.flag("--nowordwrap", a->options.no_wrap, "do not break lines at words");
  app.flag("--require-gpu", a->options.require_gpu, "fail where the model would run on the CPU alone");
  app.flag("--raw", a->options.raw, "send the prompt as it is, without the model's chat template");
  app.option("--system", a->options.system, "system message");
  app.option("--context", a->options.load.wish.context,
             "tokens of context (default: the model's, 8192 at most)")
      .in_range(1U, 1U << 24);
  app.option("--kv-type", a->kv, "cache type f32, f16, q8_0 or q4_0; K/V for two (default f16)");
  app.option("--device", a->device, "where to compute: cpu, vulkan0 … (default: HEARTH_DEVICES, else cpu)");
  app.option("--max-tokens", a->options.max_tokens, "tokens of the answer at most");
  app.option("--temperature", a->options.temperature, "0 = always the likeliest token");
  app.option("--seed", a->options.seed, "the same seed gives the same text");
  app.option("--stop", a->options.stop, "end the answer before this text (may be repeated)");
  app.footer(
      "Environment: OLLAMA_HOST, HEARTH_THREADS, HEARTH_CPU (portable, avx2, avx512, avx512vnni, avx512bf16, "
      "amx), "
      "OLLAMA_NOHISTORY");
  app.run([a] { run(*a); });
}

}  // namespace hearth
