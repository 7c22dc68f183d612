// Encryption, compressed bodies, two servers on one store, a real registry, and what is beyond the APIs.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <zstd.h>

#include <cstdlib>
#include <thread>

#include "base/file.h"
#include "server_process.h"
#include "support/data.h"
#include "support/docker_registry.h"
#include "support/models.h"

namespace hearth {
namespace {

using test::ServerProcess;

int shell(const std::string& line) {
  const int status = std::system(line.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Json recipe(const char* name) {
  return test::with_byte_tokens(
      test::read_json(test::case_file(std::string("logits/") + name + ".json")).at("gguf"));
}

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hearth-e2e-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST(Tls, EncryptsEverything) {
  if (shell("command -v openssl > /dev/null && command -v curl > /dev/null") != 0)
    GTEST_SKIP() << "openssl and curl are not installed: scripts/packages test does it";
  const Folder folder;
  const std::string at = folder.path.string();
  ASSERT_EQ(
      shell(
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
          "-addext subjectAltName=IP:127.0.0.1 -keyout " +
          at + "/key.pem -out " + at + "/cert.pem 2> " + at + "/log"),
      0);
  const ServerProcess server(
      "tls", {{"HEARTH_TLS_CERTIFICATE", at + "/cert.pem"}, {"HEARTH_TLS_KEY", at + "/key.pem"}});
  ASSERT_TRUE(server.url().starts_with("https://")) << server.log();
  const auto curl = [&](const std::string& arguments) {
    const int code =
        shell("curl -sS --cacert " + at + "/cert.pem " + arguments + " > " + at + "/out 2>> " + at + "/log");
    return code == 0 ? read_file(at + "/out") : "curl " + std::to_string(code) + read_file(at + "/log");
  };
  EXPECT_EQ(curl(server.url()), "Ollama is running");
  // Several requests on one connection, and a stream.
  EXPECT_EQ(
      curl(server.url() + " " + server.url() + "/api/version -w %{num_connects}").find("Ollama is running"),
      0U);
  const std::string streamed =
      curl("-d '{\"model\":\"ember\",\"prompt\":\"What is 3 + 4?\"}' " + server.url() + "/api/generate");
  EXPECT_NE(streamed.find("\"done\":true"), std::string::npos) << streamed;
  EXPECT_NE(shell("curl -s http://" + server.url().substr(8) + " > /dev/null"), 0);
  EXPECT_NE(shell("curl -s " + server.url() + " > /dev/null 2>&1"), 0)
      << "an unknown certificate was trusted";
  EXPECT_EQ(
      shell("echo | openssl s_client -tls1_1 -connect " + server.url().substr(8) + " > " + at + "/tls1 2>&1"),
      1);
  // A client that leaves in the middle, and one that never shakes hands, leave nothing behind.
  EXPECT_NE(shell("curl -sS --max-time 0.3 --cacert " + at +
                  "/cert.pem -d '{\"model\":\"ember\",\"prompt\":\"a\",\"raw\":true,"
                  "\"options\":{\"num_predict\":100000,\"logit_bias\":{\"0\":-100}}}' " +
                  server.url() + "/api/generate > /dev/null 2>&1"),
            0);
  std::string ps;
  for (int tries = 0; tries < 100 && ps.find("\"running\":0") == std::string::npos; ++tries)
    ps = curl(server.url() + "/api/ps");
  EXPECT_NE(ps.find("\"running\":0"), std::string::npos) << ps;
  const auto listed = [&] {
    const std::string line = "SSL_CERT_FILE=" + at + "/cert.pem HEARTH_HOST=" + server.url() + " '" +
                             (test::build_dir() / "hearth").string() + "' list > " + at + "/list 2>&1";
    return shell(line);
  };
  EXPECT_EQ(listed(), 0) << read_file(at + "/list");
}

TEST(Tls, AWrongKeyIsSaidAtTheStart) {
  const Folder folder;
  write_file_atomic(folder.path / "no.pem", "nothing");
  const std::string pem = (folder.path / "no.pem").string();
  const std::string line = "HEARTH_HOST=127.0.0.1:0 HEARTH_TLS_CERTIFICATE=" + pem +
                           " HEARTH_TLS_KEY=" + pem + " HOME=" + folder.path.string() + " '" +
                           (test::build_dir() / "hearth").string() + "' serve 2> " +
                           (folder.path / "err").string();
  EXPECT_EQ(shell(line), 1);
  EXPECT_NE(read_file((folder.path / "err").string()).find("the certificate " + pem), std::string::npos);
}

TEST(Bodies, MayBeCompressed) {
  const ServerProcess server("zstd");
  const auto send = [&](const std::string& body, const char* encoding) {
    return server.send("POST", "/v1/responses", body, {std::string("Content-Encoding: ") + encoding});
  };
  const auto packed = [](const std::string& text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
    return out;
  };
  const std::string body = R"({"model":"ember","input":"What is 3 + 4?","temperature":0})";
  const auto reply = send(packed(body), "zstd");
  EXPECT_EQ(reply.status, 200) << reply.text;
  EXPECT_NE(reply.text.find('7'), std::string::npos);
  EXPECT_EQ(send(packed(body).substr(0, 20), "zstd").status, 400);
  EXPECT_EQ(send(body, "zstd").status, 400);
  EXPECT_EQ(send(body, "br").status, 400);
  const auto bomb = send(packed("{\"model\":\"" + std::string(30'000'000, 'a') + "\"}"), "zstd");
  EXPECT_EQ(bomb.status, 400);
  EXPECT_NE(bomb.text.find("larger than 20 MB"), std::string::npos) << bomb.text;
}

TEST(TwoServers, ShareAStore) {
  const Folder folder;
  const std::map<std::string, std::string> settings{{"HEARTH_MODELS", (folder.path / "models").string()}};
  const ServerProcess one("one", settings), two("two", settings);
  one.add_model("shared", recipe("llama"));
  const auto lists = [](const ServerProcess& s) {
    return s.send("GET", "/api/tags").text.find("\"shared:latest\"") != std::string::npos;
  };
  EXPECT_TRUE(lists(one));
  EXPECT_TRUE(lists(two));
  const std::string ask =
      R"({"model":"shared","prompt":"a","raw":true,"stream":false,"options":{"num_predict":3}})";
  EXPECT_EQ(one.send("POST", "/api/generate", ask).status, 200);
  EXPECT_EQ(two.send("POST", "/api/generate", ask).status, 200);
  // Both write at once: every model that is there afterwards is whole.
  const auto work = [&](const ServerProcess& s, const char* mine) {
    for (int i = 0; i < 20; ++i) {
      const std::string to = std::string(mine) + std::to_string(i % 3);
      s.send("POST", "/api/copy", R"({"source":"shared","destination":")" + to + "\"}");
      if (i % 4 == 3) s.send("DELETE", "/api/delete", R"({"model":")" + to + "\"}");
    }
  };
  std::thread other([&] { work(two, "b"); });
  work(one, "a");
  other.join();
  for (const ServerProcess* s : {&one, &two}) {
    const Json tags = s->send("GET", "/api/tags").body;
    EXPECT_GE(tags.at("models").as_array().size(), 2U);
    for (const Json& m : tags.at("models").as_array()) {
      const std::string name(m.at("name").as_string());
      EXPECT_EQ(s->send("POST", "/api/show", R"({"model":")" + name + "\"}").status, 200) << name;
    }
  }
  // What one deletes, the other does not know any more, though it is loaded there.
  EXPECT_EQ(one.send("DELETE", "/api/delete", R"({"model":"shared"})").status, 200);
  EXPECT_EQ(two.send("POST", "/api/generate", ask).status, 404);
}

TEST(RealRegistry, PushAndTwoPullsAtOnce) {
  if (!test::DockerRegistry::installed())
    GTEST_SKIP() << "docker-registry is not installed: scripts/packages test does it";
  const Folder folder;
  const test::DockerRegistry registry(folder.path);
  const ServerProcess from("push"), to("pull");
  const std::string name = registry.host() + "/ns/m:v1";
  from.add_model(name, recipe("llama"));
  const auto pushed = from.run("push " + name + " --insecure");
  ASSERT_EQ(pushed.code, 0) << pushed.err;
  const std::string order = R"({"model":")" + name + R"(","insecure":true})";
  std::string first, second;
  std::thread other([&] { second = to.send("POST", "/api/pull", order).text; });
  first = to.send("POST", "/api/pull", order).text;
  other.join();
  for (const std::string& lines : {first, second})
    EXPECT_TRUE(lines.ends_with("{\"status\":\"success\"}\n")) << lines;
  EXPECT_EQ(to.send("POST", "/api/generate",
                    R"({"model":")" + name + R"(","stream":false,"prompt":"a","raw":true})")
                .status,
            200);
  EXPECT_EQ(to.send("GET", "/api/tags").body.at("models").at(0).at("digest"),
            from.send("GET", "/api/tags").body.at("models").at(0).at("digest"));
  const auto missing =
      to.send("POST", "/api/pull", R"({"model":")" + registry.host() + R"(/ns/nosuch","insecure":true})");
  EXPECT_EQ(missing.status, 200);
  EXPECT_NE(missing.text.find("file does not exist"), std::string::npos) << missing.text;
}

class Extras : public testing::Test {
 protected:
  Extras() : server_("extras") {}
  ServerProcess server_;
};

TEST_F(Extras, TokensTemplatesCountsAndMetrics) {
  const auto tokens = server_.send("POST", "/tokenize", R"({"model":"ember","content":"hello there"})");
  ASSERT_EQ(tokens.status, 200) << tokens.text;
  ASSERT_GT(tokens.body.at("tokens").as_array().size(), 0U);
  const auto back =
      server_.send("POST", "/api/detokenize",
                   R"({"model":"ember","tokens":)" + json::serialize(tokens.body.at("tokens")) + "}");
  EXPECT_EQ(back.body.at("content"), "hello there") << back.text;
  const auto prompt = server_.send(
      "POST", "/apply-template", R"({"model":"ember","messages":[{"role":"user","content":"hello there"}]})");
  EXPECT_NE(prompt.text.find("hello there"), std::string::npos) << prompt.text;
  const auto count =
      server_.send("POST", "/v1/chat/completions/input_tokens",
                   R"({"model":"ember","messages":[{"role":"user","content":"hello there"}]})");
  EXPECT_GT(count.body.at("input_tokens").to_number<int>(), 0) << count.text;
  const auto metrics = server_.send("GET", "/metrics");
  EXPECT_NE(metrics.text.find("hearth_http_answers_total{status=\"200\"}"), std::string::npos)
      << metrics.text;
  EXPECT_NE(metrics.text.find("hearth_model_bytes{model=\"ember:latest\",device=\"cpu\",kind=\"weights\"}"),
            std::string::npos)
      << metrics.text;
  EXPECT_EQ(server_.send("POST", "/tokenize", R"({"content":"x"})").status, 400);
}

// A reranker of made-up weights: scores are what its two outputs say, in [0, 1], whatever the order of the
// texts.
TEST_F(Extras, DocumentsAreRankedByAReranker) {
  Json reranker = recipe("qwen3-rerank");
  reranker.at("metadata")
      .as_array()
      .push_back({"tokenizer.chat_template.rerank", "string", "<s>Q: {query}\nD: {document}\nA:"});
  server_.add_model("reranker", reranker);
  const auto ask = [&](const std::string& more) {
    return server_.send("POST", "/v1/rerank", R"({"model":"reranker","query":"red fruit",)" + more + "}");
  };
  const auto all = ask(R"("documents":["an apple","the sea",{"text":"a cherry"}],"return_documents":true)");
  ASSERT_EQ(all.status, 200) << all.text;
  const json::array& results = all.body.at("results").as_array();
  ASSERT_EQ(results.size(), 3U);
  std::map<int, double> scores;
  double last = 1;
  for (const Json& r : results) {
    const double score = r.at("relevance_score").to_number<double>();
    EXPECT_GE(score, 0);
    EXPECT_LE(score, last) << "best first";
    last = scores[r.at("index").to_number<int>()] = score;
  }
  ASSERT_EQ(scores.size(), 3U);
  EXPECT_NE(scores[0], scores[1]);
  const char* first[] = {"an apple", "the sea", "a cherry"};
  EXPECT_EQ(results[0].at("document").at("text"), first[results[0].at("index").to_number<int>()]);
  EXPECT_GT(all.body.at("usage").at("total_tokens").to_number<int>(), 3 * 20);
  const auto other = ask(R"("documents":["a cherry","an apple"],"top_n":1)");
  ASSERT_EQ(other.body.at("results").as_array().size(), 1U) << other.text;
  const Json& best = other.body.at("results").at(0);
  const double expected = best.at("index").to_number<int>() == 0 ? scores[2] : scores[0];
  EXPECT_NEAR(best.at("relevance_score").to_number<double>(), expected, 1e-4);
  EXPECT_EQ(best.as_object().contains("document"), false);
  // A text that does not fit is cut at its end, and that is said; the query is not.
  const std::string page(4000, 'x');
  const auto cut = ask(R"("documents":[")" + page + "\"]");
  ASSERT_EQ(cut.status, 200) << cut.text;
  EXPECT_GT(cut.body.at("usage").at("prompt_truncated").to_number<int>(), 1000);
  EXPECT_EQ(ask(R"("truncate":false,"documents":[")" + page + "\"]").status, 400);
  EXPECT_EQ(
      server_
          .send("POST", "/v1/rerank", R"({"model":"reranker","query":")" + page + R"(","documents":["a"]})")
          .status,
      400);
  const json::array able =
      server_.send("POST", "/api/show", R"({"model":"reranker"})").body.at("capabilities").as_array();
  EXPECT_NE(std::find(able.begin(), able.end(), "rerank"), able.end());
}

