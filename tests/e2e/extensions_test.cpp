// What requests may ask for beyond the APIs that the server speaks, in the words of each of them.
#include <gtest/gtest.h>

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "server_process.h"
#include "support/data.h"
#include "support/models.h"

namespace hearth {
namespace {

using test::ServerProcess;

Json tiny() {
  return test::with_byte_tokens(test::read_json(test::case_file("logits/llama.json")).at("gguf"));
}

class Extensions : public testing::Test {
 protected:
  Extensions() : server_("extensions") {}
  ServerProcess server_;
};

// Everything at once through the whole server: a prompt that tells of its progress, and what is said while
// nothing happens. An interval of a microsecond passes between any two events.
TEST(Streams, TellOfProgressAndStayOpen) {
  const ServerProcess server("streams", {{"HEARTH_SSE_PING_INTERVAL", "1us"}});
  // Texts of their own: what was read for one is not read again for the next.
  const auto asked = [](char letter) {
    return R"({"model":"ember","stream":true,"return_progress":true,"max_tokens":3,)"
           R"("options":{"num_predict":3},"messages":[{"role":"user","content":")" +
           std::string(200, letter) + "\"}]}";
  };
  const auto chunks = server.send("POST", "/v1/chat/completions", asked('k'));
  EXPECT_EQ(chunks.status, 200);
  EXPECT_NE(chunks.text.find(": keep-alive\n\n"), std::string::npos) << chunks.text;
  EXPECT_NE(chunks.text.find("\"prompt_progress\":{\"total\":"), std::string::npos) << chunks.text;
  EXPECT_LT(chunks.text.find("\"role\":\"assistant\""), chunks.text.find("prompt_progress"));
  EXPECT_TRUE(chunks.text.ends_with("data: [DONE]\n\n")) << chunks.text;
  const auto blocks = server.send("POST", "/v1/messages", asked('m'));
  EXPECT_TRUE(blocks.text.starts_with("event: message_start")) << blocks.text;
  EXPECT_NE(blocks.text.find("event: ping\ndata: {\"type\":\"ping\",\"prompt_progress\""), std::string::npos)
      << blocks.text;
  EXPECT_NE(blocks.text.find("event: message_stop"), std::string::npos) << blocks.text;
  const auto lines = server.send("POST", "/api/chat", asked('w'));
  size_t told = 0;
  for (size_t at = 0; at < lines.text.size();) {
    const size_t end = lines.text.find('\n', at);
    const Json line = json::parse(lines.text.substr(at, end - at));
    told += line.as_object().contains("prompt_progress") ? 1 : 0;
    at = end + 1;
  }
  EXPECT_GE(told, 2U) << lines.text;
  // A failure after the first comment is an event; before it, a status.
  const auto missing =
      server.send("POST", "/v1/chat/completions",
                  R"({"model":"nosuch","stream":true,"messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(missing.status, 404) << missing.text;
}

TEST(RequestLog, KeepsBodiesAndCommandsThatSendThemAgain) {
  const auto folder = std::filesystem::temp_directory_path() / ("hearth-log-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string body = R"({"model":"ember","prompt":"Who are you?","stream":false})";
  {
    const ServerProcess server("request-log",
                               {{"OLLAMA_DEBUG_LOG_REQUESTS", "1"}, {"TMPDIR", folder.string()}});
    const std::string said(server.send("POST", "/api/generate", body).body.at("response").as_string());
    std::string kept, again;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().filename() == "000001_api_generate.json") kept = read_file(entry.path());
      if (entry.path().filename() != "000001_api_generate.sh") continue;
      const std::string command = "HEARTH_URL='" + server.url() + "' sh '" + entry.path().string() + "' > '" +
                                  (folder / "again").string() + "'";
      EXPECT_EQ(std::system(command.c_str()), 0);
      again = read_file(folder / "again");
    }
    EXPECT_EQ(kept, body);
    EXPECT_EQ(json::value_to<std::string>(json::parse(again).at("response")), said) << again;
  }
  std::filesystem::remove_all(folder);
}

TEST_F(Extensions, ThinkingEndsWithItsBudgetInEveryDialect) {
  server_.add_model("tiny", tiny());
  const json::object order{
      {"model", "thinker"},
      {"from", "tiny"},
      {"template",
       R"({{ range .Messages }}{{ .Role }}: {{ .Content }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }} {{ end }}<think>)"},
      {"parameters", json::object{{"temperature", 0}}},
      {"stream", false}};
  ASSERT_EQ(server_.send("POST", "/api/create", json::serialize(order)).status, 200);
  const std::string asked =
      R"("model":"thinker","stream":false,"max_tokens":40,"options":{"num_predict":40,"ignore_eos":true},)"
      R"("messages":[{"role":"user","content":"How do I see which models are loaded?"}])";
  const auto chat = [&](const std::string& more) {
    const auto r = server_.send("POST", "/api/chat", "{" + asked + more + "}");
    EXPECT_EQ(r.status, 200) << r.text;
    return r.body.at("message");
  };
  EXPECT_EQ(chat("").at("content"), "") << "all of it is thinking";
  EXPECT_NE(chat(R"(,"thinking_budget_tokens":4)").at("content"), "");
  EXPECT_NE(chat(R"(,"thinking_budget_tokens":4)").at("thinking"), "");
  EXPECT_FALSE(chat(R"(,"thinking_budget_tokens":0)").as_object().contains("thinking"));
  const auto openai =
      server_.send("POST", "/v1/chat/completions", "{" + asked + R"(,"thinking_budget_tokens":4})");
  ASSERT_EQ(openai.status, 200) << openai.text;
  EXPECT_NE(openai.body.at("choices").at(0).at("message").at("content"), "") << openai.text;
  EXPECT_NE(openai.body.at("choices").at(0).at("message").at("reasoning"), "") << openai.text;
  const auto anthropic = server_.send("POST", "/v1/messages",
                                      "{" + asked + R"(,"thinking":{"type":"enabled","budget_tokens":4}})");
  ASSERT_EQ(anthropic.status, 200) << anthropic.text;
  ASSERT_EQ(anthropic.body.at("content").as_array().size(), 2U) << anthropic.text;
  EXPECT_EQ(anthropic.body.at("content").at(0).at("type"), "thinking");
  EXPECT_EQ(anthropic.body.at("content").at(1).at("type"), "text");
  EXPECT_EQ(server_
                .send("POST", "/api/chat",
                      R"({"model":"ember","messages":[],"options":{"thinking_budget_tokens":"x"}})")
                .status,
            400);
}

TEST_F(Extensions, ModelsThatMakeTextMakeVectorsToo) {
  const auto native =
      server_.send("POST", "/api/embed", R"({"model":"ember","input":["a text","another","a text"]})");
  ASSERT_EQ(native.status, 200) << native.text;
  const json::array& vectors = native.body.at("embeddings").as_array();
  ASSERT_EQ(vectors.size(), 3U);
  EXPECT_EQ(vectors[0], vectors[2]);
  EXPECT_NE(vectors[0], vectors[1]);
  double sum = 0;
  for (const Json& x : vectors[0].as_array()) sum += x.to_number<double>() * x.to_number<double>();
  EXPECT_NEAR(sum, 1, 1e-4);
  const Json shown = server_.send("POST", "/api/show", R"({"model":"ember"})").body;
  const std::string arch(shown.at("model_info").at("general.architecture").as_string());
  EXPECT_EQ(vectors[0].as_array().size(),
            shown.at("model_info").at(arch + ".embedding_length").to_number<size_t>());
  const auto openai = server_.send("POST", "/v1/embeddings", R"({"model":"ember","input":"a text"})");
  ASSERT_EQ(openai.status, 200) << openai.text;
  EXPECT_EQ(openai.body.at("data").at(0).at("embedding"), vectors[0]);
  const auto old = server_.send("POST", "/api/embeddings", R"({"model":"ember","prompt":"a text"})");
  ASSERT_EQ(old.status, 200) << old.text;
  EXPECT_EQ(old.body.at("embedding").as_array().size(), vectors[0].as_array().size());
  // It answers as before, and both go together.
  EXPECT_EQ(server_.send("POST", "/api/generate", R"({"model":"ember","prompt":"hi","stream":false})").status,
            200);
  EXPECT_EQ(server_.send("GET", "/api/ps").body.at("models").as_array().size(), 2U);
  EXPECT_EQ(server_.run("stop ember").code, 0);
  for (int i = 0; i < 50 && !server_.send("GET", "/api/ps").body.at("models").as_array().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(server_.send("GET", "/api/ps").body.at("models"), json::array());
}

TEST_F(Extensions, AnAdapterIsNotLeftOutInSilence) {
  const std::string digest =
      "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";  // of "abc"
  ASSERT_EQ(server_.send("POST", "/api/blobs/" + digest, "abc").status, 201);
  server_.add_model("base", tiny());
  const auto made = server_.send(
      "POST", "/api/create",
      R"({"model":"adapted","from":"base","stream":false,"adapters":{"a.gguf":")" + digest + "\"}}");
  ASSERT_EQ(made.status, 200) << made.text;
  const auto refused =
      server_.send("POST", "/api/generate", R"({"model":"adapted","prompt":"hi","stream":false})");
  EXPECT_EQ(refused.status, 501) << refused.text;
  EXPECT_NE(refused.text.find("adapter"), std::string::npos) << refused.text;
  // What cannot be loaded can be unloaded and deleted all the same.
  EXPECT_EQ(server_.send("POST", "/api/generate", R"({"model":"adapted","keep_alive":0})").status, 200);
  EXPECT_EQ(server_.send("DELETE", "/api/delete", R"({"model":"adapted"})").status, 200);
}

TEST_F(Extensions, SamplersAreNamedAndUnknownOnesRefused) {
  const auto ask = [&](const std::string& options) {
    return server_.send(
        "POST", "/api/generate",
        R"({"model":"ember","prompt":"Who are you?","stream":false,"options":)" + options + "}");
  };
  EXPECT_EQ(ask(R"({"samplers":["dry","top_k","temperature"],"dry_multiplier":0.8})").status, 200);
  const auto unknown = ask(R"({"samplers":["top_k","lucky_dip"]})");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(unknown.text.find("lucky_dip"), std::string::npos) << unknown.text;
  EXPECT_EQ(ask(R"({"samplers":"top_k"})").status, 400);
  EXPECT_EQ(ask(R"({"dry_sequence_breakers":[1]})").status, 400);
  EXPECT_EQ(ask(R"({"dry_multiplier":-1})").status, 400);
  const auto openai = server_.send(
      "POST", "/v1/chat/completions",
      R"({"model":"ember","samplers":["lucky_dip"],"messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(openai.status, 400) << openai.text;
}

}  // namespace
}  // namespace hearth
