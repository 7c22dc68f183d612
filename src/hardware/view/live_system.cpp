#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "hardware/system_view.h"

namespace hearth {
namespace {

// Closes with the scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd), error_(fd < 0 ? errno : 0) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }
  int error() const noexcept { return error_; }

 private:
  int fd_, error_;
};

char type_of(mode_t mode) {
  if (S_ISCHR(mode)) return 'c';
  if (S_ISBLK(mode)) return 'b';
  if (S_ISDIR(mode)) return 'd';
  return S_ISREG(mode) ? '-' : '?';
}

// At most `limit` bytes, and whether there are more.
FileText read_up_to(int fd, size_t limit) {
  FileText out;
  std::array<char, 4096> piece{};
  while (true) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) out.error = errno;
    if (n <= 0) return out;
    const size_t room = limit - out.text.size();
    out.text.append(piece.data(), std::min(static_cast<size_t>(n), room));
    if (static_cast<size_t>(n) > room) {
      out.cut = true;
      return out;
    }
  }
}

// A record of /dev/kmsg is "priority,number,time,flags;text\n key=value…".
void add_kmsg_record(std::string_view record, std::vector<std::string>& lines) {
  const size_t begin = record.find(';');
  if (begin == std::string_view::npos) return;
  record.remove_prefix(begin + 1);
  lines.emplace_back(record.substr(0, record.find('\n')));
}

KernelLog read_kmsg() {
  constexpr size_t most_lines = 20000;
  KernelLog log;
  const Descriptor kmsg(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (kmsg.get() < 0) {
    log.error = kmsg.error();
    return log;
  }
  std::array<char, 8192> record{};
  while (log.lines.size() < most_lines) {
    const ssize_t n = ::read(kmsg.get(), record.data(), record.size());
    if (n < 0 && (errno == EPIPE || errno == EINTR)) continue;  // overtaken by the writer
    if (n < 0 && errno != EAGAIN && log.lines.empty()) log.error = errno;
    if (n <= 0) return log;
    add_kmsg_record({record.data(), static_cast<size_t>(n)}, log.lines);
  }
  return log;
}

class LiveSystem final : public SystemView {
 public:
  explicit LiveSystem(const std::string& root) : foreign_(!root.empty() && root != "/") {
    if (foreign_) root_ = ::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  ~LiveSystem() override {
    if (root_ >= 0) ::close(root_);
  }
  LiveSystem(const LiveSystem&) = delete;
  LiveSystem& operator=(const LiveSystem&) = delete;

  FileText file(const std::string& path, size_t limit) const override {
    const Descriptor fd(open(path, O_RDONLY));
    if (fd.get() < 0) return {.error = fd.error()};
    struct stat what {};
    if (::fstat(fd.get(), &what) != 0) return {.error = errno};
    // A pipe or a device would keep or wake somebody.
    if (!S_ISREG(what.st_mode)) return {.error = S_ISDIR(what.st_mode) ? EISDIR : EINVAL};
    return read_up_to(fd.get(), limit);
  }

  std::vector<std::string> list(const std::string& path) const override {
    std::vector<std::string> names;
    const int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return names;
    DIR* folder = ::fdopendir(fd);
    if (folder == nullptr) {
      ::close(fd);
      return names;
    }
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = static_cast<const char*>(entry->d_name);
      if (name != "." && name != ".." && names.size() < list_limit) names.push_back(name);
    }
    ::closedir(folder);
    std::sort(names.begin(), names.end());
    return names;
  }

  std::optional<std::string> link(const std::string& path) const override {
    const Descriptor fd(open(path, O_PATH | O_NOFOLLOW));
    std::array<char, PATH_MAX> target{};
    const ssize_t n = fd.get() < 0 ? -1 : ::readlinkat(fd.get(), "", target.data(), target.size());
    if (n < 0) return std::nullopt;
    return std::string(target.data(), static_cast<size_t>(n));
  }

  std::optional<NodeInfo> node(const std::string& path) const override {
    const Descriptor fd(open(path, O_PATH));
    struct stat what {};
    if (fd.get() < 0 || ::fstat(fd.get(), &what) != 0) return std::nullopt;
    return NodeInfo{type_of(what.st_mode), what.st_mode & 07777U, what.st_uid, what.st_gid};
  }

  int open_error(const std::string& path) const override { return Descriptor(open(path, O_RDWR)).error(); }

  KernelLog kernel_log() const override { return foreign_ ? KernelLog{.error = ENOENT} : read_kmsg(); }

  Environment environment() const override {
    Environment out;
    if (foreign_ || environ == nullptr) return out;
    for (char** at = environ; *at != nullptr; ++at) {
      const std::string_view pair = *at;
      const size_t equals = pair.find('=');
      if (equals != std::string_view::npos) out.emplace(pair.substr(0, equals), pair.substr(equals + 1));
    }
    return out;
  }

  SystemName name() const override {
    utsname name{};
    if (foreign_ || ::uname(&name) != 0) return {};
    return {static_cast<const char*>(name.release), static_cast<const char*>(name.machine)};
  }

  Account account() const override {
    Account out;
    if (foreign_) return out;
    out.uid = ::geteuid();
    if (const passwd* entry = ::getpwuid(out.uid)) out.name = entry->pw_name;
    std::array<gid_t, 1024> groups{};
    const int n = ::getgroups(static_cast<int>(groups.size()), groups.data());
    out.groups.push_back(::getegid());
    for (int i = 0; i < n; ++i) {
      if (groups[i] != out.groups.front()) out.groups.push_back(groups[i]);
    }
    return out;
  }

 private:
  int open(const std::string& path, int flags) const {
    flags |= O_CLOEXEC;
    if ((flags & O_PATH) == 0) flags |= O_NONBLOCK | O_NOCTTY;
    if (!foreign_) return ::open(path.c_str(), flags);
    open_how how{};
    how.flags = static_cast<uint64_t>(static_cast<unsigned>(flags));
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(::syscall(SYS_openat2, root_, path.c_str(), &how, sizeof how));
  }

  bool foreign_;
  int root_ = -1;
};

}  // namespace

std::unique_ptr<SystemView> live_system(const std::string& root) {
  return std::make_unique<LiveSystem>(root);
}

}  // namespace hearth
