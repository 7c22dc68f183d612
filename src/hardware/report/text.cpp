#include <fmt/format.h>

#include <algorithm>

#include "hardware/report.h"

namespace hearth {
namespace {

constexpr const char *bold = "\x1b[1m", *dim = "\x1b[2m", *red = "\x1b[31m", *green = "\x1b[32m",
                     *yellow = "\x1b[33m", *cyan = "\x1b[36m", *plain = "\x1b[0m";

// Characters that a text takes on a screen: bytes of UTF-8 that begin one.
size_t width(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

class Page {
 public:
  explicit Page(const ReportStyle& style) : style_(style) {}

  std::string painted(const char* colour, std::string_view text) const {
    return style_.colour ? fmt::format("{}{}{}", colour, text, plain) : std::string(text);
  }
  void line(std::string_view text = {}) { out_ += fmt::format("{}\n", text); }

  // Words broken into lines behind `indent` blanks; the first line follows `first`, which is that wide.
  void paragraph(size_t indent, std::string_view text, const std::string& first = {},
                 const char* colour = nullptr) {
    std::string at;
    bool begun = false;
    const auto flush = [&] {
      out_ += begun || first.empty() ? std::string(indent, ' ') : first;
      out_ += (colour != nullptr ? painted(colour, at) : at) + "\n";
      at.clear();
      begun = true;
    };
    while (!text.empty()) {
      const size_t end = std::min(text.find(' '), text.size());
      const std::string_view word = text.substr(0, end);
      const bool full = style_.columns > indent + 20 && indent + width(at) + 1 + width(word) > style_.columns;
      if (full && !at.empty()) flush();
      if (!at.empty()) at += ' ';
      at += word;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (!at.empty() || !begun) flush();
  }

  std::string take() { return std::move(out_); }

 private:
  const ReportStyle& style_;
  std::string out_;
};

std::string age(int64_t then, int64_t now) {
  const int64_t s = std::max<int64_t>(now - then, 0);
  if (s < 120) return "just now";
  if (s < 7200) return fmt::format("{} minutes ago", s / 60);
  if (s < 172800) return fmt::format("{} hours ago", s / 3600);
  return fmt::format("{} days ago", s / 86400);
}

const char* colour_of(DeviceUse use) {
  switch (use) {
    case DeviceUse::used: return green;
    case DeviceUse::usable: return cyan;
    case DeviceUse::refused: return red;
    case DeviceUse::display: break;
  }
  return dim;
}
const char* colour_of(Severity severity) {
  return severity == Severity::problem ? red : severity == Severity::warning ? yellow : cyan;
}
const char* sign_of(DeviceUse use) {
  return use == DeviceUse::used ? "●" : use == DeviceUse::refused ? "✗" : "○";
}
const char* sign_of(Severity severity) {
  return severity == Severity::problem ? "✗" : severity == Severity::warning ? "!" : "·";
}

void device(Page& page, const DeviceLine& l, const ReportStyle& style, size_t name_width) {
  const std::string sign = style.colour ? std::string(sign_of(l.use)) + " " : "";
  const std::string use = fmt::format("{:<8}", to_string(l.use));
  const std::string name = fmt::format("{:<{}}", l.name.empty() ? "-" : l.name, name_width);
  const size_t indent = 2 + (style.colour ? 2 : 0) + 8 + 1 + name_width + 2;
  std::string facts = l.address;
  if (!l.facts.empty()) facts += (facts.empty() ? "" : ", ") + l.facts;
  page.line(fmt::format("  {}{} {}  {}", page.painted(colour_of(l.use), sign),
                        page.painted(colour_of(l.use), use), name, page.painted(bold, l.product)));
  if (!facts.empty()) page.paragraph(indent, facts, {}, style.colour ? dim : nullptr);
  std::string why = l.why;
  if (!l.cause.empty()) why += fmt::format(" [{}]", l.cause);
  if (l.probed != 0 && style.now != 0) why += fmt::format("; probed {}", age(l.probed, style.now));
  if (!l.busy.empty()) why += fmt::format("; measured while busy: {}", l.busy);
  if (!why.empty()) page.paragraph(indent, why);
}

void finding(Page& page, const Finding& f, const ReportStyle& style) {
  const std::string sign =
      style.colour ? std::string(sign_of(f.severity)) + " " : fmt::format("{}: ", to_string(f.severity));
  const std::string where = f.device.empty() ? "" : "  " + f.device;
  page.line(fmt::format("  {}{}{}", page.painted(colour_of(f.severity), sign), page.painted(bold, f.code),
                        page.painted(dim, where)));
  page.paragraph(4, f.sentence);
  if (!f.fix.text.empty())
    page.paragraph(9, f.fix.text, "    " + page.painted(bold, "Fix:") + " ");
  else if (!f.fix.commands.empty())
    page.line("    " + page.painted(bold, "Fix:"));
  // Never broken: they are there to be pasted.
  for (const std::string& command : f.fix.commands) page.line("      " + page.painted(cyan, command));
  if (!f.result.empty()) page.paragraph(15, f.result + ".", "    " + page.painted(dim, "Meanwhile:") + " ");
}

std::string counted(size_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

std::string summary(const Report& r) {
  const size_t problems = r.count(Severity::problem), warnings = r.count(Severity::warning);
  if (problems + warnings == 0) return r.exit_code() == 0 ? "All is well." : "A device cannot be used.";
  std::string out = problems != 0 ? counted(problems, "problem") : "";
  if (warnings != 0) out += (out.empty() ? "" : ", ") + counted(warnings, "warning");
  return out + ". `hearth doctor --fix` prints the commands as a script.";
}

}  // namespace

std::string to_text(const Report& r, const ReportStyle& style) {
  Page page(style);
  page.line(page.painted(bold, "System"));
  page.paragraph(2, r.system.empty() ? "unknown" : r.system);
  if (!r.memory.empty()) page.paragraph(2, "Memory: " + r.memory);
  page.line();
  page.line(page.painted(bold, "Devices"));
  size_t name_width = 3;
  for (const DeviceLine& l : r.devices) name_width = std::max(name_width, l.name.size());
  for (const DeviceLine& l : r.devices) device(page, l, style, name_width);
  if (!r.findings.empty()) {
    page.line();
    page.line(page.painted(bold, "Findings"));
    for (size_t i = 0; i < r.findings.size(); ++i) {
      if (i != 0) page.line();
      finding(page, r.findings[i], style);
    }
  }
  page.line();
  const int code = r.exit_code();
  page.line(page.painted(code == 0 ? green : code == 1 ? yellow : red, summary(r)));
  return page.take();
}

}  // namespace hearth
