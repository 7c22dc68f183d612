#include "cli/editor.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "cli/environment.h"

namespace hearth {
namespace {

std::string editor_command() {
  if (std::string own = setting("EDITOR"); !own.empty()) return own;
  for (const char* name : {"VISUAL", "EDITOR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "vi";
}

// A file of its own that only the user can read; gone when this ends.
struct TemporaryFile {
  explicit TemporaryFile(const std::string& text)
      : path((std::filesystem::temp_directory_path() / "hearth-prompt-XXXXXX.txt").string()) {
    constexpr int suffix = 4;
    const int file = ::mkstemps(path.data(), suffix);
    const auto size = static_cast<ssize_t>(text.size());
    const bool written = file >= 0 && ::write(file, text.data(), text.size()) == size;
    if (file >= 0) ::close(file);
    if (!written) {
      throw Error(Code::io, fmt::format("cannot write {}", path), "set TMPDIR to a folder with room");
    }
  }
  ~TemporaryFile() { ::unlink(path.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  std::string path;
};

// The command may carry arguments ("code --wait"), so a shell splits it; the path is passed beside it.
bool run_editor(const std::string& command, const std::string& path) {
  const std::string script = fmt::format("{} \"$1\"", command);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", script.c_str(), "sh", path.c_str(), nullptr);
    ::_exit(127);
  }
  int status = -1;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::string edit_in_program(const std::string& text) {
  const std::string command = editor_command();
  const TemporaryFile file(text);
  if (!run_editor(command, file.path)) {
    throw Error(Code::io, fmt::format("the editor '{}' failed", command),
                "set OLLAMA_EDITOR or EDITOR to one that works");
  }
  std::string edited = read_file(file.path);
  if (edited.ends_with('\n')) edited.pop_back();
  return edited;
}

}  // namespace hearth