TEST_F(Extras, WhatCannotBeRankedIsRefusedWithTheReason) {
  const auto refused = [&](const std::string& body, int status, const char* part) {
    const auto r = server_.send("POST", "/v1/rerank", body);
    EXPECT_EQ(r.status, status) << r.text;
    EXPECT_NE(r.text.find(part), std::string::npos) << r.text;
    EXPECT_TRUE(r.body.as_object().contains("error"));
  };
  server_.add_model("embedder", recipe("qwen3-embed"));
  refused(R"({"model":"embedder","query":"x","documents":["a"]})", 501, "does not support reranking");
  refused(R"({"model":"ember","query":"x","documents":["a"]})", 501, "does not support");
  refused(R"({"query":"x","documents":["a"]})", 400, "model is required");
  refused(R"({"model":"embedder","documents":["a"]})", 400, "query is required");
  refused(R"({"model":"embedder","query":"x","documents":[]})", 400, "documents is required");
  refused(R"({"model":"embedder","query":"x","documents":[1]})", 400, "documents");
  refused(R"({"model":"embedder","query":"x","documents":["a"],"top_n":0})", 400, "top_n");
}

TEST_F(Extras, HolesAreFilledBetweenTheMarksOfTheVocabulary) {
  Json model = recipe("qwen2");
  for (Json& entry : model.at("metadata").as_array()) {
    if (entry.at(0).as_string() == "tokenizer.ggml.tokens") {
      entry.at(2).as_array()[300] = "<|fim_prefix|>";
      entry.at(2).as_array()[301] = "<|fim_suffix|>";
      entry.at(2).as_array()[302] = "<|fim_middle|>";
      entry.at(2).as_array()[303] = "<|file_sep|>";
    }
    if (entry.at(0).as_string() == "tokenizer.ggml.token_type") {
      for (size_t i = 300; i < 304; ++i) entry.at(2).as_array()[i] = 3;
    }
  }
  server_.add_model("coder", model);
  const auto shown = server_.send(
      "POST", "/api/generate",
      R"({"model":"coder","prompt":"a = <|fim_middle|>","suffix":"\nb","stream":false,"_debug_render_only":true})");
  ASSERT_EQ(shown.status, 200) << shown.text;
  EXPECT_EQ(shown.body.at("_debug_info").at("rendered_template"),
            "<|fim_prefix|>a = <|fim_middle|><|fim_suffix|>\nb<|fim_middle|>");
  const std::string hole =
      R"("model":"coder","input_prefix":"x =","prompt":" 1","input_suffix":";","n_predict":8,"seed":1)";
  const auto plain = server_.send("POST", "/infill", "{" + hole + "}");
  ASSERT_EQ(plain.status, 200) << plain.text;
  EXPECT_EQ(plain.body.at("stop"), true);
  EXPECT_LE(plain.body.at("tokens_predicted").to_number<int>(), 8);
  EXPECT_EQ(plain.body.at("tokens_evaluated").to_number<int>(), 1 + 3 + 5 + 1)
      << "BOS, three marks, and the bytes; a mark in the text would be one";
  const auto files =
      server_.send("POST", "/infill", "{" + hole + R"(,"input_extra":[{"filename":"a.h","text":"int a;"}]})");
  EXPECT_EQ(files.body.at("tokens_evaluated").to_number<int>(), 10 + 2 + 4 + 7) << files.text;
  const auto stream = server_.send("POST", "/infill", "{" + hole + R"(,"stream":true})");
  EXPECT_EQ(stream.type, "text/event-stream");
  EXPECT_NE(stream.text.find("\"stop\":true"), std::string::npos) << stream.text;
  EXPECT_EQ(server_.send("POST", "/infill", R"({"model":"coder","input_prefix":"x"})").status, 400);
  const auto without =
      server_.send("POST", "/infill", R"({"model":"ember","input_prefix":"x","input_suffix":"y"})");
  EXPECT_EQ(without.status, 400);
  EXPECT_NE(without.text.find("does not support insert"), std::string::npos) << without.text;
}

