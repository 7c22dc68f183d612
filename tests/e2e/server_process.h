#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace hearth::test {

// `hearth serve` on a port and with a store of its own, unless `settings` of the environment say otherwise.
class ServerProcess {
 public:
  explicit ServerProcess(const std::string& name, const std::map<std::string, std::string>& settings = {});
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  // Asks it to end, and waits.
  ~ServerProcess();

  std::string url() const { return scheme_ + "://127.0.0.1:" + std::to_string(port_); }
  pid_t pid() const noexcept { return pid_; }
  const std::filesystem::path& folder() const noexcept { return folder_; }
  std::string log() const;

  // Writes the recipe's model, uploads it and creates `name` from it.
  void add_model(const std::string& name, const Json& recipe) const;
  // One request; the body as JSON (null if there is none).
  struct Reply {
    int status = 0;
    std::string type, text;
    Json body;
  };
  Reply send(const std::string& method, const std::string& path, const std::string& body = "",
             const std::vector<std::string>& headers = {}) const;
  // Runs a command of the program against this server.
  struct Outcome {
    int code = -1;
    std::string out, err;
  };
  Outcome run(const std::string& arguments) const;
  // SIGTERM; the exit code.
  int stop();

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  int port_ = 0;
  std::string scheme_ = "http";
};

}  // namespace hearth::test
