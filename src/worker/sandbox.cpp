#include "worker/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

namespace hearth {
namespace {

#if defined(__x86_64__)
constexpr uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t architecture = AUDIT_ARCH_AARCH64;
#endif

// Calls that fail with EPERM.
const std::vector<int>& refused_calls() {
  static const std::vector<int> calls {
    SYS_execve, SYS_execveat, SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_listen, SYS_accept,
        SYS_accept4, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_umount2,
        SYS_chroot, SYS_pivot_root, SYS_unshare, SYS_setns, SYS_truncate, SYS_unlinkat, SYS_renameat2,
        SYS_mkdirat, SYS_mknodat, SYS_linkat, SYS_symlinkat, SYS_fchmod, SYS_fchmodat, SYS_fchown,
        SYS_fchownat, SYS_bpf, SYS_keyctl, SYS_add_key, SYS_kexec_load, SYS_init_module, SYS_finit_module,
        SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setresuid, SYS_setxattr, SYS_perf_event_open,
        SYS_io_uring_setup, SYS_userfaultfd, SYS_open_by_handle_at, SYS_openat2,
#if defined(__x86_64__)
        SYS_fork, SYS_vfork, SYS_unlink, SYS_rename, SYS_renameat, SYS_mkdir, SYS_rmdir, SYS_mknod, SYS_link,
        SYS_symlink, SYS_chmod, SYS_chown, SYS_creat,
#endif
  };
  return calls;
}

// open flags that write or create.
constexpr uint32_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
// Those that remain refused where Landlock says which files may be written.
constexpr uint32_t creating = O_CREAT | O_TRUNC | O_APPEND;

// From now on only files below /dev can be opened for writing. False where the kernel has no Landlock.
bool write_only_devices() {
  landlock_ruleset_attr rules{};
  rules.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE;
  const auto set = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
  if (set < 0) return false;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE;
  rule.parent_fd = ::open("/dev", O_PATH | O_CLOEXEC);
  const bool done = rule.parent_fd >= 0 &&
                    ::syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 &&
                    ::syscall(SYS_landlock_restrict_self, set, 0) == 0;
  if (rule.parent_fd >= 0) ::close(rule.parent_fd);
  ::close(set);
  return done;
}

// If the call is `number`: refuse it when one of `flags` is set in argument `index`.
void refuse_flags(std::vector<sock_filter>& code, int number, uint32_t index, uint32_t flags) {
  const auto offset = static_cast<uint32_t>(offsetof(seccomp_data, args) + index * sizeof(uint64_t));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 4));
  code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1));
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

void refuse(std::vector<sock_filter>& code, int number) {
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1));
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
}

std::vector<sock_filter> filter(SandboxFor use, uint32_t refused_flags) {
  std::vector<sock_filter> code;
  code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0));
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
#if defined(__x86_64__)
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));  // the x32 doubles of all calls
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
#endif
  for (const int number : refused_calls()) refuse(code, number);
  // Drivers grow nameless files for their memory (lavapipe of Mesa 26); it takes a descriptor that writes.
  if (use == SandboxFor::cpu) refuse(code, SYS_ftruncate);
#if defined(__x86_64__)
  refuse_flags(code, SYS_open, 1, refused_flags);
#endif
  refuse_flags(code, SYS_openat, 2, refused_flags);
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return code;
}

}  // namespace

std::string enter_sandbox(SandboxFor use) {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return std::string("no_new_privs: ") + std::strerror(errno);
  const bool devices = use == SandboxFor::gpu && write_only_devices();
  std::vector<sock_filter> code = filter(use, devices ? creating : writing);
  sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    return std::string("seccomp: ") + std::strerror(errno);
  return {};
}

}  // namespace hearth
