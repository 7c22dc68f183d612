#include "cli/commands.h"

int main(int argc, char** argv) { return hearth::run_program({argv + 1, argv + argc}); }
