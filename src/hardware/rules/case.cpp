#include "hardware/rules/case.h"

#include <fmt/format.h>

#include <algorithm>

#include "hardware/policy.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

bool backend_fits(std::string_view backend, Vendor vendor) {
  if (backend == "cuda") return vendor == Vendor::nvidia;
  if (backend == "rocm") return vendor == Vendor::amd;
  return backend == "vulkan";
}

// A log line without its time "[    3.14]".
std::string_view message_of(std::string_view line) {
  if (line.starts_with("[")) {
    const size_t end = line.find(']');
    if (end != std::string_view::npos) line.remove_prefix(end + 1);
  }
  return trimmed(line);
}

}  // namespace

std::string_view to_string(Severity severity) noexcept {
  switch (severity) {
    case Severity::note: return "note";
    case Severity::warning: return "warning";
    case Severity::problem: break;
  }
  return "problem";
}

void Case::add(Finding finding) {
  if (!found(finding.code, finding.device)) findings.push_back(std::move(finding));
}

bool Case::found(std::string_view code, std::string_view device) const noexcept {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const Finding& f) { return f.code == code && f.device == device; });
}

bool Case::blocked(std::string_view device) const noexcept {
  return std::any_of(findings.begin(), findings.end(), [&](const Finding& f) {
    return f.severity == Severity::problem && (f.device == device || f.device.empty());
  });
}

std::vector<const ProbeVerdict*> Case::about(const Gpu& gpu, std::string_view backend) const {
  std::vector<const ProbeVerdict*> out;
  for (const ProbeVerdict& v : verdicts) {
    if (!backend.empty() && v.backend != backend) continue;
    const bool whole = v.key.empty() && backend_fits(v.backend, gpu.vendor);
    const bool uuid = gpu.nvidia && !gpu.nvidia->uuid.empty() && gpu.nvidia->uuid == v.key;
    if (v.key == gpu.address || uuid || whole) out.push_back(&v);
  }
  return out;
}

bool Case::probed(std::string_view backend) const noexcept {
  return std::any_of(verdicts.begin(), verdicts.end(),
                     [&](const ProbeVerdict& v) { return v.backend == backend; });
}

bool Case::passed(const Gpu& gpu, std::string_view backend) const {
  const auto all = about(gpu, backend);
  return std::any_of(all.begin(), all.end(), [](const ProbeVerdict* v) {
    return v->passed() && !v->key.empty() && v->kind != "cpu";
  });
}

bool Case::unlisted(const ProbeVerdict& v) const {
  const auto is_it = [&](const Gpu& gpu) {
    return gpu.address == v.key || (gpu.nvidia && gpu.nvidia->uuid == v.key);
  };
  return !v.key.empty() && v.backend != "cpu" && v.kind != "cpu" &&
         std::none_of(machine.gpus.begin(), machine.gpus.end(), is_it);
}

bool Case::replied(const Gpu& gpu, std::string_view call, int64_t code) const {
  for (const ProbeVerdict* v : about(gpu)) {
    for (const DriverReply& reply : v->replies) {
      if (reply.call == call && reply.code == code) return true;
    }
  }
  return false;
}

std::vector<const Gpu*> Case::gpus(Vendor vendor) const {
  std::vector<const Gpu*> out;
  for (const Gpu& gpu : machine.gpus) {
    if (gpu.vendor == vendor) out.push_back(&gpu);
  }
  return out;
}

const Gpu* Case::card() const {
  const Gpu* untried = nullptr;
  for (const Gpu& gpu : machine.gpus) {
    if (gpu.vendor == Vendor::other || gpu.integrated) continue;
    if (passed(gpu)) return &gpu;
    const bool ready = !gpu.driver.empty() && gpu.driver != "nouveau" && gpu.driver != "vfio-pci";
    if (ready && about(gpu).empty() && untried == nullptr) untried = &gpu;
  }
  return untried;
}

bool Case::only_for_a_screen(const Gpu& gpu) const {
  return gpu.display_only() && card() != nullptr && !bool_in(machine.environment, "IGPU_ENABLE", false);
}

std::string Case::log_line(std::initializer_list<std::string_view> words) const {
  for (const std::string& line : machine.log.lines) {
    const auto in_line = [&](std::string_view word) { return line.find(word) != std::string::npos; };
    if (std::all_of(words.begin(), words.end(), in_line)) return line;
  }
  return {};
}

std::string Case::joined_log(std::string_view prefix) const {
  std::string out;
  for (const std::string& line : machine.log.lines) {
    std::string_view text = message_of(line);
    const size_t at = text.find(prefix);
    if (at == std::string_view::npos) continue;
    // The prefix may stand again in the middle, where a line was broken.
    while (!text.empty()) {
      const size_t next = text.find(prefix);
      if (const std::string_view piece = trimmed(text.substr(0, next)); !piece.empty())
        out += (out.empty() ? "" : " ") + std::string(piece);
      text.remove_prefix(next == std::string_view::npos ? text.size() : next + prefix.size());
    }
  }
  return out;
}

std::string gib(uint64_t bytes) {
  const double value = static_cast<double>(bytes) / (1 << 30);
  return value < 1 ? fmt::format("{} MiB", bytes >> 20) : fmt::format("{:.2f} GiB", value);
}

std::string described(const Gpu& gpu) { return fmt::format("{} ({})", gpu.name, gpu.address); }

}  // namespace hearth
