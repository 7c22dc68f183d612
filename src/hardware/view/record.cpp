#include "hardware/record.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "hardware/errno_names.h"

namespace hearth {
namespace {

using Kind = Record::Entry::Kind;
constexpr std::string_view first_line = "hearth-machine 1";

[[noreturn]] void refuse(size_t line, std::string_view why) {
  throw Error(Code::corrupt_file, fmt::format("line {} of the recorded machine: {}", line, why),
              "record it again with `hearth doctor --record FILE`");
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte < 0x7f && c != '\\') || c == '\t' || byte >= 0x80)
      out += c;
    else
      out += fmt::format("\\x{:02x}", byte);
  }
  return out;
}

// In a path a blank would end it.
std::string escaped_path(std::string_view path) {
  std::string out;
  for (const char c : escaped(path)) {
    if (c == ' ')
      out += "\\x20";
    else if (c == '\t')
      out += "\\x09";
    else
      out += c;
  }
  return out;
}

std::string unescaped(std::string_view text, size_t line) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    const char* begin = text.data() + i + 2;
    if (i + 3 >= text.size() || text[i + 1] != 'x' ||
        std::from_chars(begin, begin + 2, value, 16).ptr != begin + 2) {
      refuse(line, "a '\\' that does not begin \\xHH");
    }
    out += static_cast<char>(value);
    i += 3;
  }
  return out;
}

// Cuts words off the front of a line.
class Words {
 public:
  Words(std::string_view rest, size_t line) : rest_(rest), line_(line) {}

  std::string_view next() {
    const size_t begin = std::min(rest_.find_first_not_of(' '), rest_.size());
    rest_.remove_prefix(begin);
    const size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return word;
  }
  std::string_view needed(std::string_view what) {
    const std::string_view word = next();
    if (word.empty()) refuse(line_, fmt::format("{} is missing", what));
    return word;
  }
  std::string path() {
    std::string out = unescaped(needed("a path"), line_);
    if (out.front() != '/') refuse(line_, "a path does not begin with '/'");
    return out;
  }
  template <class T>
  T number(std::string_view what, int base = 10) {
    return number_in<T>(needed(what), what, base);
  }
  template <class T>
  T number_in(std::string_view word, std::string_view what, int base = 10) const {
    T value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
    if (error != std::errc() || end != word.data() + word.size())
      refuse(line_, fmt::format("'{}' is no number ({})", word, what));
    return value;
  }
  int error_name() {
    const std::string_view word = needed("the name of an error");
    const int error = errno_named(word);
    if (error == 0) refuse(line_, fmt::format("unknown error '{}'", word));
    return error;
  }
  // What is left, without the blank in front of it.
  std::string_view rest() {
    if (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    return rest_;
  }
  size_t line() const noexcept { return line_; }

 private:
  std::string_view rest_;
  size_t line_;
};

class Parser {
 public:
  Record parse(std::string_view text) {
    if (text.size() > record_limit) refuse(1, "the file is too large");
    bool first = true;
    for (size_t number = 1; !text.empty(); ++number) {
      const size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (line.empty() || line.front() == '#') continue;
      if (first && line != first_line) refuse(number, fmt::format("it does not begin with '{}'", first_line));
      if (!first) take(line, number);
      first = false;
    }
    if (first) refuse(1, "the file is empty");
    return std::move(record_);
  }

 private:
  void take(std::string_view line, size_t number) {
    if (line.front() == '|' || line.front() == '.') return take_text(line, number);
    open_ = nullptr;
    Words words(line, number);
    const std::string_view word = words.next();
    if (word == "file")
      take_file(words);
    else if (word == "dir")
      put(words.path()).kind = Kind::folder;
    else if (word == "link")
      take_link(words);
    else if (word == "node")
      take_node(words);
    else if (word == "log")
      take_log(words);
    else if (word == "env")
      take_environment(words);
    else if (word == "uname") {
      record_.name.release = unescaped(words.needed("a release"), number);
      record_.name.machine = unescaped(words.next(), number);
    } else if (word == "account")
      take_account(words);
    else if (word == "verdict")
      take_verdict(words);
    else if (word == "wanted")
      take_wanted(words);
    else
      refuse(number, fmt::format("unknown word '{}'", word));
  }

  Record::Entry& put(const std::string& path) { return record_.entries[path] = Record::Entry(); }

  void take_text(std::string_view line, size_t number) {
    if (open_ == nullptr) refuse(number, "text of no file");
    const bool whole = line.front() == '|';
    line.remove_prefix(line.size() > 1 && line[1] == ' ' ? 2 : 1);
    open_->text += unescaped(line, number);
    if (whole)
      open_->text += '\n';
    else
      open_ = nullptr;
  }

  void take_file(Words& words) {
    Record::Entry& entry = put(words.path());
    const std::string_view sign = words.next();
    if (sign == "!")
      entry.error = words.error_name();
    else if (sign == "=")
      entry.text = unescaped(words.rest(), words.line()) + '\n';
    else if (sign.empty())
      open_ = &entry;
    else
      refuse(words.line(), "behind the path of a file may be '= TEXT' or '! ERROR'");
  }

  void take_link(Words& words) {
    Record::Entry& entry = put(words.path());
    entry.kind = Kind::link;
    if (words.next() != "->") refuse(words.line(), "a link is written 'link PATH -> TARGET'");
    entry.text = unescaped(words.rest(), words.line());
  }

  void take_node(Words& words) {
    Record::Entry& entry = put(words.path());
    entry.kind = Kind::node;
    entry.node.type = words.needed("a type").front();
    entry.node.mode = words.number<uint32_t>("mode", 8);
    entry.node.uid = words.number<uint32_t>("uid");
    entry.node.gid = words.number<uint32_t>("gid");
    if (!words.rest().empty()) entry.error = words.error_name();
  }

