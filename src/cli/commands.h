#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace hearth {

// A command of the program: `add` declares its arguments on its own parser and says what to run when it was
// chosen.
struct Command {
  const char* name;
  const char* summary;
  void (*add)(CLI::App& app);
};

void add_serve(CLI::App& app);
void add_run(CLI::App& app);
void add_show(CLI::App& app);
void add_doctor(CLI::App& app);
void add_bench(CLI::App& app);
void add_plan(CLI::App& app);
void add_list(CLI::App& app);
void add_ps(CLI::App& app);
void add_cp(CLI::App& app);
void add_rm(CLI::App& app);
void add_stop(CLI::App& app);
void add_pull(CLI::App& app);
void add_push(CLI::App& app);
void add_create(CLI::App& app);
void add_debug(CLI::App& app);

// Runs the program: parses `arguments` (without the program's name), returns the exit code. Errors are one
// line on standard error.
int run_program(std::vector<std::string> arguments);

}  // namespace hearth
