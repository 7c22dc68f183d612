// A conversation at the terminal: lines in, commands that begin with a slash, answers out.
#include "cli/conversation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "cli/history.h"
#include "cli/line_editor.h"
#include "cli/parameters.h"
#include "cli/statistics.h"
#include "cli/talker.h"
#include "cli/thinking_view.h"
#include "cli/wrap.h"
#include "worker/open_model.h"

namespace hearth {
namespace {

std::atomic<bool> interrupted{false};
void on_interrupt(int) { interrupted = true; }

constexpr const char* placeholder = "Send a message (/? for help)";

constexpr const char* help = R"(Available commands:
  /set            Set parameters, the system message and how answers are shown
  /show           Show what is known of the model and the session
  /load FILE      Load another model; the conversation starts anew
  /clear          Forget the conversation
  /bye            Leave (also Ctrl-D)
  /?, /help       This text; /? set, /? show and /? shortcuts say more

Use """ to begin and end a message of several lines.
)";
constexpr const char* set_help = R"(Available commands:
  /set parameter NAME VALUE   temperature, top_k, top_p, min_p, typical_p, seed, num_predict, stop,
                              repeat_last_n, repeat_penalty, presence_penalty, frequency_penalty,
                              mirostat, mirostat_tau, mirostat_eta
  /set system TEXT            Set the system message
  /set format json, /set noformat
  /set think [LEVEL], /set nothink
  /set verbose, /set quiet    Show or hide timings after each answer
  /set wordwrap, /set nowordwrap
  /set history, /set nohistory
)";
constexpr const char* show_help = R"(Available commands:
  /show info         The model
  /show parameters   What /set parameter has set
  /show system       The system message
  /show template     The model's chat template
)";
constexpr const char* shortcuts_help = R"(Available keyboard shortcuts:
  Ctrl-A, Ctrl-E     Move to the beginning or the end of the line
  Alt-B, Alt-F       Move by a word
  Ctrl-K, Ctrl-U     Delete to the end or to the beginning of the line
  Ctrl-W             Delete the word before the cursor
  Ctrl-J             Begin a new line without sending
  Ctrl-L             Clear the screen
  Ctrl-G             Change the message in your editor (OLLAMA_EDITOR, VISUAL, EDITOR)
  Ctrl-Z             Suspend; fg comes back
  Ctrl-C             Stop the answer, or drop the line
  Ctrl-D             Leave (on an empty line)
)";

void say(std::string_view text) { fmt::print("{}\n", text); }

// Everything of one session.
class Conversation {
 public:
  explicit Conversation(RunOptions options)
      : options_(std::move(options)), history_(History::default_file()), editor_(&history_) {
    // The built-in model is for facts: it answers the same question the same way.
    if (options_.load.path.empty() && options_.model.empty() && !options_.temperature)
      options_.temperature = 0;
  }

  void run() {
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    ::sigaction(SIGINT, &action, nullptr);
    start();
    for (std::string message; next_message(message);) {
      history_.add(message);
      if (message.starts_with("/")) {
        if (!command(message)) return;
      } else {
        ask(message);
      }
    }
  }

 private:
  void start() {
    fmt::print(stderr, "loading ...");
    std::fflush(stderr);
    try {
      worker_ = open_talker(options_);
    } catch (...) {
      fmt::print(stderr, "\r\x1b[K");
      throw;
    }
    fmt::print(stderr, "\r\x1b[K");
    for (const std::string& note : worker_->notes()) fmt::print(stderr, "note: {}\n", note);
  }

  // A message may span lines between triple quotes. False: the session ends.
  bool next_message(std::string& message) {
    message.clear();
    for (bool open = false;;) {
      const auto line = editor_.read(open ? "... " : ">>> ", open ? "" : placeholder);
      if (line.kind == LineEditor::Result::Kind::end_of_file) return false;
      if (line.kind == LineEditor::Result::Kind::interrupt) {
        if (line.text.empty() && !open) say("\nUse Ctrl-D or /bye to leave.");
        message.clear();
        open = false;
        continue;
      }
      std::string text = line.text;
      if (!open && text.starts_with("\"\"\"")) {
        open = true;
        text = text.substr(3);
      } else if (open) {
        message += message.empty() ? "" : "\n";
      }
      const bool closes = open && text.ends_with("\"\"\"");
      message += closes ? text.substr(0, text.size() - 3) : text;
      if (open && !closes) continue;
      if (message.find_first_not_of(" \n\t") != std::string::npos) return true;
      message.clear();
      open = false;
    }
  }

  void ask(const std::string& message) {
    std::vector<ChatMessage> all = messages_;
    all.push_back({"user", message});
    interrupted = false;
    std::string answer;
    WordWrap wrap(options_.no_wrap ? 0 : terminal_width(STDOUT_FILENO));
    const auto show = [&](const std::string& text) {
      answer += text;
      std::fputs(wrap.push(printable(text)).c_str(), stdout);
      std::fflush(stdout);
    };
    try {
      if (worker_ == nullptr) start();
      Request request = request_of(options_, all);
      parameters_.apply(request);
      request.truncate = true;  // the oldest messages go, which is said
      ThinkingView thinking(!options_.hide_thinking, ::isatty(STDOUT_FILENO) != 0);
      const auto done = worker_->ask(request, thinking.listener(show), [] { return interrupted.load(); });
      thinking.close();
      std::fputs((wrap.flush() + "\n\n").c_str(), stdout);
      messages_ = std::move(all);
      messages_.push_back({"assistant", answer});
      if (options_.verbose) fmt::print(stderr, "{}", statistics_text(done.statistics));
      if (done.statistics.truncated_tokens > 0) {
        fmt::print(stderr,
                   "note: {} tokens of the oldest messages did not fit (/clear, or a larger context)\n",
                   done.statistics.truncated_tokens);
      }
    } catch (const Error& e) {
      fmt::print("{}Error: {}\n", answer.empty() ? "" : "\n", e.what());
      if (e.code == Code::device_lost) worker_.reset();  // the next message starts a new one
    }
  }

  // False: leave.
  bool command(const std::string& line) {
    std::istringstream words(line);
    std::string name, what;
    words >> name >> what;
    std::string rest;
    std::getline(words >> std::ws, rest);
    if (name == "/bye" || name == "/exit") return false;
    if (name == "/?" || name == "/help") {
      say(what == "set"         ? set_help
          : what == "show"      ? show_help
          : what == "shortcuts" ? shortcuts_help
                                : help);
    } else if (name == "/clear") {
      messages_.clear();
      say("Cleared session context");
    } else if (name == "/set") {
      set(what, rest);
    } else if (name == "/show") {
      show(what);
    } else if (name == "/load") {
      load(what);
    } else if (name == "/save" || name == "/list") {
      say("This version has no model store: run GGUF files by their path");
    } else {
      say(fmt::format("Unknown command '{}'. Type /? for help", name));
    }
    return true;
  }

  void set(const std::string& what, const std::string& rest) {
    if (what == "parameter") return set_parameter(rest);
    if (what == "system" && !rest.empty()) {
      options_.system = rest;
      return say("Set system message.");
    }
    const bool on = what == "verbose" || what == "wordwrap" || what == "history";
    if (on || what == "quiet" || what == "nowordwrap" || what == "nohistory") {
      if (what == "verbose" || what == "quiet") options_.verbose = on;
      if (what == "wordwrap" || what == "nowordwrap") options_.no_wrap = !on;
      if (what == "history" || what == "nohistory") history_.enable(on);
      return say(fmt::format("Set '{}' mode.", what));
    }
    try {
      if (what == "format" || what == "noformat") {
        options_.format = what == "format" ? format_of(rest) : Json();
        return say(what == "format" ? fmt::format("Set format to '{}' mode.", rest) : "Disabled format.");
      }
      if (what == "think" || what == "nothink") {
        options_.think = think_of(what == "nothink" ? "false" : rest);
        return say(what == "think" ? "Set 'think' mode." : "Set 'nothink' mode.");
      }
    } catch (const Error& e) {
      return say(fmt::format("Error: {}", e.what()));
    }
    say(set_help);
  }

  void set_parameter(const std::string& rest) {
    std::vector<std::string> words = words_of(rest);
    if (words.empty()) return say(set_help);
    const std::string name = words.front();
    words.erase(words.begin());
    try {
      say(fmt::format("Set parameter '{}' to '{}'", name, parameters_.set(name, words)));
    } catch (const Error& e) {
      say(fmt::format("Error: {}", e.what()));
    }
  }

  void show(const std::string& what) {
    if (what == "system")
      return say(options_.system.empty() ? "No system message was set." : options_.system);
    if (what == "parameters") {
      const std::string rows = parameters_.rows();
      return rows.empty() ? say("No parameters were set.") : fmt::print("{}", rows);
    }
    if (what == "info") return show_info();
    if (what == "template" && worker_ != nullptr) {
      const std::string text = worker_->template_text();
      return say(text.empty() ? "No template was set." : text);
    }
    say(what == "license" || what == "modelfile" ? fmt::format("'/show {}' is not in this version", what)
                                                 : show_help);
  }

  void show_info() const {
    if (worker_ == nullptr) return say("No model is loaded.");
    fmt::print("{}", worker_->description());
  }

  void load(const std::string& path) {
    RunOptions other = options_;
    name_model(other, path);
    try {
      worker_ = open_talker(other);
      options_ = std::move(other);
      messages_.clear();
      say(fmt::format("Loaded {}", path));
    } catch (const Error& e) {
      say(fmt::format("Error: {}", e.what()));
    }
  }

  RunOptions options_;
  History history_;
  LineEditor editor_;
  std::unique_ptr<Talker> worker_;
  std::vector<ChatMessage> messages_;
  Parameters parameters_;
};

}  // namespace

void converse(RunOptions options) { Conversation(std::move(options)).run(); }

}  // namespace hearth
