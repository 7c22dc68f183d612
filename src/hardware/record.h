#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/system_view.h"
#include "hardware/wanted.h"
#include "protocol/verdict.h"

// A machine as one text file: what `hearth doctor --record` writes and `--machine` reads, and what the tests
// describe machines with that no one here owns. A line each:
//
//   hearth-machine 1
//   # a comment
//   uname 6.8.0-45-generic x86_64
//   account hearth 999 999,44            name, uid, gids
//   env HSA_OVERRIDE_GFX_VERSION=10.3.0
//   file /sys/…/vendor = 0x1002          a file of one line
//   file /proc/meminfo                   a file of several lines: each follows behind "| ",
//   | MemTotal: 32614804 kB              the last one behind ". " where it does not end with a newline
//   file /sys/…/gpu_id ! EPERM           a file that cannot be read, and why
//   dir /sys/class/kfd                   a folder of which nothing is known but that it is there
//   link /sys/…/driver -> ../drivers/amdgpu
//   node /dev/kfd c 0660 0 993 EACCES    type, mode, uid, gid, and what opening it gives (nothing: it opens)
//   log amdgpu 0000:03:00.0: …           lines of the kernel's log,
//   log ! EPERM                          or why it cannot be read
//   verdict {"backend":"rocm", …}        what probes found (protocol/verdict.h)
//   wanted model_bytes 13206892544       what somebody wants to run (hardware/wanted.h)
//
// Bytes that are not printable, and '\', are written \xHH.
namespace hearth {

struct Record {
  struct Entry {
    enum class Kind : uint8_t { file, folder, link, node };
    Kind kind = Kind::file;
    std::string text = {};  // of a file, target of a link
    int error = 0;          // of reading the file, of opening the node
    NodeInfo node = {};
  };

  SystemName name = {};
  Account account = {};
  Environment environment = {};
  std::map<std::string, Entry> entries = {};  // by path
  KernelLog log = {};
  std::vector<ProbeVerdict> verdicts = {};
  Wanted wanted = {};

  // Throws Error(corrupt_file) naming the line.
  static Record parse(std::string_view text);
  std::string print() const;
  // The same machine without what could name its owner: accounts, serial numbers, addresses of network cards,
  // home folders. UUIDs and ids of containers become others, equal ones equal ones.
  Record anonymised(uint64_t salt) const;
};

inline constexpr size_t record_limit = size_t{16} << 20;  // bytes of a file

// The machine in a record. With `folder`, files and links that the record does not have are looked for in
// that copy of a machine's file tree.
std::unique_ptr<SystemView> recorded_system(Record record, const std::string& folder = "");

// A file as above, or a folder: the copy of a file tree, with a record of the rest in `machine.txt` if there
// is one. Throws Error(not_found), Error(corrupt_file).
struct RecordedMachine {
  std::unique_ptr<SystemView> system;
  std::vector<ProbeVerdict> verdicts;
  Wanted wanted;
};
RecordedMachine open_recorded(const std::string& path);

// Looks through another view and writes down all that it saw.
class Recorder final : public SystemView {
 public:
  explicit Recorder(const SystemView& watched);
  FileText file(const std::string& path, size_t limit) const override;
  std::vector<std::string> list(const std::string& path) const override;
  std::optional<std::string> link(const std::string& path) const override;
  std::optional<NodeInfo> node(const std::string& path) const override;
  int open_error(const std::string& path) const override;
  KernelLog kernel_log() const override;
  Environment environment() const override;
  SystemName name() const override;
  Account account() const override;

  const Record& record() const noexcept { return record_; }

 private:
  const SystemView& watched_;
  mutable Record record_;
};

}  // namespace hearth
