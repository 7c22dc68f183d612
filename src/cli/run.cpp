// hearth run: one answer, or a conversation at the terminal.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/environment.h"
#include "cli/run_options.h"
#include "worker/open_model.h"

namespace hearth {
namespace {

std::string read_standard_input() {
  std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

bool looks_like_file(const std::string& word) {
  const bool one_word = word.find_first_of(" \n") == std::string::npos;
  return (one_word && (word.ends_with(".gguf") || word.find('/') != std::string::npos)) ||
         (!word.empty() && std::filesystem::exists(word));
}

// The first word is a model if it is the built-in one's name or names a file; otherwise everything is prompt.
std::string take_model(std::vector<std::string>& words) {
  if (words.empty()) return {};
  std::string first = words.front();
  if (first == builtin_name) {
    words.erase(words.begin());
    return {};
  }
  if (looks_like_file(first)) {
    words.erase(words.begin());
    return first;
  }
  const bool one_word = first.find(' ') == std::string::npos;
  if (one_word && (words.size() > 1 || first.find(':') != std::string::npos)) {
    throw Error(Code::not_found, fmt::format("no model '{}'", first),
                "this version runs GGUF files and the built-in model: give a path, or put the whole prompt "
                "in quotes");
  }
  return {};
}

struct Arguments {
  std::vector<std::string> words;
  std::string kv = "f16";
  RunOptions options;
};

void run(Arguments a) {
  a.options.load.path = take_model(a.words);
  if (!a.options.load.path.empty() && !std::filesystem::exists(a.options.load.path)) {
    throw Error(Code::not_found, fmt::format("no such file: {}", a.options.load.path),
                "check the path and its spelling");
  }
  const size_t slash = a.kv.find('/');
  a.options.load.wish.kv = {find_kv_type(a.kv.substr(0, slash)),
                            find_kv_type(slash == std::string::npos ? a.kv : a.kv.substr(slash + 1))};
  a.options.load.cpu_set = setting("CPU");
  a.options.load.threads = thread_setting();
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

void add_run(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  app.add_option(
      "MODEL_AND_PROMPT", a->words,
      "a GGUF file (default: the built-in model), then the prompt; without a prompt: a conversation");
  app.add_flag("--verbose", a->options.verbose, "show timings after the answer");
  app.add_flag("--nowordwrap", a->options.no_wrap, "do not break lines at words");
  app.add_flag("--raw", a->options.raw, "send the prompt as it is, without the model's chat template");
  app.add_option("--system", a->options.system, "system message");
  app.add_option("--context", a->options.load.wish.context,
                 "tokens of context (default: the model's, 8192 at most)")
      ->check(CLI::Range(1U, 1U << 24));
  app.add_option("--kv-type", a->kv, "cache type f32, f16, q8_0 or q4_0; K/V for two (default f16)");
  app.add_option("--max-tokens", a->options.max_tokens, "tokens of the answer at most");
  app.add_option("--temperature", a->options.temperature, "0 = always the likeliest token");
  app.add_option("--seed", a->options.seed, "the same seed gives the same text");
  app.add_option("--stop", a->options.stop, "end the answer before this text (may be repeated)");
  app.footer(
      "Environment: HEARTH_THREADS, HEARTH_CPU (portable, avx2, avx512, avx512vnni, avx512bf16, amx), "
      "OLLAMA_NOHISTORY");
  app.callback([a] { run(*a); });
}

}  // namespace hearth
