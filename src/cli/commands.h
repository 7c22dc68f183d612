#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"

namespace hearth {

// A command of the program: `add` declares its arguments on its own parser and says what to run when it was
// chosen.
struct Command {
  const char* name;
  const char* summary;
  void (*add)(Arguments app);
};

void add_serve(Arguments app);
void add_run(Arguments app);
void add_show(Arguments app);
void add_doctor(Arguments app);
void add_bench(Arguments app);
void add_plan(Arguments app);
void add_list(Arguments app);
void add_ps(Arguments app);
void add_cp(Arguments app);
void add_rm(Arguments app);
void add_stop(Arguments app);
void add_pull(Arguments app);
void add_push(Arguments app);
void add_create(Arguments app);
void add_debug(Arguments app);

// Runs the program: parses `arguments` (without the program's name), returns the exit code. Errors are one
// line on standard error.
int run_program(std::vector<std::string> arguments);

}  // namespace hearth
