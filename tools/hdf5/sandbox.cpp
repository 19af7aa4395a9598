// Standard library and system calls only: the tests link this file alone, without sanitizers.
#include "graft/tools/hdf5/sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <vector>

namespace graft::tools {
namespace {

// Sanitizers need address space, and look at memory through a pipe.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kHasSanitizer = true;
#else
constexpr bool kHasSanitizer = false;
#endif

bool lower_limit(int what, rlim_t most) {
  const auto resource = static_cast<__rlimit_resource_t>(what);
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) return false;
  const rlimit less{std::min(now.rlim_cur, most), std::min(now.rlim_max, most)};
  return ::setrlimit(resource, &less) == 0;
}

// Takes from this process every right to files, and to TCP, signals and abstract sockets where the
// kernel's version knows of them. A second wall: without Landlock the filter stands alone.
void give_up_files() {
#if defined(__NR_landlock_create_ruleset) && defined(__NR_landlock_restrict_self)
  constexpr unsigned kAskVersion = 1;
  const long version = ::syscall(__NR_landlock_create_ruleset, nullptr, 0, kAskVersion);
  if (version < 1) return;
  struct {
    uint64_t files, network, scopes;
  } handled{};  // struct landlock_ruleset_attr, whose header may be older than the kernel
  const int file_rights = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
  handled.files = (uint64_t{1} << file_rights) - 1;
  if (version >= 4) handled.network = 3;
  if (version >= 6) handled.scopes = 3;
  const long rules = ::syscall(__NR_landlock_create_ruleset, &handled, sizeof handled, 0);
  if (rules < 0) return;
  ::syscall(__NR_landlock_restrict_self, rules, 0);
  ::close(static_cast<int>(rules));
#endif
}

#if defined(__x86_64__) || defined(__aarch64__)
#if defined(__x86_64__)
constexpr uint32_t kMachine = AUDIT_ARCH_X86_64;
#else
constexpr uint32_t kMachine = AUDIT_ARCH_AARCH64;
#endif

// Calls that are let through whatever their arguments.
constexpr int kAllowed[] = {
    __NR_brk,
    __NR_munmap,
    __NR_mremap,
    __NR_madvise,
    __NR_futex,
    __NR_sched_yield,
    __NR_clock_gettime,
    __NR_gettimeofday,
    __NR_getrandom,
    __NR_getpid,
    __NR_gettid,
    __NR_rt_sigreturn,
    __NR_sigaltstack,
    __NR_exit,
    __NR_exit_group,
    __NR_restart_syscall,
    __NR_rt_sigprocmask,
#if defined(__x86_64__)
    __NR_time,
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    __NR_pipe2,
    __NR_close,
    __NR_read,
    __NR_write,
    __NR_nanosleep,
    __NR_clock_nanosleep,
#if defined(__x86_64__)
    __NR_pipe,
#endif
#endif
};

// seccomp's program: classic BPF over struct seccomp_data.
class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, kMachine, 1, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
    for (const int call : kAllowed) {
      add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1);
      allow();
    }
    // Only to standard output and standard error.
    on_call(__NR_write,
            {argument(0), equal(STDOUT_FILENO, 1, 0), equal(STDERR_FILENO, 0, 1), pass});
    // Memory of its own that is not executable.
    on_call(__NR_mmap, {argument(2), any_bit(PROT_EXEC, 3, 0), argument(3),
                        any_bit(MAP_ANONYMOUS, 0, 1), pass});
    on_call(__NR_mprotect, {argument(2), any_bit(PROT_EXEC, 1, 0), pass});
    refuse();
  }
  // Empty, or why not.
  std::string install() {
    sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    if (::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0)
      return "";
    if (errno == ENOSYS && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0)
      return "";
    return std::strerror(errno);
  }

 private:
  static constexpr sock_filter pass{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  static sock_filter argument(size_t index) {  // its low half: descriptors and flags are there
    return {BPF_LD | BPF_W | BPF_ABS, 0, 0,
            static_cast<uint32_t>(offsetof(seccomp_data, args) + 8 * index)};
  }
  static sock_filter equal(uint32_t value, uint8_t skip_if, uint8_t skip_else) {
    return {BPF_JMP | BPF_JEQ | BPF_K, skip_if, skip_else, value};
  }
  static sock_filter any_bit(uint32_t bits, uint8_t skip_if, uint8_t skip_else) {
    return {BPF_JMP | BPF_JSET | BPF_K, skip_if, skip_else, bits};
  }
  void add(uint16_t code, uint32_t value, uint8_t skip_if = 0, uint8_t skip_else = 0) {
    code_.push_back({code, skip_if, skip_else, value});
  }
  void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void allow() { code_.push_back(pass); }
  void refuse() { add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM); }
  // What follows decides on this call; where it comes to no end, the call is refused.
  void on_call(int call, const std::vector<sock_filter>& rule) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0,
        static_cast<uint8_t>(rule.size() + 1));
    code_.insert(code_.end(), rule.begin(), rule.end());
    refuse();
  }

  std::vector<sock_filter> code_;
};

std::string filter_calls() { return Filter().install(); }
#else
std::string filter_calls() { return "graft has none for this processor"; }
#endif

}  // namespace

Sandbox enter_sandbox(uint64_t file_bytes, bool with_filter) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return {"the reader cannot give up its rights", ""};
#if defined(__NR_close_range)
  if (::syscall(__NR_close_range, 3, ~0u, 0) != 0)
#endif
    for (int descriptor = 3; descriptor < 1024; ++descriptor) ::close(descriptor);
  give_up_files();
  bool are_set = lower_limit(RLIMIT_CPU, 60 + file_bytes / (10 << 20)) &&
                 lower_limit(RLIMIT_FSIZE, 0) && lower_limit(RLIMIT_CORE, 0);
  if (!kHasSanitizer)
    are_set = are_set && lower_limit(RLIMIT_AS, (rlim_t{512} << 20) + 3 * file_bytes) &&
              lower_limit(RLIMIT_NOFILE, 0) && lower_limit(RLIMIT_NPROC, 0);
  if (!are_set) return {"the reader's limits cannot be set", ""};
  return {"", with_filter ? filter_calls() : "not asked for"};
}

}  // namespace graft::tools
