// The built server as clients and commands meet it.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "convert/synth.h"
#include "server_process.h"
#include "store/digest.h"
#include "support/data.h"
#include "support/models.h"

namespace hearth {
namespace {

using test::ServerProcess;

Json recipe(const char* name, const std::string& chat_template = "") {
  return test::with_byte_tokens(
      test::read_json(test::case_file(std::string("logits/") + name + ".json")).at("gguf"), chat_template);
}

void write_model(const std::filesystem::path& path, const Json& of) {
  const auto image = build_recipe(of);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
}

// Bytes as they are; what comes back until the server closes or stays silent for a second.
std::string raw(const std::string& url, const std::string& bytes, bool half = false) {
  const int port = std::stoi(url.substr(url.rfind(':') + 1));
  const int s = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(s, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  const timeval patience{1, 0};
  ::setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  (void)!::send(s, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  std::string got;
  char part[4096];
  for (ssize_t n = half ? 0 : ::recv(s, part, sizeof part, 0); n > 0; n = ::recv(s, part, sizeof part, 0)) {
    got.append(part, static_cast<size_t>(n));
    if (got.find("\r\n\r\n") != std::string::npos && got.find("Connection: close") == std::string::npos)
      break;
  }
  ::close(s);
  return got;
}

uint64_t resident_bytes(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/statm");
  uint64_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::vector<pid_t> children_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  std::vector<pid_t> list;
  for (pid_t child; in >> child;) list.push_back(child);
  return list;
}

class ServerTest : public testing::Test {
 protected:
  ServerTest() : server_("server") {}
  ServerProcess server_;
};

// As a shell's `-f <(…)` gives it.
TEST_F(ServerTest, AModelfileMayComeThroughAPipe) {
  write_model(server_.folder() / "tiny.gguf", recipe("llama"));
  const std::string pipe = (server_.folder() / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] {
    std::ofstream(pipe) << "FROM " << (server_.folder() / "tiny.gguf").string() << "\nSYSTEM Be brief.\n";
  });
  const auto made = server_.run("create piped -f '" + pipe + "'");
  const int reader =
      ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);  // should nobody have read, the writer ends too
  writer.join();
  ::close(reader);
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(server_.send("POST", "/api/show", R"({"model":"piped"})").body.at("system"), "Be brief.");
}

TEST_F(ServerTest, CommandsMakeShowAndDeleteAModel) {
  write_model(server_.folder() / "tiny.gguf", recipe("llama"));
  std::ofstream(server_.folder() / "Modelfile")
      << "FROM ./tiny.gguf\nPARAMETER stop END\nPARAMETER num_predict 3\n"
         "SYSTEM \"\"\"Be brief.\"\"\"\nMESSAGE user hi\nMESSAGE assistant ho\n";
  const auto made = server_.run("create mine -f '" + (server_.folder() / "Modelfile").string() + "'");
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.err.find("success"), std::string::npos);
  const auto listed = server_.run("list");
  EXPECT_EQ(listed.out.find("NAME"), 0U);
  EXPECT_NE(listed.out.find("mine:latest"), std::string::npos);
  const Json shown = server_.send("POST", "/api/show", R"({"model":"mine"})").body;
  EXPECT_EQ(shown.at("system"), "Be brief.");
  EXPECT_EQ(shown.at("messages").as_array().size(), 2U);
  EXPECT_NE(std::string(shown.at("parameters").as_string()).find("\"END\""), std::string::npos);
  const auto overview = server_.run("show mine");
  EXPECT_EQ(overview.code, 0) << overview.err;
  EXPECT_NE(overview.out.find("  Model\n    architecture"), std::string::npos) << overview.out;
  EXPECT_NE(overview.out.find("  System\n    Be brief.\n"), std::string::npos) << overview.out;
  EXPECT_EQ(server_.run("show mine --system").out, "Be brief.");
  EXPECT_NE(server_.run("show mine --modelfile").out.find("\nFROM "), std::string::npos);
  EXPECT_EQ(server_.run("show nosuch").code, 1);
  EXPECT_EQ(server_.run("show mine --system --license").code, 1);
  EXPECT_EQ(server_.run("run mine hello --keepalive 5").code, 1);
  const auto answer = server_.run("run mine hello");
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_TRUE(answer.out.ends_with("\n\n"));
  EXPECT_NE(server_.run("ps").out.find("100% CPU"), std::string::npos);
  EXPECT_EQ(server_.run("cp mine other").out, "copied 'mine' to 'other'\n");
  EXPECT_EQ(server_.run("stop mine").code, 0);
  EXPECT_EQ(server_.run("rm mine other").out, "deleted 'mine'\ndeleted 'other'\n");
  const auto gone = server_.run("stop mine");
  EXPECT_EQ(gone.code, 1);
  EXPECT_NE(gone.err.find("couldn't find model \"mine\" to stop"), std::string::npos);
  EXPECT_EQ(std::filesystem::exists(server_.folder() / "models/manifests/registry.ollama.ai"), false);
}

// Three files that were one: each with some of the tensors, the first with what is said of the model.
TEST_F(ServerTest, CreateJoinsTheFilesOfASplitModel) {
  const Json whole = recipe("llama");
  const json::array& tensors = whole.at("tensors").as_array();
  json::object files, some;
  for (int part = 1; part <= 3; ++part) {
    Json of = whole;
    json::array& metadata = of.at("metadata").as_array();
    if (part > 1) metadata.clear();
    metadata.push_back({"split.no", "u16", part - 1});
    metadata.push_back({"split.count", "u16", 3});
    metadata.push_back({"split.tensors.count", "i32", tensors.size()});
    const size_t from = tensors.size() * static_cast<size_t>(part - 1) / 3,
                 to = tensors.size() * static_cast<size_t>(part) / 3;
    of.at("tensors") = json::array(tensors.begin() + static_cast<std::ptrdiff_t>(from),
                                   tensors.begin() + static_cast<std::ptrdiff_t>(to));
    const auto image = build_recipe(of);
    const std::string bytes(reinterpret_cast<const char*>(image.data()), image.size());
    const std::string digest = digest_of(bytes).text();
    ASSERT_EQ(server_.send("POST", "/api/blobs/" + digest, bytes).status, 201);
    files["tiny-0000" + std::to_string(part) + "-of-00003.gguf"] = digest;
    if (part != 2) some["tiny-0000" + std::to_string(part) + "-of-00003.gguf"] = digest;
  }
  const auto order = [](const json::object& of) {
    return json::serialize(json::object{{"model", "joined"}, {"files", of}, {"stream", false}});
  };
  const auto missing = server_.send("POST", "/api/create", order(some));
  EXPECT_NE(missing.text.find("1 of the 3 parts of tiny are missing"), std::string::npos) << missing.text;
  const auto made = server_.send("POST", "/api/create", order(files));
  ASSERT_EQ(made.status, 200) << made.text;
  const auto answer = server_.send(
      "POST", "/api/generate",
      R"({"model":"joined","raw":true,"prompt":"hello","stream":false,"options":{"num_predict":3,"temperature":0}})");
  ASSERT_EQ(answer.status, 200) << answer.text;
  server_.add_model("whole", whole);
  const auto same = server_.send(
      "POST", "/api/generate",
      R"({"model":"whole","raw":true,"prompt":"hello","stream":false,"options":{"num_predict":3,"temperature":0}})");
  EXPECT_EQ(answer.body.at("response"), same.body.at("response"));
}

TEST_F(ServerTest, AProjectorIsShownAsOne) {
  Json projector = recipe("llama");
  json::array metadata;
  metadata.push_back({"general.architecture", "string", "clip"});
  metadata.push_back({"clip.has_audio_encoder", "bool", true});
  metadata.push_back({"clip.vision.embedding_length", "u32", 768});
  metadata.push_back({"clip.vision.projection_dim", "u32", 256});
  projector.at("metadata") = metadata;
  json::object files;
  for (const auto& [name, of] :
       {std::pair<std::string, Json>{"model.gguf", recipe("llama")}, {"mmproj.gguf", projector}}) {
    const auto image = build_recipe(of);
    const std::string bytes(reinterpret_cast<const char*>(image.data()), image.size());
    const std::string digest = digest_of(bytes).text();
    ASSERT_EQ(server_.send("POST", "/api/blobs/" + digest, bytes).status, 201);
    files[name] = digest;
  }
  const auto made =
      server_.send("POST", "/api/create",
                   json::serialize(json::object{{"model", "sees"}, {"files", files}, {"stream", false}}));
  ASSERT_EQ(made.status, 200) << made.text;
  const Json shown = server_.send("POST", "/api/show", R"({"model":"sees"})").body;
  EXPECT_EQ(shown.at("projector_info").at("clip.vision.projection_dim"), 256);
  const json::array& able = shown.at("capabilities").as_array();
  for (const char* what : {"completion", "vision", "audio"})
    EXPECT_NE(std::find(able.begin(), able.end(), what), able.end()) << what;
  const auto overview = server_.run("show sees");
  EXPECT_NE(overview.out.find("  Projector\n    architecture        clip\n"), std::string::npos)
      << overview.out;
  EXPECT_NE(overview.out.find("    dimensions          256\n"), std::string::npos) << overview.out;
  const auto all = server_.run("show sees --verbose");
  EXPECT_NE(all.out.find(" more]"), std::string::npos) << "long lists are shortened";
}

TEST_F(ServerTest, CreateQuantizes) {
  write_model(server_.folder() / "tiny.gguf", recipe("llama"));
  std::ofstream(server_.folder() / "Modelfile") << "FROM tiny.gguf\n";
  const auto made =
      server_.run("create small -q Q8_0 -f '" + (server_.folder() / "Modelfile").string() + "'");
  ASSERT_EQ(made.code, 0) << made.err << server_.log();
  EXPECT_NE(made.err.find("to Q8_0"), std::string::npos);
  const Json shown = server_.send("POST", "/api/show", R"({"model":"small"})").body;
  EXPECT_EQ(shown.at("details").at("quantization_level"), "Q8_0");
  EXPECT_EQ(server_.run("run small hi").code, 0);
  // Weights that have lost what they had are not quantized again.
  const auto again = server_.send("POST", "/api/create",
                                  R"({"model":"smaller","from":"small","quantize":"Q4_K_M","stream":false})");
  EXPECT_EQ(again.status, 500);
  EXPECT_FALSE(again.body.at("error").as_string().empty());
  EXPECT_EQ(server_.send("POST", "/api/show", R"({"model":"smaller"})").status, 404);
}

TEST_F(ServerTest, AWorkerThatIsKilledEndsItsRequestsWithTheCauseAndComesBack) {
  EXPECT_EQ(
      server_.send("POST", "/api/generate", R"({"model":"ember","prompt":"Who are you?","stream":false})")
          .status,
      200);
  const auto workers = children_of(server_.pid());
  ASSERT_EQ(workers.size(), 1U);
  ServerProcess::Reply reply;
  std::thread asking([&] {
    reply = server_.send(
        "POST", "/api/generate",
        R"({"model":"ember","prompt":"a","raw":true,"stream":false,"options":{"num_predict":100000,"logit_bias":{"0":-100}}})");
  });
  while (server_.send("GET", "/api/ps").body.at("models").at(0).at("running") != 1) {
  }
  ::kill(workers[0], SIGKILL);
  asking.join();
  EXPECT_EQ(reply.status, 500);
  EXPECT_NE(reply.text.find("signal 9"), std::string::npos) << reply.text;
  EXPECT_EQ(
      server_.send("POST", "/api/generate", R"({"model":"ember","prompt":"Who are you?","stream":false})")
          .status,
      200);
}

TEST_F(ServerTest, StopGivesTheMemoryBackWithinASecond) {
  server_.send("POST", "/api/generate", R"({"model":"ember","stream":false})");
  EXPECT_EQ(children_of(server_.pid()).size(), 1U);
  EXPECT_EQ(server_.run("stop ember").code, 0);
  for (int tries = 0; tries < 100 && !children_of(server_.pid()).empty(); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(children_of(server_.pid()).empty());
}

TEST_F(ServerTest, HostileRequestsGetAnErrorAndTheServerLives) {
  const auto expect = [&](const char* method, const std::string& path, const std::string& body, int status) {
    const auto r = server_.send(method, path, body);
    EXPECT_EQ(r.status, status) << path << " " << body.substr(0, 60) << ": " << r.text.substr(0, 200);
    const bool says_json = r.type.find("json") != std::string::npos;
    EXPECT_EQ(says_json && method != std::string("HEAD"), r.body.is_object()) << r.text;
  };
  expect("POST", "/api/chat", "", 400);
  expect("POST", "/api/chat", "{\"model\":", 400);
  expect("POST", "/api/chat", R"({"model":7})", 400);
  expect("POST", "/api/chat", R"({"model":"../../etc/passwd","messages":[]})", 400);
  expect("POST", "/api/show", R"({"model":"../x"})", 400);
  expect("POST", "/api/show", R"({"model":"nosuch"})", 404);
  expect("POST", "/api/generate", R"({"model":""})", 404);
  expect("POST", "/api/generate", std::string(100000, '['), 400);
  expect("POST", "/api/generate", "{\"model\":\"ember\",\"prompt\":\"\xff\xfe\"}", 400);
  expect("POST", "/api/generate",
         "{\"model\":\"nosuch\",\"prompt\":\"" + std::string(100'000'000, 'a') + "\"}", 404);
  expect("POST", "/api/blobs/sha256:" + std::string(64, '0'), "not that", 400);
  expect("POST", "/api/blobs/..%2f..%2fx", "x", 400);
  expect("HEAD", "/api/blobs/sha256:" + std::string(64, '0'), "", 404);
  expect("POST", "/api/create", R"({"model":"a","files":{"../x.gguf":"sha256:00"}})", 400);
  expect("POST", "/api/copy", R"({"source":"nosuch","destination":"b"})", 404);
  expect("DELETE", "/api/delete", R"({"model":"nosuch"})", 404);
  expect("GET", "/api/chat", "", 405);
  expect("GET", "/nope", "", 404);
  EXPECT_EQ(raw(server_.url(), "GARBAGE\r\n\r\n").find("HTTP/1.1 400"), 0U);
  EXPECT_EQ(raw(server_.url(), "GET / HTTP/1.1\r\nX: " + std::string(200000, 'a') + "\r\n\r\n")
                .find("HTTP/1.1 431"),
            0U);
  EXPECT_EQ(raw(server_.url(), "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").find("HTTP/1.1 403"), 0U);
  EXPECT_EQ(raw(server_.url(), "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n")
                .find("HTTP/1.1 403"),
            0U);
  for (int i = 0; i < 20; ++i)
    raw(server_.url(), "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{", true);
  EXPECT_EQ(server_.send("GET", "/").text, "Ollama is running");
  EXPECT_EQ(server_.send("GET", "/api/version/").status, 301);
}

TEST_F(ServerTest, AThousandIdleConnectionsAreCheap) {
  const int port = std::stoi(server_.url().substr(server_.url().rfind(':') + 1));
  server_.send("GET", "/api/tags");
  const uint64_t before = resident_bytes(server_.pid());
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::vector<int> sockets;
  const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (int i = 0; i < 1000; ++i) {
    const int s = ::socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(s, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    ASSERT_GT(::send(s, request.data(), request.size(), MSG_NOSIGNAL), 0);
    char part[512];
    ASSERT_GT(::recv(s, part, sizeof part, 0), 0);
    sockets.push_back(s);
  }
  const uint64_t more = resident_bytes(server_.pid()) - before;
  EXPECT_LT(more, 50U << 20);
  RecordProperty("bytes", std::to_string(more));
  for (const int s : sockets) ::close(s);
  EXPECT_EQ(server_.send("GET", "/").status, 200);
}

TEST_F(ServerTest, ASecondServerOnThePortSaysSo) {
  const auto o = server_.run("serve");
  EXPECT_EQ(o.code, 1);
  EXPECT_NE(o.err.find("address already in use"), std::string::npos) << o.err;
}

TEST_F(ServerTest, EndsPolitely) {
  server_.send("POST", "/api/generate", R"({"model":"ember","stream":false})");
  const auto workers = children_of(server_.pid());
  EXPECT_EQ(server_.stop(), 0);
  for (const pid_t w : workers) EXPECT_NE(::kill(w, 0), 0) << "a worker outlived the server";
}

}  // namespace
}  // namespace hearth
