// graft_try_sandbox: what a reader that a file has taken over could still do. Enters the HDF5
// reader's sandbox, tries one call after another and prints "name OK" or "name EPERM".
// Usage: graft_try_sandbox FOLDER [--no-filter]   (FOLDER/victim and FOLDER/gone are there)
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>

#include "graft/tools/hdf5/sandbox.h"

namespace {

void attempt(const char* name, const std::function<long()>& call) {
  errno = 0;
  const long result = call();
  const char* answer = result >= 0 ? "OK" : strerrorname_np(errno);
  const std::string line = std::string(name) + " " + (answer ? answer : "?") + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) ::_exit(1);
}

// A call that makes a process: the new one ends at once.
long forked(long pid) {
  if (pid == 0) ::_exit(0);
  if (pid > 0) ::waitpid(static_cast<pid_t>(pid), nullptr, 0);
  return pid;
}

void try_files(const std::string& folder) {
  const std::string victim = folder + "/victim", gone = folder + "/gone", made = folder + "/made";
  const char *v = victim.c_str(), *g = gone.c_str(), *m = made.c_str();
  attempt("open", [&] { return ::syscall(__NR_openat, AT_FDCWD, v, O_RDONLY); });
  attempt("open_write", [&] { return ::syscall(__NR_openat, AT_FDCWD, v, O_WRONLY | O_TRUNC); });
  attempt("create", [&] { return ::syscall(__NR_openat, AT_FDCWD, m, O_CREAT | O_WRONLY, 0644); });
  attempt("openat2", [&] {
    uint64_t how[3] = {O_RDONLY, 0, 0};
    return ::syscall(__NR_openat2, AT_FDCWD, v, how, sizeof how);
  });
  attempt("truncate", [&] { return ::truncate(v, 0); });
  attempt("unlink", [&] { return ::unlink(g); });
  attempt("rename", [&] { return ::rename(g, m); });
  attempt("link", [&] { return ::link(v, m); });
  attempt("symlink", [&] { return ::symlink("/etc", m); });
  attempt("mkdir", [&] { return ::mkdir(m, 0755); });
  attempt("rmdir", [&] { return ::rmdir((folder + "/empty").c_str()); });
  attempt("mknod", [&] { return ::mknod(m, S_IFIFO | 0644, 0); });
  attempt("chmod", [&] { return ::chmod(v, 0666); });
  attempt("stat", [&] {
    struct stat status {};
    return ::stat(v, &status);
  });
  attempt("readlink", [&] {
    char text[100];
    return ::readlink("/proc/self/exe", text, sizeof text);
  });
  attempt("memfd_create", [&] { return ::memfd_create("m", 0); });
  attempt("read_descriptor_3", [&] {
    char byte;
    return ::read(3, &byte, 1);
  });
  attempt("write_descriptor_3", [&] { return ::write(3, "x", 1); });
  attempt("read", [&] {
    char byte;
    return ::read(0, &byte, 1);
  });
  attempt("mmap_file",
          [&] { return ::mmap(nullptr, 1, PROT_READ, MAP_PRIVATE, 0, 0) == MAP_FAILED ? -1 : 0; });
}

void try_processes() {
  const pid_t parent = ::getppid();
  attempt("fork", [&] { return forked(::fork()); });
  attempt("clone", [&] { return forked(::syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0)); });
#if defined(__NR_vfork)
  attempt("vfork", [&] { return forked(::syscall(__NR_vfork)); });