TEST_F(Extras, EarlierAnswersOfThinkersAreShownWithoutTheirThinking) {
  const std::string shape =
      R"({{ range .Messages }}[{{ .Role }}]{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }})";
  const auto prompt_of = [&](const char* kind) {
    server_.add_model(std::string(kind) + "-plain", recipe(kind));
    const json::object order{
        {"model", kind}, {"from", std::string(kind) + "-plain"}, {"template", shape}, {"stream", false}};
    EXPECT_EQ(server_.send("POST", "/api/create", json::serialize(order)).status, 200);
    const auto r = server_.send(
        "POST", "/apply-template",
        std::string(R"({"model":")") + kind +
            R"(","messages":[{"role":"user","content":"<think>a</think>b"},{"role":"assistant","content":"<think>\nlong\n</think>\n\nfour"},{"role":"user","content":"c"}]})");
    EXPECT_EQ(r.status, 200) << r.text;
    return r.status == 200 ? std::string(r.body.at("prompt").as_string()) : std::string();
  };
  EXPECT_EQ(prompt_of("qwen3"), "[user]<think>a</think>b[assistant]four[user]c");
  EXPECT_EQ(prompt_of("llama"), "[user]<think>a</think>b[assistant]<think>\nlong\n</think>\n\nfour[user]c")
      << "other families see what was sent";
}

