#include "hardware/probe_child.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/error.h"
#include "protocol/channel.h"

namespace hearth {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kept_log = 4096;

// What a driver prints need not be text.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return (c < ' ' && c != '\n' && c != '\t') || c == 127; }, '?');
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class Watch {
 public:
  Watch(const ProbeQuestion& question, const EnvironmentChanges& environment, const ProbeRunner& runner)
      : runner_(runner),
        child_(probe_role, runner.program, environment),
        channel_(child_.socket()),
        begun_(Clock::now()),
        phase_begun_(begun_) {
    last_.verdict.backend = question.backend;
    last_.verdict.device = question.device;
    last_.verdict.key = question.key;
    last_.verdict.phase = "start";
    for (const auto& [name, value] : environment) {
      if (value) environment_.emplace_back(name, *value);
    }
    channel_.send(encode(question));
  }

  ProbeReport run() {
    while (!over_) turn();
    last_.verdict.overrides = environment_;
    last_.verdict.stderr_tail = last_.verdict.passed() ? std::string() : printable(child_.log_tail(kept_log));
    return std::move(last_);
  }

 private:
  void turn() {
    constexpr int slice_ms = 20;
    // Both are asked first: what a child has sent before is then received before it counts as dead or is
    // ended, however long this process waits for its turn, and the verdict names the right phase.
    const bool ended = !child_.running();
    const std::optional<Excess> excess = limit_passed();
    Channel::Received got;
    try {
      got = channel_.receive(ended || excess ? 0 : slice_ms);
      if (got.state == Channel::State::message) return take(decode_report(got.message));
    } catch (const Error& e) {
      return give_up(ProbeOutcome::failed, "it answered with garbage: " + e.message);
    }
    if (got.state == Channel::State::closed) return died();
    if (excess)
      give_up(excess->outcome, excess->cause);
    else if (ended)
      died();  // a process of its own may still hold the socket
  }

  struct Excess {
    ProbeOutcome outcome;
    std::string cause;
  };

  // Why the child must end now, if it must.
  std::optional<Excess> limit_passed() {
    const ProbeLimits& limits = runner_.limits;
    const auto now = Clock::now();
    if (runner_.cancelled != nullptr && *runner_.cancelled) return Excess{ProbeOutcome::failed, "cancelled"};
    if (now - phase_begun_ > limits.phase) return late(limits.phase);
    if (now - begun_ > limits.all) return late(limits.all);
    // Until it has become the program that it is to run, its memory is this process's.
    const bool itself = last_.verdict.phase != "start" || now - begun_ > std::chrono::seconds(1);
    if (itself && child_.resident_bytes() > limits.memory_bytes)
      return Excess{ProbeOutcome::failed, fmt::format("it took more than {} MiB of memory and was ended",
                                                      limits.memory_bytes >> 20)};
    if (child_.log_bytes() > limits.log_bytes)
      return Excess{ProbeOutcome::failed,
                    fmt::format("it printed more than {} MiB and was ended", limits.log_bytes >> 20)};
    return std::nullopt;
  }

  void take(ProbeReport report) {
    if (report.verdict.phase != last_.verdict.phase) phase_begun_ = Clock::now();
    last_ = std::move(report);
    over_ = last_.done;
    if (!over_ && Clock::now() - begun_ > runner_.limits.all) {
      const Excess excess = late(runner_.limits.all);
      give_up(excess.outcome, excess.cause);
    }
    if (runner_.progress) runner_.progress(last_.verdict);
  }

  static Excess late(milliseconds limit) {
    return {ProbeOutcome::timed_out,
            fmt::format("no answer within {:g} s", std::chrono::duration<double>(limit).count())};
  }

  // Ends the child. One that hangs inside the kernel's driver is left to it.
  void give_up(ProbeOutcome outcome, std::string cause) {
    over_ = true;
    child_.kill();
    for (int i = 0; child_.running() && i < 200; ++i) std::this_thread::sleep_for(milliseconds(10));
    if (child_.running()) {
      cause += "; it cannot be killed either: it hangs in the kernel's driver";
      child_.abandon();
    }
    last_.verdict.outcome = outcome;
    last_.verdict.cause = std::move(cause);
  }

  void died() {
    over_ = true;
    // It may have closed the socket and go on.
    for (int i = 0; child_.running() && i < 50; ++i) std::this_thread::sleep_for(milliseconds(10));
    if (child_.running()) return give_up(ProbeOutcome::crashed, "it closed its socket and went on");
    const std::string how = child_.wait_and_describe();
    last_.verdict.outcome = ProbeOutcome::crashed;
    last_.verdict.signal = child_.end_signal();
    last_.verdict.exit_code = child_.exit_code();
    last_.verdict.cause = fmt::format("the probe {}", how);
  }

  const ProbeRunner& runner_;
  std::vector<std::pair<std::string, std::string>> environment_;
  Subprocess child_;
  Channel channel_;
  Clock::time_point begun_, phase_begun_;
  ProbeReport last_;
  bool over_ = false;
};

// The phase in which a variant was tried.
std::string phase_of(const VariantVerdict& v) {
  return v.head_size != 0 ? fmt::format("{} d{} {}", v.kernel, v.head_size, v.k) : v.kernel;
}

// The verdict lists it already: it is no product that every device must have.
bool is_variant(const ProbeVerdict& v) {
  return v.phase.starts_with(attend_kernel) || (v.phase.starts_with("matmul ") && !v.variants.empty());
}

}  // namespace

ProbeReport run_probe_child(const ProbeQuestion& question, const EnvironmentChanges& environment,
                            const ProbeRunner& runner) {
  return Watch(question, environment, runner).run();
}

ProbeVerdict probe_device(ProbeQuestion question, const EnvironmentChanges& environment,
                          const ProbeRunner& runner) {
  question.seconds = runner.limits.variant_seconds;
  question.sweep_bytes = runner.limits.sweep_bytes;
  std::vector<std::string> causes;  // of question.skip
  for (;;) {
    ProbeVerdict v = run_probe_child(question, environment, runner).verdict;
    for (VariantVerdict& variant : v.variants) {
      const auto at = std::find(question.skip.begin(), question.skip.end(), phase_of(variant));
      if (at != question.skip.end()) variant.cause = causes[static_cast<size_t>(at - question.skip.begin())];
    }
    const bool killed = v.outcome == ProbeOutcome::crashed || v.outcome == ProbeOutcome::timed_out;
    if (!killed || !is_variant(v) || causes.size() >= static_cast<size_t>(runner.limits.restarts)) return v;
    question.skip.push_back(v.phase);
    causes.push_back(v.cause);
  }
}

}  // namespace hearth
