// hearth doctor: what this machine has, what is used of it, and what to change.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/terminal.h"
#include "hardware/record.h"
#include "hardware/report.h"

namespace hearth {
namespace {

struct DoctorOptions {
  std::string machine, record, model, cache;
  uint32_t threads = 0;
  bool json = false, fix = false, probe = false;
};

// What somebody wants to run, on top of what a recorded machine wants.
void add_wishes(const DoctorOptions& options, Wanted& wanted) {
  if (!options.model.empty()) {
    std::error_code error;
    wanted.model = options.model;
    wanted.model_bytes = std::filesystem::file_size(options.model, error);
    if (error)
      throw Error(Code::not_found, fmt::format("there is no model file {}", options.model),
                  "doctor looks at the size of a GGUF file");
  }
  if (options.threads != 0) wanted.threads = options.threads;
  if (options.cache.empty()) return;
  const size_t slash = options.cache.find('/');
  wanted.k = options.cache.substr(0, slash);
  wanted.v = slash == std::string::npos ? wanted.k : options.cache.substr(slash + 1);
}

ReportStyle style_of_output() {
  ReportStyle style;
  style.now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  style.colour = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  if (::isatty(STDOUT_FILENO) != 0)
    style.columns = std::min(Terminal(STDIN_FILENO, STDOUT_FILENO).size().columns, 110U);
  return style;
}

void save_record(const Recorder& recorder, const RecordedMachine& machine, const std::string& path) {
  Record record = recorder.record();
  record.verdicts = machine.verdicts;
  record.wanted = machine.wanted;
  std::random_device random;
  const uint64_t salt = (uint64_t{random()} << 32) | random();
  write_file_atomic(path, record.anonymised(salt).print());
  fmt::print(stderr, "wrote {}: an anonymised description of this machine; look at it before you send it\n",
             path);
}

// Where somebody watches, the phase that is running, on one line that goes away again.
std::vector<ProbeVerdict> verdicts_of_this_machine(const Inventory& inventory, bool again) {
  const bool watched = ::isatty(STDERR_FILENO) != 0;
  std::mutex lock;
  const auto progress = [&](const ProbeVerdict& v) {
    const std::lock_guard guard(lock);
    fmt::print(stderr, "\r\x1b[K{} {}", v.device.empty() ? v.backend : v.device, v.phase);
  };
  MachineVerdicts found = examined_verdicts(inventory, again,
                                            watched ? std::function<void(const ProbeVerdict&)>(progress)
                                                    : std::function<void(const ProbeVerdict&)>());
  if (watched) fmt::print(stderr, "\r\x1b[K");
  for (const std::string& note : found.notes) fmt::print(stderr, "{}\n", note);
  return std::move(found.verdicts);
}

void doctor(const DoctorOptions& options) {
  RecordedMachine machine;
  if (options.machine.empty())
    machine.system = live_system();
  else
    machine = open_recorded(options.machine);
  add_wishes(options, machine.wanted);
  const Recorder recorder(*machine.system);
  const Inventory inventory = take_inventory(recorder);
  if (options.machine.empty()) machine.verdicts = verdicts_of_this_machine(inventory, options.probe);
  const Report report = examine(inventory, machine.verdicts, machine.wanted);
  if (!options.record.empty()) save_record(recorder, machine, options.record);
  if (options.json)
    fmt::print("{}\n", json::serialize(to_json(report)));
  else if (options.fix)
    fmt::print("{}", fix_script(report));
  else if (options.record.empty())
    fmt::print("{}", to_text(report, style_of_output()));
  if (const int code = report.exit_code(); code != 0) throw ExitCode{code};
}

}  // namespace

void add_doctor(Arguments app) {
  auto options = std::make_shared<DoctorOptions>();
  app.flag("--json", options->json, "the same for programs");
  app.flag("--fix", options->fix, "print the fixes as a shell script, and run nothing");
  app.flag("--probe", options->probe,
           "compute on every device anew, whatever earlier probes found, drivers in software included");
  app.option("--record", options->record, "write an anonymised description of this machine into a file");
  app.option("--machine", options->machine,
             "examine a recorded machine (a file, or a folder) instead of this one");
  app.option("--model", options->model, "a model file that is to run here");
  app.option("--threads", options->threads, "num_thread of the request or Modelfile");
  app.option("--cache", options->cache, "types of the cache, as q8_0 or q8_0/f16");
  app.footer(
      "Exit code: 0 nothing is lost, 1 something costs speed or memory or will surprise, 2 a device or "
      "backend does not "
      "work.\nEnvironment: what serve obeys; HEARTH_DEVICES, OLLAMA_LLM_LIBRARY, OLLAMA_VULKAN, "
      "OLLAMA_IGPU_ENABLE,\n"
      "CUDA_VISIBLE_DEVICES, ROCR_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES, GPU_DEVICE_ORDINAL, "
      "GGML_VK_VISIBLE_DEVICES");
  app.run([options] { doctor(*options); });
}

}  // namespace hearth