TEST_F(Extras, SlotsAreToldAndNotSaved) {
  EXPECT_EQ(server_.send("GET", "/slots").body, json::array());
  ASSERT_EQ(server_.send("POST", "/api/generate", R"({"model":"ember","prompt":"hi","stream":false})").status,
            200);
  const Json slots = server_.send("GET", "/slots").body;
  ASSERT_EQ(slots.as_array().size(), 1U) << json::serialize(slots);
  EXPECT_EQ(slots.at(0).at("model"), "ember:latest");
  EXPECT_EQ(slots.at(0).at("is_processing"), false);
  EXPECT_GT(slots.at(0).at("n_ctx").to_number<int>(), 0);
  const auto saved = server_.send("POST", "/slots/0", R"({"filename":"x"})");
  EXPECT_EQ(saved.status, 501);
  EXPECT_NE(saved.text.find("prompt cache"), std::string::npos) << saved.text;
  EXPECT_EQ(server_.send("GET", "/lora-adapters").body, json::array());
  EXPECT_EQ(server_.send("POST", "/lora-adapters", R"([{"id":0,"scale":1}])").status, 501);
}

TEST_F(Extras, AnEndThatIsIgnoredDoesNotCome) {
  server_.add_model("random", recipe("llama"));
  const auto length = [&](const std::string& more) {
    const auto r = server_.send(
        "POST", "/api/generate",
        R"({"model":"random","raw":true,"prompt":"a","stream":false,"options":{"num_predict":20,)"
        R"("temperature":0,"logit_bias":{"257":1000})" +
            more + "}}");
    EXPECT_EQ(r.status, 200) << r.text;
    const Json* count = r.body.as_object().if_contains("eval_count");
    return count != nullptr ? count->to_number<int>() : 0;
  };
  EXPECT_LE(length(""), 1);
  EXPECT_EQ(length(R"(,"ignore_eos":true)"), 20);
  EXPECT_EQ(server_
                .send("POST", "/api/generate",
                      R"({"model":"random","raw":true,"prompt":"a","options":{"ignore_eos":1}})")
                .status,
            400);
}

