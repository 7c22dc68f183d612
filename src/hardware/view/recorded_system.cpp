#include <algorithm>
#include <cerrno>
#include <utility>

#include "hardware/record.h"

namespace hearth {
namespace {

using Entry = Record::Entry;
using Kind = Entry::Kind;

class RecordedSystem final : public SystemView {
 public:
  RecordedSystem(Record record, const std::string& folder) : record_(std::move(record)) {
    if (!folder.empty()) behind_ = live_system(folder);
  }

  FileText file(const std::string& path, size_t limit) const override {
    const Entry* entry = find(path);
    if (entry == nullptr) return behind_ ? behind_->file(path, limit) : FileText{.error = ENOENT};
    if (entry->kind == Kind::folder) return {.error = EISDIR};
    if (entry->kind != Kind::file) return {.error = EINVAL};
    if (entry->error != 0) return {.error = entry->error};
    return {.text = entry->text.substr(0, limit), .cut = entry->text.size() > limit};
  }

  std::vector<std::string> list(const std::string& path) const override {
    std::vector<std::string> names = behind_ ? behind_->list(path) : std::vector<std::string>();
    const std::string prefix = path + "/";
    auto at = record_.entries.lower_bound(prefix);
    while (at != record_.entries.end() && at->first.starts_with(prefix) && names.size() < list_limit) {
      const size_t end = at->first.find('/', prefix.size());
      names.push_back(at->first.substr(prefix.size(), end - prefix.size()));
      // On to the first path that does not lie below this name: '0' follows '/'.
      at = record_.entries.lower_bound(prefix + names.back() + "0");
      if (names.back().empty()) names.pop_back();
    }
    // "a-b" lies between "a" and "a/c" in the order of paths: a name can come twice.
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

  std::optional<std::string> link(const std::string& path) const override {
    const Entry* entry = find(path);
    if (entry == nullptr) return behind_ ? behind_->link(path) : std::nullopt;
    if (entry->kind != Kind::link) return std::nullopt;
    return entry->text;
  }

  std::optional<NodeInfo> node(const std::string& path) const override {
    const Entry* entry = find(path);
    if (entry == nullptr) {
      if (!list(path).empty()) return NodeInfo{'d', 0755, 0, 0};
      return behind_ ? behind_->node(path) : std::nullopt;
    }
    if (entry->kind == Kind::node) return entry->node;
    if (entry->kind == Kind::folder) return NodeInfo{'d', 0755, 0, 0};
    return NodeInfo{'-', 0644, 0, 0};
  }

  int open_error(const std::string& path) const override {
    const Entry* entry = find(path);
    if (entry == nullptr) return ENOENT;
    return entry->kind == Kind::folder ? EISDIR : entry->error;
  }

  KernelLog kernel_log() const override { return record_.log; }
  Environment environment() const override { return record_.environment; }
  SystemName name() const override { return record_.name; }
  Account account() const override { return record_.account; }

 private:
  const Entry* find(const std::string& path) const {
    const auto at = record_.entries.find(path);
    return at == record_.entries.end() ? nullptr : &at->second;
  }

  Record record_;
  std::unique_ptr<SystemView> behind_;
};

}  // namespace

std::unique_ptr<SystemView> recorded_system(Record record, const std::string& folder) {
  return std::make_unique<RecordedSystem>(std::move(record), folder);
}

}  // namespace hearth
