// The program as a person starts it: exit codes, one-line errors, streams that stay clean.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "base/file.h"
#include "base/json.h"
#include "convert/synth.h"
#include "support/data.h"

namespace hearth {
namespace {

struct Outcome {
  int code = -1;
  std::string out, err;
};

class CommandLine : public testing::Test {
 protected:
  CommandLine()
      : folder_(std::filesystem::temp_directory_path() / ("hearth-e2e-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~CommandLine() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  // `arguments` as a shell would take them; standard input from `input`.
  Outcome run(const std::string& arguments, const std::string& input = "",
              const std::string& environment = "") const {
    put("in", input);
    const std::string line = environment + " '" + (test::build_dir() / "hearth").string() + "' " + arguments +
                             " < " + path("in") + " > " + path("out") + " 2> " + path("err");
    Outcome o;
    const int status = std::system(line.c_str());
    o.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    o.out = read_file(path("out"));
    o.err = read_file(path("err"));
    return o;
  }

  // A refusal: exit code 1, nothing on standard output, one line that names the cause.
  void expect_refusal(const std::string& arguments, const std::string& cause,
                      const std::string& environment = "") const {
    const Outcome o = run(arguments, "", environment);
    EXPECT_EQ(o.code, 1) << arguments;
    EXPECT_EQ(o.out, "") << arguments;
    EXPECT_EQ(o.err.rfind("Error: ", 0), 0U) << arguments << ": " << o.err;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
    EXPECT_NE(o.err.find(cause), std::string::npos) << o.err;
  }

  std::filesystem::path folder_;
};

TEST_F(CommandLine, AnswersFromTheBuiltInModel) {
  const Outcome o = run("run 'How do I see which models are loaded?' --verbose");
  EXPECT_EQ(o.code, 0);
  EXPECT_NE(o.out.find("hearth ps"), std::string::npos) << o.out;
  EXPECT_TRUE(o.out.ends_with("\n\n"));
  EXPECT_EQ(o.out.find('\x1b'), std::string::npos) << "escape sequences on a pipe";
  EXPECT_NE(o.err.find("prompt eval count:    "), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("eval rate:            "), std::string::npos) << o.err;
}

TEST_F(CommandLine, PromptFromAPipeStandsInFront) {
  const Outcome piped = run("run", "How do I see which models are loaded?");
  EXPECT_NE(piped.out.find("hearth ps"), std::string::npos) << piped.out;
  const Outcome both = run("run --temperature 0 'models are loaded?'", "How do I see which");
  EXPECT_NE(both.out.find("hearth ps"), std::string::npos) << both.out;
}

TEST_F(CommandLine, TheSameSeedGivesTheSameText) {
  const std::string arguments = "run --raw 'the end' --temperature 5 --max-tokens 30 --seed ";
  const std::string first = run(arguments + "7").out;
  EXPECT_EQ(first, run(arguments + "7").out);
  EXPECT_NE(first, run(arguments + "8").out);
}

TEST_F(CommandLine, StopStringEndsTheAnswerBeforeIt) {
  const Outcome o = run("run 'How do I see which models are loaded?' --stop ps");
  EXPECT_EQ(o.code, 0);
  EXPECT_EQ(o.out.find("ps"), std::string::npos) << o.out;
  EXPECT_NE(o.out.find("hearth"), std::string::npos) << o.out;
}

TEST_F(CommandLine, VersionAndHelp) {
  EXPECT_NE(run("--version").out.find("version is "), std::string::npos);
  EXPECT_NE(run("--help").out.find("run"), std::string::npos);
  EXPECT_NE(run("run --help").out.find("HEARTH_THREADS"), std::string::npos);
  EXPECT_EQ(run("").code, 0);
}

TEST_F(CommandLine, BenchSaysWhereTheTimeGoes) {
  const std::string options = "bench -p 64 -n 3 -r 1 -d 16 --parallel 2 --profile";
  const Json found = json::parse(run(options + " --json").out);
  const double bytes = found.at("memory_bytes_per_second").to_number<double>();
  EXPECT_GT(bytes, 0);
  EXPECT_GT(found.at("product_flops_per_second").to_number<double>(), 0);
  EXPECT_EQ(found.at("generation").at("parallel").to_number<int>(), 2);
  for (const char* test : {"prompt", "generation"}) {
    const Json& t = found.at(test);
    EXPECT_GT(t.at("tokens_per_second").to_number<double>(), 0) << test;
    EXPECT_GT(t.at("flops").to_number<double>(), t.at("bytes").to_number<double>() / 16) << test;
  }
  ASSERT_EQ(found.at("profile").as_array().size(), 2U);
  for (const Json& table : found.at("profile").as_array()) {
    double seconds = 0, flops = 0;
    for (const Json& row : table.at("operations").as_array()) {
      seconds += row.at("seconds").to_number<double>();
      flops += row.at("flops").to_number<double>();
    }
    const double all = table.at("seconds").to_number<double>();
    EXPECT_NEAR(seconds, all, 0.05 * all);
    const std::string test(table.at("test").as_string());
    EXPECT_EQ(flops, found.at(test).at("flops").to_number<double>()) << test;
  }
  const std::string shown = run(options).out;
  for (const char* word : {"of the limit", "generate 3 behind 16 × 2", "Gated", "between"})
    EXPECT_NE(shown.find(word), std::string::npos) << word << " in\n" << shown;
  expect_refusal("bench -p 1000000", "context");
}

TEST_F(CommandLine, BadInputIsOneLineWithACause) {
  put("empty.gguf", "");
  put("web.gguf", "<!DOCTYPE html><html></html>");
  std::filesystem::create_directories(folder_ / "folder.gguf");
  expect_refusal("run " + path("none.gguf") + " hi", "none.gguf");
  expect_refusal("run " + path("folder.gguf") + " hi", "directory");
  expect_refusal("run " + path("empty.gguf") + " hi", "empty");
  expect_refusal("run " + path("web.gguf") + " hi", "web page");
  expect_refusal("show " + path("web.gguf"), "web page");
  expect_refusal("run --bogus hi", "--bogus");
  expect_refusal("frobnicate", "frobnicate");
  expect_refusal("pull llama3", "could not connect", "OLLAMA_HOST=127.0.0.1:1");
  expect_refusal("run --kv-type q3 'hi there'", "q3");
  expect_refusal(
      "run --context 16 'a prompt that is much longer than sixteen tokens of the context can ever be'", "16");
  expect_refusal("run llama3:8b hi", "hearth serve", "OLLAMA_HOST=127.0.0.1:1");
  expect_refusal("run 'hi there'", "sixteen", "HEARTH_CPU=sixteen");
  expect_refusal("debug logits ember.gguf --jsonl --device gpu", "gpu");
}

TEST_F(CommandLine, TruncatedAndUnknownModels) {
  Json recipe = test::read_json(test::case_file("logits/llama.json")).at("gguf");
  std::vector<std::byte> image = build_recipe(recipe);
  const std::string whole(reinterpret_cast<const char*>(image.data()), image.size());
  put("cut.gguf", whole.substr(0, whole.size() / 2));
  expect_refusal("run " + path("cut.gguf") + " hi", "byte");
  recipe.at("metadata").as_array()[0].as_array()[2] = "hyperdrive";
  image = build_recipe(recipe);
  put("unknown.gguf", {reinterpret_cast<const char*>(image.data()), image.size()});
  // The fixture has no vocabulary either: that is not what is wrong with it.
  expect_refusal("run " + path("unknown.gguf") + " hi", "unknown architecture 'hyperdrive'");
  const Outcome o = run("debug logits " + path("cut.gguf") + " --jsonl", "{\"tokens\":[1]}");
  EXPECT_NE(o.out.find("error"), std::string::npos) << o.out << o.err;
}

TEST_F(CommandLine, DebugAnswersLineByLine) {
  const Outcome o =
      run("debug dequant --jsonl", R"({"type":"Q8_0","hex":"003c)" + std::string(62, '0') + R"(ff"}
not json
{"type":"Q9","hex":""}
)");
  EXPECT_EQ(o.code, 0);
  EXPECT_EQ(std::count(o.out.begin(), o.out.end(), '\n'), 3);
  EXPECT_NE(o.out.find(",-1]}"), std::string::npos) << o.out;
  EXPECT_NE(o.out.find("Q9"), std::string::npos) << o.out;
  put("t.jinja", "{% for m in messages %}[{{ m.role }}]{% endfor %}{{ strftime_now('%Y') }}");
  const Outcome rendered =
      run("debug render " + path("t.jinja") + " --jsonl", R"({"messages":[{"role":"user"}],"extra":{}})");
  EXPECT_EQ(rendered.out, "{\"text\":\"[user]2026\"}\n");
}

}  // namespace
}  // namespace hearth
