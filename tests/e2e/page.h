#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "base/file.h"
#include "server_process.h"
#include "support/data.h"

namespace hearth::test {

// The exit code of a line of shell; −1 if it did not exit by itself.
inline int run_shell(const std::string& line) {
  const int status = std::system(line.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Empty, or why the page cannot be tested here.
inline std::string no_browser() {
  if (run_shell("command -v chromium > /dev/null && command -v node > /dev/null") == 0) return "";
  return "the page is tested in Chromium, driven by node: scripts/packages test installs both";
}

// Runs the tests of the page whose names have `pattern` in them (all: "."), with `settings` in their
// environment. Returns what went wrong; "" if nothing did.
inline std::string test_page(const ServerProcess& server, const std::string& settings = "",
                             const std::string& pattern = ".") {
  const std::string report = (server.folder() / "page-report.txt").string();
  const int code =
      run_shell(settings + " HEARTH_URL=" + server.url() + " CHROMIUM=chromium PROFILE='" +
                server.folder().string() + "/profile' node --test --test-name-pattern='" + pattern + "' '" +
                (source_dir() / "tests/e2e/page/page.test.mjs").string() + "' > '" + report + "' 2>&1");
  return code == 0 ? "" : read_file(report) + server.log();
}

}  // namespace hearth::test