TEST_F(Extras, RefusalsNameTheReason) {
  const auto says = [&](const char* path, const std::string& body, int status, const char* part) {
    const auto r = server_.send("POST", path, body);
    EXPECT_EQ(r.status, status) << path << r.text;
    EXPECT_NE(r.text.find(part), std::string::npos) << path << r.text;
  };
  const std::string image = R"("images":["aGk="])";
  says("/api/generate", R"({"model":"ember","prompt":"x",)" + image + "}", 400, "does not support vision");
  says("/api/chat", R"({"model":"ember","messages":[{"role":"user","content":"x",)" + image + "}]}", 400,
       "does not support vision");
  says(
      "/v1/chat/completions",
      R"({"model":"ember","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]}]})",
      400, "no image model");
  says(
      "/v1/responses",
      R"({"model":"ember","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,aGk="}]}]})",
      400, "no image model");
  says(
      "/v1/messages",
      R"({"model":"ember","max_tokens":5,"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]})",
      400, "no image model");
  says("/v1/messages", R"({"model":"ember","max_tokens":5,"messages":[]})", 400, "req_");
  says("/v1/audio/transcriptions", "x", 400, "no audio model");
  says("/api/chat", R"({"model":"gpt:120b-cloud","messages":[]})", 403, "ollama cloud is disabled");
  says("/api/chat", R"({"model":"m:cloud:local","messages":[]})", 400, "invalid model name");
  says(
      "/api/chat",
      R"({"model":"ember","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}]})",
      400, "registry.ollama.ai/library/ember:latest does not support tools");
  says("/api/generate", R"({"model":"ember","prompt":"x","context":[999999999]})", 400, "token");
  says("/v1/responses", R"({"model":"ember","input":"x","background":true})", 400, "background");
  says("/api/embed", R"({"model":"nosuch","input":"x"})", 404,
       R"(model \"nosuch\" not found, try pulling it first)");
  says("/api/copy", R"({"source":"nosuch","destination":"x"})", 404, R"(model \"nosuch\" not found)");
  says("/v1/completions", R"({"model":"ember","prompt":"x","stop":[1]})", 400, "stop");
  says("/api/pull", R"({"model":"http://127.0.0.1:1/x/y"})", 400, "plain http");
  says("/api/create", R"({"model":"x","from":"ember","template":"{{ if }}"})", 400, "template error");
  server_.add_model("embedder", recipe("qwen3-embed"));
  says("/api/chat", R"({"model":"embedder","messages":[{"role":"user","content":"x"}]})", 400,
       "\\\"embedder\\\" does not support chat");
  says("/api/generate", R"({"model":"embedder","prompt":"x"})", 400,
       "\\\"embedder\\\" does not support generate");
}