#endif
  attempt("clone3", [&] {
    uint64_t arguments[11] = {0, 0, 0, 0, SIGCHLD};
    return forked(::syscall(__NR_clone3, arguments, sizeof arguments));
  });
  attempt("kill", [&] { return ::kill(parent, 0); });
  attempt("tgkill", [&] { return ::syscall(__NR_tgkill, parent, parent, 0); });
  attempt("pidfd_open", [&] { return ::syscall(__NR_pidfd_open, parent, 0); });
  attempt("ptrace", [&] { return ::ptrace(PTRACE_SEIZE, parent, nullptr, nullptr); });
  attempt("process_vm_readv", [&] {
    char here[8];
    iovec local{here, 8}, remote{here, 8};
    return ::process_vm_readv(parent, &local, 1, &remote, 1, 0);
  });
  attempt("execve", [&] {
    char* const arguments[] = {const_cast<char*>("true"), nullptr};
    return ::execve("/bin/true", arguments, nullptr);
  });
  attempt("execveat", [&] {
    char* const arguments[] = {const_cast<char*>("true"), nullptr};
    return ::syscall(__NR_execveat, AT_FDCWD, "/bin/true", arguments, nullptr, 0);
  });
  attempt("setuid", [&] { return ::setuid(0); });
  attempt("setpriority", [&] { return ::setpriority(PRIO_PROCESS, 0, 5); });
  attempt("raise_limit", [&] {
    const rlimit more{100, 100};
    return ::setrlimit(RLIMIT_NOFILE, &more);
  });
  attempt("unshare", [&] { return ::unshare(CLONE_NEWUSER); });
}

void try_the_rest() {
  attempt("socket", [&] { return ::socket(AF_INET, SOCK_STREAM, 0); });
  attempt("socket_unix", [&] { return ::socket(AF_UNIX, SOCK_STREAM, 0); });
  attempt("socketpair", [&] {
    int ends[2];
    return ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  });
  attempt("pipe", [&] {
    int ends[2];
    return ::pipe2(ends, 0);
  });
  attempt("dup", [&] { return ::dup(1); });
  attempt("ioctl", [&] { return ::syscall(__NR_ioctl, 1, 0x5401, nullptr); });
  attempt("bpf", [&] { return ::syscall(__NR_bpf, 0, nullptr, 0); });
  attempt("io_uring_setup", [&] { return ::syscall(425, 1, nullptr); });
  attempt("mount", [&] { return ::syscall(__NR_mount, "none", "/", "tmpfs", 0, nullptr); });
  attempt("seccomp", [&] { return ::syscall(__NR_seccomp, SECCOMP_SET_MODE_STRICT, 0, nullptr); });
  attempt("dumpable", [&] { return ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); });
  attempt("mmap_executable", [&] {
    void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? -1 : 0;
  });
  static char page[8192];
  attempt("mprotect_executable", [&] {
    return ::mprotect(page + (4096 - reinterpret_cast<uintptr_t>(page) % 4096) % 4096, 4096,
                      PROT_READ | PROT_EXEC);
  });
#if defined(__x86_64__)
  attempt("x32_getpid", [&] { return ::syscall(0x40000000 | __NR_getpid); });
#endif
}

// What reading needs goes on.
void try_what_is_left() {
  attempt("+malloc", [] {
    char* large = static_cast<char*>(std::malloc(32 << 20));
    if (!large) return -1;
    std::memset(large, 1, 32 << 20);
    const int sum = large[12345];
    std::free(large);
    return sum;
  });
  attempt("+throw", [] {
    try {
      throw std::string("caught");
    } catch (const std::string&) {
      return 0;
    }
  });
  attempt("+clock", [] {
    timespec now{};
    return ::clock_gettime(CLOCK_REALTIME, &now);
  });
  attempt("+stderr", [] { return ::write(STDERR_FILENO, "", 0); });
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const std::string folder = arguments[1];
  for (int fd = 3; fd < 1024; ++fd) ::close(fd);  // whoever runs the tests may have left some open
  if (::open((folder + "/victim").c_str(), O_RDWR) != 3) return 2;  // inherited by mistake
  const bool with_filter = count < 3;
  const rlimit tight{7, 7};  // seconds: less than the reader gives itself
  if (::setrlimit(RLIMIT_CPU, &tight) != 0) return 2;
  const graft::tools::Sandbox box = graft::tools::enter_sandbox(1 << 20, with_filter);
  if (!box.failure.empty()) return 3;
  attempt("filter", [&] {
    errno = ENOSYS;
    return box.unfiltered.empty() ? 0 : -1;
  });
  try_files(folder);
  if (with_filter) {
    try_processes();
    try_the_rest();
  } else {
    attempt("+tighter_limit_stays", [&] {
      rlimit now{};
      const bool known = ::getrlimit(RLIMIT_CPU, &now) == 0;
      return known && now.rlim_cur == tight.rlim_cur && now.rlim_max == tight.rlim_max ? 0 : -1;
    });
  }
  try_what_is_left();
  return 0;
}
