#include "hardware/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace hearth {
namespace {

bool computing_gpu(const DeviceLine& l) {
  return l.use != DeviceUse::display && l.name != "cpu" && l.cause != "vk.software";
}

json::object fix_json(const Fix& fix) {
  return {{"text", fix.text}, {"commands", json::value_from(fix.commands)}, {"on_host", fix.on_host}};
}

// Needs a decision of a human: not to be run in a row with others.
bool by_hand(const std::string& command) {
  return command == "sudo reboot" || command.find("…") != std::string::npos ||
         command.find("CONTAINER") != std::string::npos;
}

}  // namespace

std::string_view to_string(DeviceUse use) noexcept {
  switch (use) {
    case DeviceUse::used: return "used";
    case DeviceUse::usable: return "usable";
    case DeviceUse::refused: return "refused";
    case DeviceUse::display: break;
  }
  return "display";
}

size_t Report::count(Severity severity) const noexcept {
  return static_cast<size_t>(std::count_if(findings.begin(), findings.end(),
                                           [&](const Finding& f) { return f.severity == severity; }));
}

int Report::exit_code() const noexcept {
  const bool refused = std::any_of(devices.begin(), devices.end(),
                                   [](const DeviceLine& l) { return l.use == DeviceUse::refused; });
  if (refused || count(Severity::problem) != 0) return 2;
  return count(Severity::warning) != 0 ? 1 : 0;
}

bool Report::gpu_idle() const noexcept {
  return std::any_of(devices.begin(), devices.end(), computing_gpu) && !choice.uses_gpu() &&
         choice.unknown.empty();
}

Json to_json(const Report& r) {
  json::array devices, findings, order;
  for (const DeviceLine& l : r.devices) {
    json::object o{{"name", l.name},   {"address", l.address},    {"product", l.product},
                   {"facts", l.facts}, {"use", to_string(l.use)}, {"cause", l.cause},
                   {"why", l.why}};
    if (l.probed != 0) o["probed"] = l.probed;
    if (!l.busy.empty()) o["measured_busy"] = l.busy;
    devices.push_back(std::move(o));
  }
  for (const Finding& f : r.findings) {
    findings.push_back({{"code", f.code},
                        {"device", f.device},
                        {"severity", to_string(f.severity)},
                        {"sentence", f.sentence},
                        {"fix", fix_json(f.fix)},
                        {"result", f.result}});
  }
  for (const ChosenDevice& d : r.choice.use) order.push_back(json::string(d.device));
  return json::object{{"system", r.system},
                      {"memory", r.memory},
                      {"devices", std::move(devices)},
                      {"order", std::move(order)},
                      {"findings", std::move(findings)},
                      {"exit_code", r.exit_code()}};
}

std::vector<std::string> idle_gpu_lines(const Report& r) {
  std::vector<std::string> out;
  if (!r.gpu_idle()) return out;
  for (const DeviceLine& l : r.devices) {
    if (computing_gpu(l))
      out.push_back(
          fmt::format("the GPU {} ({}) is not used: {} [{}]", l.product, l.address, l.why, l.cause));
  }
  for (const Finding& f : r.findings) {
    if (f.severity == Severity::note) continue;
    if (!f.fix.text.empty()) out.push_back(fmt::format("  {}: {}", f.code, f.fix.text));
    for (const std::string& command : f.fix.commands) out.push_back(fmt::format("  {}: {}", f.code, command));
  }
  out.emplace_back("`hearth doctor` shows all of it");
  return out;
}

std::string fix_script(const Report& r) {
  std::string out =
      "#!/bin/sh\n# What `hearth doctor` would change. Read it before you run it; lines that need a "
      "decision, and those for "
      "another\n# machine, are comments.\nset -e\n";
  std::set<std::string> seen;
  bool reboot = false, any = false;
  for (const Finding& f : r.findings) {
    if (f.fix.empty() || f.severity == Severity::note) continue;
    out += fmt::format("\n# {}: {}\n", f.code, f.sentence);
    if (!f.fix.text.empty()) out += fmt::format("# {}\n", f.fix.text);
    for (const std::string& command : f.fix.commands) {
      if (command == "sudo reboot") reboot = true;
      if (command == "sudo reboot" || !seen.insert(command).second) continue;
      const bool comment = f.fix.on_host || by_hand(command);
      out += fmt::format("{}{}\n", comment ? "# on the host: " : "", command);
      any = any || !comment;
    }
  }
  if (reboot) out += "\n# then: sudo reboot\n";
  if (!any) out += "\n# Nothing here can be done by a command.\n";
  return out;
}

}  // namespace hearth