TEST_F(Extras, BigAndStrangeBodies) {
  const auto status = [&](const std::string& path, const std::string& body) {
    return server_.send("POST", path, body).status;
  };
  const std::string big(100'000'000, 'a');
  for (const char* path : {"/v1/messages"})
    EXPECT_EQ(status(path, R"({"max_tokens":1,"model":"nosuch","messages":[{"role":"user","content":")" +
                               big + "\"}]}"),
              404)
        << path;
  // A prompt far beyond the context is cut, and says so.
  const auto cut = server_.send("POST", "/api/generate",
                                R"({"model":"ember","stream":false,"options":{"num_predict":1},"prompt":")" +
                                    std::string(3'000'000, 'a') + "\"}");
  EXPECT_EQ(cut.status, 200) << cut.text.substr(0, 300);
  EXPECT_NE(cut.text.find("prompt_truncated"), std::string::npos);
  std::string deep;
  for (int i = 0; i < 150; ++i) deep += "{\"a\":";
  deep += "1" + std::string(150, '}');
  EXPECT_EQ(status("/api/chat", R"({"model":"ember","messages":[],"extra":)" + deep + "}"), 200);
  for (const char* path : {"/api/show", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages",
                           "/api/create", "/api/pull", "/api/embed", "/tokenize"}) {
    EXPECT_EQ(status(path, std::string(100'000, '[')), 400) << path;
    EXPECT_EQ(status(path, "{\"model\":\"\xff\"}"), 400) << path;
    EXPECT_EQ(status(path, ""), 400) << path;
    EXPECT_EQ(status(path, "[1]"), 400) << path;
    EXPECT_EQ(status(path, R"({"model":{}})"), 400) << path;
  }
  EXPECT_EQ(server_.send("GET", "/").status, 200);
}

}  // namespace
}  // namespace hearth
