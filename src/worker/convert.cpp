#include "worker/convert.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "convert/huggingface.h"
#include "convert/quantize.h"
#include "formats/output_file.h"
#include "worker/sandbox.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

struct Job {
  std::vector<fs::path> from;
  fs::path to;
  std::optional<std::string> quantize;
  std::string name;
  uint32_t threads = 0;
};

[[noreturn]] void bad_job(const std::string& what) {
  throw Error(Code::bad_request, fmt::format("the conversion job {}", what), "this is a fault of the caller");
}

std::string read_all(int fd) {
  constexpr size_t most = 1U << 20;
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t n = ::read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(part, static_cast<size_t>(n));
    if (text.size() > most) bad_job("is too long");
  }
}

Job read_job(const std::string& text) {
  boost::system::error_code failure;
  const Json value = json::parse(text, failure);
  if (failure || !value.is_object()) bad_job("is no JSON object");
  const json::object& o = value.get_object();
  const auto given = [&](const char* key) -> const Json* {
    const Json* field = o.if_contains(key);
    return field == nullptr || field->is_null() ? nullptr : field;
  };
  const auto word = [&](const char* key) -> std::optional<std::string> {
    const Json* field = given(key);
    if (field == nullptr) return std::nullopt;
    if (!field->is_string()) bad_job(fmt::format("has no text under '{}'", key));
    return std::string(field->get_string());
  };
  Job job;
  const Json* from = given("from");
  if (from == nullptr || !from->is_array() || from->get_array().empty()) bad_job("has no list under 'from'");
  for (const Json& path : from->get_array()) {
    if (!path.is_string()) bad_job("has no paths under 'from'");
    job.from.emplace_back(std::string(path.get_string()));
  }
  job.to = word("to").value_or("");
  if (job.to.empty()) bad_job("has no path under 'to'");
  job.quantize = word("quantize");
  job.name = word("name").value_or("");
  if (const Json* threads = given("threads")) {
    constexpr uint32_t most = 1024;
    const auto n = threads->is_number() ? threads->to_number<uint32_t>(failure) : most + 1;
    if (failure || n > most) bad_job("has no number under 'threads'");
    job.threads = n;
  }
  return job;
}

void write_line(int fd, const json::object& line) {
  const std::string text = json::serialize(line) + "\n";
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody listens any more
    at += static_cast<size_t>(n);
  }
}

// Tells how far the work is, at most ten times in a second.
class Reporter {
 public:
  Reporter(int fd, std::string status) : fd_(fd), status_(std::move(status)) {}

