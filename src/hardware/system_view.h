#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// The only eyes of this layer: whatever is asked of a machine is asked here, so that a recorded machine can
// be examined anywhere. Nothing here throws on what it finds: a file that is missing, endless, binary or
// forbidden is an answer.
namespace hearth {

struct FileText {
  int error = 0;  // errno; 0 = it was read
  std::string text = {};
  bool cut = false;  // there was more than was asked for

  explicit operator bool() const noexcept { return error == 0; }
};

// Owner and mode of what a path leads to.
struct NodeInfo {
  char type = '-';  // 'c' 'b' 'd' '-' or '?'
  uint32_t mode = 0, uid = 0, gid = 0;
};

struct KernelLog {
  int error = 0;  // errno of reading it; 0 = readable
  std::vector<std::string> lines = {};
};

struct SystemName {
  std::string release = {}, machine = {};  // "6.8.0-45-generic", "x86_64"
};

struct Account {
  std::string name = {};
  uint32_t uid = 0;
  std::vector<uint32_t> groups = {};  // the effective one and the supplementary ones
};

using Environment = std::map<std::string, std::string>;

class SystemView {
 public:
  static constexpr size_t file_limit = size_t{64} << 10;  // sysfs and /proc files are smaller
  static constexpr size_t list_limit = 4096;

  virtual ~SystemView() = default;
  virtual FileText file(const std::string& path, size_t limit = file_limit) const = 0;
  // Names in a folder, sorted, `list_limit` at most; empty where there is none.
  virtual std::vector<std::string> list(const std::string& path) const = 0;
  // The text of a link.
  virtual std::optional<std::string> link(const std::string& path) const = 0;
  // Nothing where the path leads nowhere.
  virtual std::optional<NodeInfo> node(const std::string& path) const = 0;
  // errno of opening a device node for reading and writing; 0 = it opens.
  virtual int open_error(const std::string& path) const = 0;
  virtual KernelLog kernel_log() const = 0;
  virtual Environment environment() const = 0;
  virtual SystemName name() const = 0;
  virtual Account account() const = 0;
};

// This machine, with `root` in front of every path. Links in another root cannot lead out of it; environment,
// account, kernel log and name are then left empty.
std::unique_ptr<SystemView> live_system(const std::string& root = "");

}  // namespace hearth
