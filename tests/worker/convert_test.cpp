// The role that create uses: jobs in, progress and a result out, a whole file or none.
#include "worker/convert.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "convert/mixture.h"
#include "reference.h"
#include "support/data.h"
#include "support/publish.h"

namespace hearth::test {
namespace {

struct Outcome {
  int code = -1;
  std::vector<json::object> lines;
  const json::object& last() const { return lines.back(); }
  std::string text(const char* key) const {
    const Json* value = lines.back().if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  }
};

// Runs the role on a job; descriptors are files of the folder.
Outcome run_job(const Folder& folder, const std::string& job) {
  write_text(folder / "job", job);
  const int in = ::open((folder / "job").c_str(), O_RDONLY);
  const int out = ::open((folder / "lines").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  Outcome o;
  o.code = run_conversion(in, out);
  ::close(in);
  ::close(out);
  std::istringstream text(read_file(folder / "lines"));
  for (std::string line; std::getline(text, line);) o.lines.push_back(json::parse(line).as_object());
  std::filesystem::remove(folder / "job");
  std::filesystem::remove(folder / "lines");
  return o;
}

std::string job(const std::filesystem::path& from, const std::filesystem::path& to, const char* rest = "") {
  return fmt::format(R"({{"from":[{}],"to":{}{}}})", json::serialize(Json(from.string())),
                     json::serialize(Json(to.string())), rest);
}

void write_image(const std::filesystem::path& path, const Reference& model) {
  write_text(path, {reinterpret_cast<const char*>(model.image.data()), model.image.size()});
}

size_t files_of(const Folder& folder) {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator(folder.path), std::filesystem::directory_iterator()));
}

TEST(Convert, QuantizesAFile) {
  const Folder folder("convert");
  write_image(folder / "in.gguf", Reference(fixture("llama")));
  const Outcome o =
      run_job(folder, job(folder / "in.gguf", folder / "out.gguf", R"(,"quantize":"q4_k_m","threads":2)"));
  EXPECT_EQ(o.code, 0);
  EXPECT_TRUE(o.last().at("done").as_bool());
  EXPECT_EQ(o.last().at("file_type").to_number<int>(), 15);
  EXPECT_EQ(o.text("quantization"), "Q4_K_M");
  EXPECT_EQ(o.last().at("bytes").to_number<uint64_t>(), std::filesystem::file_size(folder / "out.gguf"));
  EXPECT_EQ(o.lines.front().at("status").as_string(), "parsing GGUF");
  const json::object& progress = o.lines[o.lines.size() - 2];
  EXPECT_EQ(progress.at("status").as_string(), "quantizing F16 model to Q4_K_M");
  EXPECT_EQ(progress.at("completed"), progress.at("total"));
  EXPECT_EQ(Gguf::open(folder / "out.gguf").u64("general.file_type"), 15U);
  EXPECT_EQ(files_of(folder), 2U);
}

// A model published, converted by the role and loaded again computes what it computed before.
TEST(Convert, APublishedModelComputesTheSame) {
  const std::pair<const char*, const char*> models[] = {{"llama", "LlamaForCausalLM"},
                                                        {"mixtral", "MixtralForCausalLM"},
                                                        {"qwen2", "Qwen2ForCausalLM"},
                                                        {"qwen3", "Qwen3ForCausalLM"}};
  for (const auto& [name, published] : models) {
    const Folder folder("convert");
    const Reference model(fixture(name));
    const Gguf original = model.file();
    publish(original, folder, published_config(original, published));
    const Outcome o = run_job(folder, job(folder.path, folder / "out.gguf"));
    ASSERT_EQ(o.code, 0) << o.text("error");
    EXPECT_EQ(o.text("quantization"), "F16");
    Reference again = model;
    const std::string bytes = read_file(folder / "out.gguf");
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
    again.image.assign(begin, begin + bytes.size());
    const auto before = Loaded(model, {}).scores(model.tokens(), true);
    const auto after = Loaded(again, {}).scores(model.tokens(), true);
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i)
      EXPECT_EQ(max_difference(before[i], after[i]), 0) << name << " " << i;
    // The files by name instead of their folder.
    const Outcome named = run_job(folder, job(folder / "model.safetensors", folder / "out2.gguf"));
    EXPECT_EQ(named.code, 0) << named.text("error");
    EXPECT_EQ(read_file(folder / "out2.gguf"), bytes);
  }
}

TEST(Convert, SaysWhatWentWrongAndLeavesNothing) {
  const Folder folder("convert"), results("convert-results");
  write_image(folder / "in.gguf", Reference(fixture("llama-Q8_0")));
  write_text(folder / "damaged.gguf", read_file(folder / "in.gguf").substr(0, 3000));
  const auto refused = [&](const std::string& text, const char* code, const std::string& word) {
    const Outcome o = run_job(folder, text);
    EXPECT_EQ(o.code, 1) << text;
    ASSERT_EQ(o.lines.empty(), false) << text;
    EXPECT_EQ(o.text("code"), code) << text;
    EXPECT_NE((o.text("error") + o.text("remedy")).find(word), std::string::npos) << o.text("error");
    EXPECT_EQ(files_of(results), 0U) << text;
  };
  const auto out = results / "out";
  refused(job(folder / "in.gguf", out, R"(,"quantize":"Q4_K_M")"), "bad_request", "F16");
  refused(job(folder / "in.gguf", out, R"(,"quantize":"Q4_K_X")"), "bad_request", "Q4_K_M");
  refused(job(folder / "damaged.gguf", out), "corrupt_file", "damaged.gguf");
  refused(job(folder / "gone.gguf", out), "not_found", "gone.gguf");
  refused(job(folder.path, out), "not_found", "config.json");
  refused(job(folder / "in.gguf", results / "no" / "out"), "not_found", "no such folder");
  refused("", "bad_request", "JSON");
  refused("[]", "bad_request", "JSON");
  refused("{}", "bad_request", "from");
  refused(R"({"from":[],"to":"x"})", "bad_request", "from");
  refused(R"({"from":["x"]})", "bad_request", "to");
  refused(job(folder / "in.gguf", out, R"(,"threads":-1)"), "bad_request", "threads");
  refused(fmt::format(R"({{"from":["{0}","{0}"],"to":"{1}"}})", (folder / "in.gguf").string(), out.string()),
          "bad_request", "parts");
}

// Killed at any moment: no file, or a whole one.
TEST(Convert, AKillLeavesNothingBehind) {
  const auto program = build_dir() / "hearth";
  if (!std::filesystem::exists(program)) GTEST_SKIP() << "the program is not built";
  const Folder folder("convert"), results("convert-results");
  write_image(folder / "in.gguf", Reference(fixture("llama")));
  write_text(folder / "job", job(folder / "in.gguf", results / "out", R"(,"quantize":"Q2_K","threads":1)"));
  int killed = 0;
  for (int wait = 0; wait < 12; ++wait) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(::open((folder / "job").c_str(), O_RDONLY), 0);
      ::dup2(::open("/dev/null", O_WRONLY), 1);
      ::execl(program.c_str(), "hearth", convert_role, static_cast<char*>(nullptr));
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(12 * wait));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    killed += WIFSIGNALED(status) ? 1 : 0;
    for (const auto& entry : std::filesystem::directory_iterator(results.path)) {
      EXPECT_EQ(entry.path().filename(), "out");
      EXPECT_EQ(Gguf::open(entry.path()).u64("general.file_type"), 10U);
    }
    std::filesystem::remove(results / "out");
  }
  EXPECT_GE(killed, 1);
}

}  // namespace
}  // namespace hearth::test