  void operator()(uint64_t completed, uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (completed < total && now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    write_line(fd_, {{"status", status_}, {"completed", completed}, {"total", total}});
  }

 private:
  int fd_;
  std::string status_;
  std::chrono::steady_clock::time_point next_{};
};

// The folder of published files that the paths stand for; none where they are a GGUF.
std::optional<fs::path> published_folder(const std::vector<fs::path>& from) {
  if (from.size() == 1 && fs::is_directory(from[0])) return from[0];
  const bool safetensors = std::any_of(from.begin(), from.end(),
                                       [](const fs::path& p) { return p.extension() == ".safetensors"; });
  if (!safetensors) return std::nullopt;
  for (const fs::path& p : from) {
    if (p.parent_path() != from[0].parent_path())
      bad_job(fmt::format("names files of more than one folder: {}", p.string()));
  }
  return from[0].parent_path();
}

// A model in whichever form it is.
struct Opened {
  std::unique_ptr<Gguf> file;
  ModelSource source;
  std::string status;
};

Opened open_source(const Job& job) {
  Opened o;
  if (const auto folder = published_folder(job.from)) {
    o.source = open_huggingface(*folder, job.name);
    o.status = "converting model";
    return o;
  }
  o.file = std::make_unique<Gguf>(Gguf::open(job.from[0]));
  if (job.from.size() != o.file->u64("split.count").value_or(1))
    bad_job(fmt::format("names {} files, which are not the parts of one model", job.from.size()));
  o.source = source_of(*o.file, job.from[0].filename().string());
  o.status = "parsing GGUF";
  return o;
}

std::string quantization_name(uint32_t file_type) {
  for (const Mixture& m : known_mixtures()) {
    if (m.file_type == file_type) return std::string(m.name);
  }
  return "unknown";
}

// The child's work; `out` takes lines of progress. The last line is the result.
json::object convert(const Job& job, const OutputFile& file, int out) {
  const Opened model = open_source(job);
  WriteOptions options{nullptr, job.threads, nullptr, false};
  std::string status = model.status;
  if (job.quantize) {
    options.mixture = &find_mixture(*job.quantize);
    status = fmt::format("quantizing {} model to {}", quantization_name(file_type_of(model.source)),
                         options.mixture->name);
    write_line(out, {{"status", model.status}});
  }
  file.require_space(planned_bytes(model.source, options));
  const Written written = write_model(model.source, file.fd(), options, Reporter(out, status));
  json::array notes;
  for (const std::string& note : model.source.notes) notes.push_back(json::string(note));
  return {{"done", true},
          {"file_type", written.file_type},
          {"quantization", quantization_name(written.file_type)},
          {"bytes", written.bytes},
          {"notes", notes}};
}

json::object failed(const Error& e) {
  return {{"error", e.message}, {"remedy", e.remedy}, {"code", to_string(e.code)}};
}

json::object faulty(const std::exception& e) {
  return {{"error", e.what()}, {"remedy", "this is a fault of hearth: please report it"}, {"code", "bug"}};
}

// Runs `work` and gives its line, or what went wrong as one.
json::object guarded(const std::function<json::object()>& work) {
  try {
    return work();
  } catch (const Error& e) {
    return failed(e);
  } catch (const std::bad_alloc&) {
    return failed(
        Error(Code::out_of_memory, "the conversion ran out of memory", "free memory and try again"));
  } catch (const std::exception& e) {
    return faulty(e);
  }
}

[[noreturn]] void run_child(const Job& job, const OutputFile& file, int out, int result, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  const std::string open = enter_sandbox();
  if (!open.empty()) fmt::print(stderr, "the conversion runs without a sandbox: {}\n", open);
  write_line(result, guarded([&] { return convert(job, file, out); }));
  ::_exit(0);
}

// The line that the child left, or how it ended without one.
json::object result_of(pid_t child, int result) {
  const std::string text = read_all(result);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  boost::system::error_code failure;
  Json line = json::parse(text, failure);
  if (!failure && line.is_object() && WIFEXITED(status)) return line.get_object();
  const std::string how = WIFSIGNALED(status) ? fmt::format("was killed by signal {} ({})", WTERMSIG(status),
                                                            ::strsignal(WTERMSIG(status)))
                                              : fmt::format("ended with exit code {}", WEXITSTATUS(status));
  throw Error(Code::io, fmt::format("the conversion {}", how), "the model may be damaged: get it again");
}

json::object supervise(int in, int out) {
  const Job job = read_job(read_all(in));
  if (job.quantize) find_mixture(*job.quantize);
  OutputFile file(job.to);
  int pipe[2];
  if (::pipe(pipe) != 0)
    throw Error(Code::io, fmt::format("cannot make a pipe: {}", std::strerror(errno)),
                "close other programs");
  const pid_t parent = ::getpid(), child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    run_child(job, file, out, pipe[1], parent);
  }
  ::close(pipe[1]);
  if (child < 0) {
    ::close(pipe[0]);
    throw Error(Code::io, fmt::format("cannot start a process: {}", std::strerror(errno)),
                "close other programs");
  }
  json::object line = result_of(child, pipe[0]);
  ::close(pipe[0]);
  if (line.contains("done")) file.commit();
  return line;
}

}  // namespace

int run_conversion(int in, int out) {
  const json::object line = guarded([&] { return supervise(in, out); });
  write_line(out, line);
  return line.contains("done") ? 0 : 1;
}

}  // namespace hearth
