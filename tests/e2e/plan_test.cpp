// hearth plan as a person asks it: files, the built-in model, addresses; what fits and what does not.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "convert/shapes.h"
#include "support/data.h"

namespace hearth {
namespace {

// Serves one file over HTTP, ranges included, one connection at a time; counts what it sends of it.
class OneFileServer {
 public:
  // `start` is what the file begins with; the rest of its `bytes` is never read, or is zeros.
  OneFileServer(std::string start, uint64_t bytes) : start_(std::move(start)), bytes_(bytes) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 8) != 0)
      return;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (int fd; (fd = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(fd)) answer(fd);
    });
  }
  ~OneFileServer() {
    ::shutdown(listener_, SHUT_RDWR);
    ::close(listener_);
    if (thread_.joinable()) thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/m.gguf"; }
  uint64_t sent() const { return sent_; }

 private:
  void answer(int fd) {
    std::string request;
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      request.append(buffer, static_cast<size_t>(got));
    }
    const bool head = request.starts_with("HEAD");
    const size_t at = request.find("bytes=");
    uint64_t from = 0, to = bytes_ - 1;
    if (at != std::string::npos) {
      from = std::stoull(request.substr(at + 6));
      to = std::min<uint64_t>(to, std::stoull(request.substr(request.find('-', at + 6) + 1)));
    }
    const uint64_t length = to - from + 1;
    std::string reply = at == std::string::npos ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 206 Partial Content\r\n";
    if (at != std::string::npos)
      reply += "Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(to) + "/" +
               std::to_string(bytes_) + "\r\n";
    reply += "Content-Length: " + std::to_string(length) + "\r\nConnection: close\r\n\r\n";
    // Who asks for all of a large file wants its headers and leaves: a piece of it is enough.
    if (!head) {
      std::string body(length < (64U << 20) ? length : 1U << 20, '\0');
      if (from < start_.size())
        start_.copy(body.data(), std::min<size_t>(body.size(), start_.size() - from), from);
      reply += body;
      sent_ += body.size();
    }
    for (size_t done = 0; done < reply.size();) {
      const ssize_t n = ::send(fd, reply.data() + done, reply.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return;
      done += static_cast<size_t>(n);
    }
  }

  std::string start_;
  uint64_t bytes_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<uint64_t> sent_{0};
  std::thread thread_;
};

class PlanCommand : public testing::Test {
 protected:
  PlanCommand()
      : folder_(std::filesystem::temp_directory_path() / ("hearth-plan-e2e-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~PlanCommand() override { std::filesystem::remove_all(folder_); }

  // Exit code; the output is in `out` and `err`.
  int run(const std::string& arguments) {
    const std::string line = "HOME='" + folder_.string() + "' '" + (test::build_dir() / "hearth").string() +
                             "' plan " + arguments + " > '" + (folder_ / "out").string() + "' 2> '" +
                             (folder_ / "err").string() + "'";
    const int status = std::system(line.c_str());
    out = read_file(folder_ / "out");
    err = read_file(folder_ / "err");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  bool says(std::string_view words) const { return out.find(words) != std::string::npos; }

  // A model file of full size whose weights are holes.
  std::string file_of(const char* shape, const char* quant) const {
    const GgufWriter writer = synthetic_model(shape, quant);
    const auto path = folder_ / (std::string(shape) + ".gguf");
    std::ofstream(path, std::ios::binary) << writer.header();
    std::filesystem::resize_file(path, writer.file_bytes());
    return path.string();
  }

  std::filesystem::path folder_;
  std::string out, err;
};

TEST_F(PlanCommand, TheBuiltInModelFitsHere) {
  EXPECT_EQ(run("ember"), 0) << err;
  EXPECT_TRUE(says("It fits, with a context of")) << out;
  EXPECT_TRUE(says("cpu")) << out;
}

TEST_F(PlanCommand, AKnownCard) {
  const std::string model = file_of("llama3.1-8b", "Q4_K_M");
  EXPECT_EQ(run(model + " --device 'RTX 3090'"), 0) << err;
  EXPECT_TRUE(says("RTX 3090")) << out;
  EXPECT_TRUE(says("32/32")) << out;
  EXPECT_TRUE(says("tokens/s")) << out;
  EXPECT_TRUE(says("a table of cards")) << out;
  EXPECT_LE(std::count(out.begin(), out.end(), '\n'), 24) << "one screen";
  EXPECT_EQ(run(model + " --device 'RTX 3090' --why"), 0);
  EXPECT_TRUE(says("131072 bytes per token")) << out;
  EXPECT_TRUE(says("layers 0 to 31 on RTX 3090")) << out;
}

TEST_F(PlanCommand, WhatDoesNotFitSaysWhatWould) {
  const std::string model = file_of("llama3.1-8b", "Q8_0");
  EXPECT_EQ(run(model + " --device 'RTX 3060' --context 32768"), 1);
  EXPECT_TRUE(says("It does not fit")) << out;
  EXPECT_TRUE(says("a q8_0 cache: --kv-type q8_0")) << out;
  EXPECT_EQ(err, "");
  EXPECT_EQ(run(model + " --device 'RTX 3060' --context 32768 --kv-type q8_0"), 0) << out;
  EXPECT_EQ(run(model + " --device 'GTX 1060'"), 1);
  EXPECT_TRUE(says("file of the model")) << out;
}

TEST_F(PlanCommand, JsonIsForPrograms) {
  const std::string model = file_of("llama3.1-8b", "Q4_K_M");
  ASSERT_EQ(run(model + " --device 'RX 6600' --device cpu:32GiB --max-context --kv-type q8_0/q4_0 --json"), 0)
      << err;
  const Json j = json::parse(out);
  EXPECT_TRUE(j.at("fits").as_bool());
  EXPECT_EQ(j.at("plan").at("devices").as_array().size(), 2U);
  EXPECT_EQ(j.at("plan").at("context").to_number<uint32_t>(), j.at("largest_context").to_number<uint32_t>());
  EXPECT_EQ(j.at("facts").at("architecture").as_string(), "llama");
}

TEST_F(PlanCommand, AnAddressIsReadFromItsHeaderAlone) {
  const GgufWriter writer = synthetic_model("qwen3-8b", "Q4_K_M");
  const OneFileServer server(writer.header(), writer.file_bytes());
  EXPECT_EQ(run(server.url() + " --insecure --device 'RTX 4070'"), 0) << err;
  EXPECT_TRUE(says("8.2B parameters") || says("8.1B parameters")) << out;
  EXPECT_TRUE(says("36/36")) << out;
  EXPECT_LE(server.sent(), 16U << 20);
  EXPECT_EQ(run(server.url()), 1) << "plain http";
  EXPECT_NE(err.find("plain http"), std::string::npos) << err;
}

TEST_F(PlanCommand, BadInputIsOneLine) {
  for (const char* arguments : {"none.gguf", "ember --device 'XYZ 9'", "ember --device 'RTX 3090:many'",
                                "ember --kv-type q3", "http://127.0.0.1:1/m.gguf --insecure"}) {
    EXPECT_EQ(run(arguments), 1) << arguments;
    EXPECT_EQ(out, "") << arguments;
    EXPECT_EQ(err.rfind("Error: ", 0), 0U) << err;
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  }
}

}  // namespace
}  // namespace hearth
