#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/local_worker.h"
#include "protocol/probe.h"
#include "worker/convert.h"
#include "worker/probe.h"
#include "worker/serve.h"

namespace hearth {
namespace {

constexpr const char* version = HEARTH_VERSION;

constexpr std::array commands{
    Command{"serve", "Serve models over HTTP, as Ollama does", add_serve},
    Command{"run", "Talk to a model: the built-in one or a GGUF file", add_run},
    Command{"show", "Say what is in a model file", add_show},
    Command{"pull", "Fetch a model from a registry, from Hugging Face or from an address", add_pull},
    Command{"push", "Bring a model to a registry", add_push},
    Command{"create", "Make a model from a Modelfile, GGUF files or safetensors", add_create},
    Command{"list", "List the models that a server has", add_list},
    Command{"ps", "List the models that are loaded", add_ps},
    Command{"cp", "Give a model a second name", add_cp},
    Command{"rm", "Delete models", add_rm},
    Command{"stop", "Unload a model", add_stop},
    Command{"doctor", "Say which devices are used, why others are not, and what to change", add_doctor},
    Command{"bench", "Measure prompt and generation speed, of a file or of a shape", add_bench},
    Command{"plan", "Say what a model takes and how fast it will be, before it is loaded or fetched",
            add_plan},
    Command{"debug", "Look at logits, tokens, templates and quantized blocks", add_debug},
};

// Commands of the reference that this version does not have yet: better a clear word than "unknown".
constexpr std::array later{"eval", "token", "verify"};

// Of the reference, and of accounts and other people's programs: not coming.
constexpr std::array never{"signin", "login", "signout", "logout", "launch"};

// Scripts cut the text behind "version is" to learn what a server can: its answer counts, if there is one.
std::string version_text() {
  try {
    const Json answer = ApiClient::connect().call("GET", "/api/version");
    const Json* own = answer.as_object().if_contains("hearth");
    const bool same = own != nullptr && *own == version;
    return fmt::format(
        "hearth version is {}{}", std::string_view(answer.at("version").as_string()),
        same ? fmt::format("\nhearth's own is {}", version) : fmt::format("\nclient version is {}", version));
  } catch (const std::exception&) {
    fmt::print(stderr, "Warning: could not connect to a running server\n");
    return fmt::format("hearth version is {}", version);
  }
}

void print_error(const std::string& line) { fmt::print(stderr, "Error: {}\n", line); }

int explain_parse_error(const CLI::App& app, const CLI::ParseError& error,
                        const std::vector<std::string>& arguments) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  if (!arguments.empty() && std::find(later.begin(), later.end(), arguments.front()) != later.end()) {
    print_error(
        fmt::format("the command '{}' is not in this version (hearth {})", arguments.front(), version));
    return 1;
  }
  if (!arguments.empty() && std::find(never.begin(), never.end(), arguments.front()) != never.end()) {
    print_error(fmt::format("{}: hearth knows no accounts and starts no other programs", arguments.front()));
    return 1;
  }
  if (!arguments.empty() && !arguments.front().starts_with('-') && app.get_subcommands().empty()) {
    print_error(fmt::format("unknown command '{}' (see hearth --help)", arguments.front()));
    return 1;
  }
  std::string what = error.what();
  std::replace(what.begin(), what.end(), '\n', ' ');
  const auto chosen = app.get_subcommands();
  print_error(
      fmt::format("{} (see hearth {}--help)", what, chosen.empty() ? "" : chosen.front()->get_name() + " "));
  return 1;
}

}  // namespace

int run_program(std::vector<std::string> arguments) {
  if (arguments.size() == 1 && arguments.front() == worker_role) return serve_worker(child_socket);
  if (arguments.size() == 1 && arguments.front() == probe_role) return serve_probe(child_socket);
  if (arguments.size() == 1 && arguments.front() == convert_role)
    return run_conversion(STDIN_FILENO, STDOUT_FILENO);
  if (arguments.size() == 1 && arguments.front() == convert_child_role)
    return run_conversion(child_socket, child_socket);
  CLI::App app("hearth serves large language models on the hardware the house has", "hearth");
  app.set_version_flag("-v,--version", version_text);
  app.require_subcommand(0, 1);
  for (const Command& command : commands) {
    command.add(Arguments(*app.add_subcommand(command.name, command.summary)->fallthrough(false)));
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
    if (app.get_subcommands().empty()) std::cout << app.help();
    return 0;
  } catch (const ExitCode& e) {
    return e.code;
  } catch (const CLI::ParseError& e) {
    return explain_parse_error(app, e, arguments);
  } catch (const Error& e) {
    print_error(e.what());
    return 1;
  } catch (const std::exception& e) {
    print_error(fmt::format("{} (this is a fault of hearth: please report it)", e.what()));
    return 1;
  }
}

}  // namespace hearth
