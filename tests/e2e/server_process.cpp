#include "server_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/file.h"
#include "convert/synth.h"
#include "http/client.h"
#include "store/digest.h"
#include "support/data.h"

namespace hearth::test {
namespace {

constexpr const char* listening = "listening on http";

}  // namespace

ServerProcess::ServerProcess(const std::string& name, const std::map<std::string, std::string>& settings)
    : folder_(std::filesystem::temp_directory_path() /
              ("hearth-" + name + "-" + std::to_string(::getpid()))) {
  std::filesystem::create_directories(folder_);
  const std::string program = (build_dir() / "hearth").string(), log_file = (folder_ / "log").string();
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log = ::open(log_file.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
    ::dup2(log, STDERR_FILENO);
    ::setenv("HEARTH_HOST", "127.0.0.1:0", 1);
    ::setenv("HEARTH_MODELS", (folder_ / "models").c_str(), 1);
    ::setenv("HOME", folder_.c_str(), 1);
    for (const auto& [key, value] : settings) ::setenv(key.c_str(), value.c_str(), 1);
    ::execl(program.c_str(), program.c_str(), "serve", nullptr);
    ::_exit(127);
  }
  for (int tries = 0; tries < 2000 && port_ == 0; ++tries) {
    const std::string text = log();
    const size_t at = text.find(listening), end = at == std::string::npos ? at : text.find('\n', at);
    if (end != std::string::npos) {
      if (text.find("https://", at) < end) scheme_ = "https";
      port_ = std::atoi(text.c_str() + text.rfind(':', end) + 1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_NE(port_, 0) << log();
}

int ServerProcess::stop() {
  if (pid_ < 0) return -1;
  ::kill(pid_, SIGTERM);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

ServerProcess::~ServerProcess() {
  stop();
  std::filesystem::remove_all(folder_);
}

std::string ServerProcess::log() const {
  return std::filesystem::exists(folder_ / "log") ? read_file((folder_ / "log").string()) : "";
}

ServerProcess::Reply ServerProcess::send(const std::string& method, const std::string& path,
                                         const std::string& body,
                                         const std::vector<std::string>& headers) const {
  HttpClient client(HttpOptions{"test"});
  HttpRequest request;
  request.method = method;
  request.url = *Url::parse(url() + path);
  request.body = body;
  request.headers = headers;
  request.body_limit = size_t{64} << 20;
  const HttpResponse r = client.send(request, {});
  Reply reply{r.status, std::string(r.header("content-type")), r.body, nullptr};
  boost::system::error_code no_json;
  reply.body = json::parse(r.body, no_json);
  if (no_json) reply.body = nullptr;
  return reply;
}

void ServerProcess::add_model(const std::string& name, const Json& recipe) const {
  const std::vector<std::byte> image = build_recipe(recipe);
  const std::string bytes(reinterpret_cast<const char*>(image.data()), image.size());
  const std::string digest = digest_of(bytes).text();
  EXPECT_EQ(send("POST", "/api/blobs/" + digest, bytes).status, 201);
  const json::object order{
      {"model", name}, {"files", json::object{{"model.gguf", digest}}}, {"stream", false}};
  const Reply made = send("POST", "/api/create", json::serialize(order));
  EXPECT_EQ(made.status, 200) << made.text;
}

ServerProcess::Outcome ServerProcess::run(const std::string& arguments) const {
  const std::string line = "HEARTH_HOST='" + url() + "' HOME='" + folder_.string() + "' '" +
                           (build_dir() / "hearth").string() + "' " + arguments + " < /dev/null > '" +
                           (folder_ / "out").string() + "' 2> '" + (folder_ / "err").string() + "'";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file((folder_ / "out").string()),
          read_file((folder_ / "err").string())};
}

}  // namespace hearth::test
