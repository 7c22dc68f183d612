#include <fmt/format.h>

#include <cerrno>

#include "hardware/record.h"

namespace hearth {

using Kind = Record::Entry::Kind;

Recorder::Recorder(const SystemView& watched) : watched_(watched) {
  record_.name = watched.name();
  record_.account = watched.account();
  record_.environment = watched.environment();
  record_.log = watched.kernel_log();
}

FileText Recorder::file(const std::string& path, size_t limit) const {
  FileText text = watched_.file(path, limit);
  if (text.error != ENOENT && text.error != ENOTDIR)
    record_.entries[path] = {.kind = Kind::file, .text = text.text, .error = text.error};
  return text;
}

// What is in a folder shows in the paths of what is read there; a name that nobody looks at is kept as an
// empty folder.
std::vector<std::string> Recorder::list(const std::string& path) const {
  std::vector<std::string> names = watched_.list(path);
  for (const std::string& name : names) {
    const std::string child = fmt::format("{}/{}", path, name);
    const auto at = record_.entries.lower_bound(child);
    const bool known =
        at != record_.entries.end() && (at->first == child || at->first.starts_with(child + "/"));
    if (!known) record_.entries[child] = {.kind = Kind::folder};
  }
  return names;
}

std::optional<std::string> Recorder::link(const std::string& path) const {
  std::optional<std::string> target = watched_.link(path);
  if (target) record_.entries[path] = {.kind = Kind::link, .text = *target};
  return target;
}

std::optional<NodeInfo> Recorder::node(const std::string& path) const {
  const std::optional<NodeInfo> node = watched_.node(path);
  if (node && !record_.entries.contains(path)) {
    Record::Entry entry;
    entry.kind = node->type == 'd' ? Kind::folder : Kind::node;
    entry.node = *node;
    record_.entries[path] = entry;
  }
  return node;
}

int Recorder::open_error(const std::string& path) const {
  const int error = watched_.open_error(path);
  if (error == ENOENT) return error;
  Record::Entry& entry = record_.entries[path];
  if (const auto node = watched_.node(path)) entry.node = *node;
  entry.kind = Kind::node;
  entry.error = error;
  return error;
}

KernelLog Recorder::kernel_log() const { return record_.log; }
Environment Recorder::environment() const { return record_.environment; }
SystemName Recorder::name() const { return record_.name; }
Account Recorder::account() const { return record_.account; }

}  // namespace hearth