  void take_log(Words& words) {
    const std::string_view text = words.rest();
    if (text.starts_with("! ")) {
      words.next();
      record_.log.error = words.error_name();
    } else {
      record_.log.lines.push_back(unescaped(text, words.line()));
    }
  }

  void take_environment(Words& words) {
    const std::string pair = unescaped(words.rest(), words.line());
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) refuse(words.line(), "a variable is written NAME=VALUE");
    record_.environment[pair.substr(0, equals)] = pair.substr(equals + 1);
  }

  void take_account(Words& words) {
    record_.account.name = unescaped(words.needed("a name"), words.line());
    record_.account.uid = words.number<uint32_t>("uid");
    record_.account.groups.clear();
    std::string_view list = words.next();
    while (!list.empty()) {
      const size_t end = std::min(list.find(','), list.size());
      record_.account.groups.push_back(words.number_in<uint32_t>(list.substr(0, end), "gid"));
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  }

  void take_verdict(Words& words) {
    boost::system::error_code error;
    const Json parsed = json::parse(json::string_view(words.rest()), error);
    if (error) refuse(words.line(), "a verdict is no JSON");
    record_.verdicts.push_back(decode_verdict(parsed));
  }

  void take_wanted(Words& words) {
    const std::string_view what = words.needed("what is wanted");
    Wanted& w = record_.wanted;
    if (what == "model")
      w.model = unescaped(words.rest(), words.line());
    else if (what == "model_bytes")
      w.model_bytes = words.number<uint64_t>("bytes");
    else if (what == "largest_buffer")
      w.largest_buffer = words.number<uint64_t>("bytes");
    else if (what == "threads")
      w.threads = words.number<uint32_t>("threads");
    else if (what == "k")
      w.k = unescaped(words.needed("a type"), words.line());
    else if (what == "v")
      w.v = unescaped(words.needed("a type"), words.line());
    else
      refuse(words.line(), fmt::format("unknown wish '{}'", what));
  }

  Record record_;
  Record::Entry* open_ = nullptr;  // the file whose text follows
};

void print_file(std::string& out, const std::string& path, const Record::Entry& entry) {
  if (entry.error != 0) {
    out += fmt::format("file {} ! {}\n", path, errno_name(entry.error));
    return;
  }
  std::string_view text = entry.text;
  if (text.size() > 1 && text.find('\n') == text.size() - 1) {
    out += fmt::format("file {} = {}\n", path, escaped(text.substr(0, text.size() - 1)));
    return;
  }
  out += fmt::format("file {}\n", path);
  while (!text.empty()) {
    const size_t end = text.find('\n');
    out += fmt::format("{} {}\n", end == std::string_view::npos ? '.' : '|', escaped(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

void print_entry(std::string& out, const std::string& name, const Record::Entry& entry) {
  const std::string path = escaped_path(name);
  switch (entry.kind) {
    case Kind::file: return print_file(out, path, entry);
    case Kind::folder: out += fmt::format("dir {}\n", path); return;
    case Kind::link: out += fmt::format("link {} -> {}\n", path, escaped(entry.text)); return;
    case Kind::node:
      out += fmt::format("node {} {} {:04o} {} {}{}{}\n", path, entry.node.type, entry.node.mode,
                         entry.node.uid, entry.node.gid, entry.error == 0 ? "" : " ",
                         entry.error == 0 ? "" : errno_name(entry.error));
  }
}

void print_wanted(std::string& out, const Wanted& w) {
  if (!w.model.empty()) out += fmt::format("wanted model {}\n", escaped(w.model));
  if (w.model_bytes != 0) out += fmt::format("wanted model_bytes {}\n", w.model_bytes);
  if (w.largest_buffer != 0) out += fmt::format("wanted largest_buffer {}\n", w.largest_buffer);
  if (w.threads != 0) out += fmt::format("wanted threads {}\n", w.threads);
  if (!w.k.empty()) out += fmt::format("wanted k {}\n", escaped_path(w.k));
  if (!w.v.empty()) out += fmt::format("wanted v {}\n", escaped_path(w.v));
}

}  // namespace

Record Record::parse(std::string_view text) { return Parser().parse(text); }

std::string Record::print() const {
  std::string out = fmt::format("{}\n", first_line);
  if (!name.release.empty())
    out += fmt::format("uname {} {}\n", escaped_path(name.release), escaped_path(name.machine));
  if (!account.name.empty()) {
    out += fmt::format("account {} {} {}\n", escaped_path(account.name), account.uid,
                       fmt::join(account.groups, ","));
  }
  for (const auto& [key, value] : environment)
    out += fmt::format("env {}={}\n", escaped(key), escaped(value));
  for (const auto& [path, entry] : entries) print_entry(out, path, entry);
  if (log.error != 0) out += fmt::format("log ! {}\n", errno_name(log.error));
  for (const std::string& line : log.lines) out += fmt::format("log {}\n", escaped(line));
  for (const ProbeVerdict& v : verdicts) out += fmt::format("verdict {}\n", json::serialize(encode(v)));
  print_wanted(out, wanted);
  return out;
}

RecordedMachine open_recorded(const std::string& path) {
  const bool folder = std::filesystem::is_directory(path);
  const std::string file = folder ? path + "/machine.txt" : path;
  Record record;
  if (!folder || std::filesystem::exists(file)) record = Record::parse(read_file(file));
  RecordedMachine out;
  out.verdicts = record.verdicts;
  out.wanted = record.wanted;
  out.system = recorded_system(std::move(record), folder ? path : "");
  return out;
}

}  // namespace hearth
