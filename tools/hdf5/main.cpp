// graft_read_hdf5: the process in which the graft command lets libhdf5 read a file. Standard input
// is the file, standard output a pipe for dump.h's stream, standard error for one sentence. Exit
// code 0, or 3 with the sentence.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <new>

#include "graft/core/base/error.h"
#include "graft/tools/hdf5/dump.h"

namespace {

void limit(int what, rlim_t most) {
  const rlimit value{most, most};
  if (::setrlimit(static_cast<__rlimit_resource_t>(what), &value) != 0)
    graft::fail(graft::ErrorCode::resource, "the reader's limits cannot be set");
}

// Whatever the file makes libhdf5 do: bounded memory and time, no new rights, nothing written, no
// file opened, dead with its parent.
void shut_in(rlim_t file_bytes) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    graft::fail(graft::ErrorCode::resource, "the reader cannot give up its rights");
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(                         \
        __SANITIZE_THREAD__)  // they need address space, and a pipe to look at memory through
  limit(RLIMIT_AS, (rlim_t{512} << 20) + 3 * file_bytes);
  limit(RLIMIT_NOFILE, 0);  // those that are open stay so
#endif
  limit(RLIMIT_CPU, 60 + file_bytes / (10 << 20));
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CORE, 0);
}

void write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(1);  // nobody listens any more
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

int refuse(const std::string& why) {
  if (::write(STDERR_FILENO, why.data(), why.size()) < 0) return 1;
  return 3;
}

}  // namespace

int main() {
  try {
    struct stat status {};
    if (::fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode))
      return refuse("standard input is no file; this program is run by graft");
    shut_in(static_cast<rlim_t>(status.st_size));
    graft::tools::dump_hdf5(STDIN_FILENO,
                            [](std::span<const std::byte> bytes) { write_all(bytes); });
    return 0;
  } catch (const graft::Error& error) {
    return refuse(error.what());
  } catch (const std::bad_alloc&) {
    return refuse("needs more memory than a file of its size may");
  }
}
