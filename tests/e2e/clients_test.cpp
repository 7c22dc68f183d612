// Official clients from the npm registry against the built server.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "page.h"
#include "server_process.h"
#include "support/data.h"
#include "support/models.h"

namespace hearth {
namespace {

using test::run_shell;

constexpr const char* chat_template =
    "{# <tool_call></tool_call> #}{%- for m in messages -%}<s>{{ m.role }}: {{ m.content }}{% for c in "
    "m.tool_calls or [] %}{{ "
    "c.function.name }}"
    "{% endfor %}</s>{%- endfor -%}{% if tools %}{{ tools | tojson }}{% endif %}<s>assistant:";

// The clients, installed beside the build; empty if that is not possible here.
std::string installed_clients() {
  const auto folder = test::build_dir() / "clients";
  std::filesystem::create_directories(folder);
  const auto options = std::filesystem::copy_options::overwrite_existing;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_dir() / "tests/e2e/clients")) {
    if (entry.is_regular_file())
      std::filesystem::copy_file(entry.path(), folder / entry.path().filename(), options);
  }
  const std::string lock = read_file((folder / "package-lock.json").string());
  const auto stamp = folder / "installed";
  if (std::filesystem::exists(stamp) && read_file(stamp.string()) == lock) return folder.string();
  if (run_shell("cd '" + folder.string() + "' && npm ci --silent > npm.log 2>&1") != 0) return {};
  write_file_atomic(stamp, lock);
  return folder.string();
}

// Starts a server with the models that the clients' tests expect, and runs `command` with where they are in
// its environment. Returns its exit code.
int run_clients(const std::string& name, const std::string& command, std::string& report) {
  test::ServerProcess server(name);
  server.add_model("random",
                   test::with_byte_tokens(test::read_json(test::case_file("logits/llama.json")).at("gguf"),
                                          chat_template));
  server.add_model("embedder", test::with_byte_tokens(
                                   test::read_json(test::case_file("logits/qwen3-embed.json")).at("gguf")));
  const std::string file = (server.folder() / "report.txt").string();
  const int code =
      run_shell("HEARTH_URL=" + server.url() + " HEARTH_RANDOM_MODEL=random HEARTH_EMBEDDER=embedder " +
                command + " > '" + file + "' 2>&1");
  report = read_file(file) + server.log();
  return code;
}

TEST(Clients, OllamaOpenAiAndAnthropic) {
  if (run_shell(
          "command -v npm > /dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : "
          "1)'") != 0) {
    GTEST_SKIP() << "the official clients need node 18 and npm: scripts/packages test installs them";
  }
  const std::string folder = installed_clients();
  if (folder.empty())
    GTEST_SKIP() << "npm could not fetch the clients: the npm registry is not reachable from here";
  std::string report;
  EXPECT_EQ(run_clients("clients", "sh -c \"cd '" + folder + "' && exec node --test\"", report), 0) << report;
}

// Debian 12 does not have the Python clients; later releases do (python3-ollama, python3-openai,
// python3-anthropic). HEARTH_PYTHON names an interpreter that finds them.
TEST(Clients, OllamaOpenAiAndAnthropicForPython) {
  const char* named = std::getenv("HEARTH_PYTHON");
  const std::string python = named != nullptr ? named : "python3";
  if (run_shell(python + " -c 'import ollama, openai, anthropic' > /dev/null 2>&1") != 0)
    GTEST_SKIP()
        << python
        << " has not all of the packages ollama, openai and anthropic (HEARTH_PYTHON names one that has)";
  const std::string script = (test::source_dir() / "tests/e2e/clients/python_clients.py").string();
  std::string report;
  EXPECT_EQ(run_clients("python", python + " '" + script + "' -v", report), 0) << report;
}

// An editor: gptel, where Emacs has it (Debian: elpa-gptel). HEARTH_EMACS names the program.
TEST(Clients, Emacs) {
  const char* named = std::getenv("HEARTH_EMACS");
  const std::string emacs = named != nullptr ? named : "emacs";
  if (run_shell(emacs +
                " --batch --eval '(progn (package-initialize) (require (quote gptel)))' > /dev/null 2>&1") !=
      0)
    GTEST_SKIP() << emacs << " with the package gptel is not installed (HEARTH_EMACS names one that has it)";
  const std::string script = (test::source_dir() / "tests/e2e/clients/gptel.el").string();
  std::string report;
  EXPECT_EQ(run_clients("emacs", emacs + " --batch -l '" + script + "'", report), 0) << report;
}

TEST(Page, InHeadlessChromium) {
  if (const std::string why = test::no_browser(); !why.empty()) GTEST_SKIP() << why;
  const test::ServerProcess server("page");
  EXPECT_EQ(test::test_page(server), "");
}

}  // namespace
}  // namespace hearth
